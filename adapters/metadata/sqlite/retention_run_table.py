"""Retention runs in SQLite."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from adapters.metadata.sqlite.database import Database
from recordings.model.retention_run import RetentionRun


class RetentionRunTable:
    """The `RetentionRunStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def retention_run(self, account_id: str) -> RetentionRun | None:
        """Return the last run of an account."""
        found = await self._select("account_id = ?", account_id)
        return found[0] if found else None

    async def open_retention_runs(self, limit: int) -> Sequence[RetentionRun]:
        """Return runs that are not finished, the oldest first."""
        found = await self._select("finished IS NULL LIMIT ?", limit)
        return sorted(found, key=lambda run: run.started)

    async def save_retention_run(self, run: RetentionRun, expected: int | None) -> bool:
        """Save a run if the stored revision is `expected`; `None` if there must be none."""
        return bool(await self._database.write(lambda connection: _save(connection, run, expected)))

    async def _select(self, condition: str, value: object) -> list[RetentionRun]:
        statement = f"SELECT body FROM retention_runs WHERE {condition}"  # noqa: S608 - a constant
        rows = await self._database.read(lambda connection: connection.execute(statement, (value,)).fetchall())
        return [_run(json.loads(body)) for (body,) in rows]


def _run(body: dict[str, Any]) -> RetentionRun:
    after = body.pop("after")
    return RetentionRun(**body, after=None if after is None else (after[0], after[1]))


def _save(connection: sqlite3.Connection, run: RetentionRun, expected: int | None) -> bool:
    values = (run.revision, run.finished, json.dumps(asdict(run)))
    if expected is None:
        statement = "INSERT OR IGNORE INTO retention_runs (revision, finished, body, account_id) VALUES (?, ?, ?, ?)"
        return connection.execute(statement, (*values, run.account_id)).rowcount == 1
    statement = "UPDATE retention_runs SET revision = ?, finished = ?, body = ? WHERE account_id = ? AND revision = ?"
    return connection.execute(statement, (*values, run.account_id, expected)).rowcount == 1
