"""Retention runs in MongoDB."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database
from adapters.metadata.mongodb.indexes import RETENTION_RUNS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.retention_run import RetentionRun


@raises_store_unavailable
class RetentionRunCollection:
    """The collection of retention runs: one document for each account."""

    def __init__(self, database: Database) -> None:
        self._runs = database[RETENTION_RUNS]

    async def retention_run(self, account_id: str) -> RetentionRun | None:
        """Return the last run of an account."""
        found = await self._runs.find_one({"_id": account_id})
        return None if found is None else _run(found)

    async def open_retention_runs(self, limit: int) -> Sequence[RetentionRun]:
        """Return runs that are not finished, the oldest first."""
        found = self._runs.find({"finished": None}, sort=[("started", ASCENDING)], limit=limit)
        return [_run(each) for each in await found.to_list(None)]

    async def save_retention_run(self, run: RetentionRun, expected: int | None) -> bool:
        """Save a run if the stored revision is `expected`; `None` if there must be none."""
        document = asdict(run) | {"_id": run.account_id}
        if expected is not None:
            selector = {"_id": run.account_id, "revision": expected}
            return bool((await self._runs.replace_one(selector, document)).matched_count)
        try:
            await self._runs.insert_one(document)
        except DuplicateKeyError:
            return False
        return True


def _run(document: dict[str, Any]) -> RetentionRun:
    # BSON's 64-bit integers have a class of their own.
    values: dict[str, Any] = {name: int(value) if isinstance(value, int) else value for name, value in document.items()}
    after = values["after"]
    values["after"] = None if after is None else (int(after[0]), str(after[1]))
    del values["_id"]
    return RetentionRun(**values)
