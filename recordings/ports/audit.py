"""The port for the audit log."""

from typing import Protocol

from recordings.model.account import Principal


class Audit(Protocol):
    """The audit log: who did what."""

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """Record one action that was allowed and done. An entry never contains a secret or a signed URL."""
