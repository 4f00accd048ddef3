"""The port for retention runs: one for each account."""

from collections.abc import Sequence
from typing import Protocol

from recordings.model.retention_run import RetentionRun


class RetentionRunStore(Protocol):
    """Stores the progress of retention runs."""

    async def retention_run(self, account_id: str) -> RetentionRun | None:
        """Return the last run of an account."""

    async def open_retention_runs(self, limit: int) -> Sequence[RetentionRun]:
        """Return runs that are not finished, the oldest first."""

    async def save_retention_run(self, run: RetentionRun, expected: int | None) -> bool:
        """Save a run if the stored revision is `expected`; `None` if there must be none. Otherwise return false."""
