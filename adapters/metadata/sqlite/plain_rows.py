"""The rows of all tables as plain values, in the form that both stores share. Migrations read and write them.

The form is that of the tables, with these differences: JSON columns are decoded, and columns that are computed from
others are left out. Free-form values (policies, webhooks) stay texts, so that nothing of them changes.
"""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any, Final

from adapters.metadata.row_fields import decode, encode
from adapters.metadata.sqlite import event_table, recording_table
from adapters.metadata.sqlite.database import Database, connect
from adapters.metadata.sqlite.migrations import CHANGE_CLOCK, TABLE
from adapters.metadata.sqlite.recording_table import INSERT_CHANGED, note_inserted, values_of
from adapters.metadata.stored_kinds import TABLES
from recordings.model.query import OrderField
from recordings.model.recording import ROW_FIELDS, Recording
from recordings.ports.copied_store import CopyError, RowPage

Row = Mapping[str, Any]
_JSON: Final[Mapping[str, Sequence[str]]] = {
    "accounts": ("tree", "retention", "numbers", "quota"),
    "api_keys": ("scopes",),
    "account_secrets": ("sealed",),
}
_BOOLEAN: Final[Mapping[str, Sequence[str]]] = {"ingest_addresses": ("record_all",), "webhooks": ("enabled",)}
_FIELDS: Final = (*ROW_FIELDS, OrderField.MODIFIED.value)
_EVENT: Final = (
    "account_id", "subject", "revision", "type", "time", "stamp", "state", "reason", "duration_ms",
)  # fmt: skip
_ADD_EVENT: Final = (
    f"INSERT INTO {event_table.TABLE} ({', '.join(_EVENT)}) SELECT :{', :'.join(_EVENT)} WHERE NOT EXISTS ("
    f"SELECT 1 FROM {event_table.TABLE} WHERE account_id = :account_id AND stamp = :stamp AND subject = :subject "
    "AND revision = :revision)"
)
_ADVANCE_CLOCK: Final = (
    f"UPDATE {CHANGE_CLOCK} SET at = max(at, (SELECT coalesce(max(changed), 0) FROM {TABLE}), "
    f"(SELECT coalesce(max(stamp), 0) FROM {event_table.TABLE}))"
)
LOCK_SECONDS: Final = 5.0


class PlainRows:
    """The `MigratedStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    @asynccontextmanager
    async def without_writes(self) -> AsyncIterator[None]:
        """Hold SQLite's lock for writes. A server cannot run: the caller has the lock of the data folder."""
        try:
            connection = await asyncio.to_thread(connect, self._database.path, "rw", LOCK_SECONDS)
        except sqlite3.Error as error:
            raise CopyError(f"{self._database.path} cannot be locked: {error}") from error
        with closing(connection):
            try:
                await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise CopyError(f"another process writes to {self._database.path}: end it first") from error
            yield

    async def plain_rows(self, kind: str, after: str | None, limit: int) -> RowPage:
        """Return the rows of a table behind a position, in the order of its key."""
        page: RowPage = await self._database.read(lambda connection: _page(connection, kind, after, limit))
        return page

    async def add_plain_rows(self, kind: str, rows: Sequence[Row]) -> None:
        """Add rows in one transaction. Rows that exist stay as they are."""
        await self._database.write(lambda connection: _ADD.get(kind, _add_plain)(connection, kind, rows))

    async def finish_plain_rows(self) -> None:
        """Let later changes have a later time than all rows."""
        await self._database.write(lambda connection: connection.execute(_ADVANCE_CLOCK).rowcount)


def _page(connection: sqlite3.Connection, kind: str, after: str | None, limit: int) -> RowPage:
    if kind == TABLE:
        rows: Sequence[Any] = recording_table.scan(connection, json.loads(after)[0] if after else "", limit, _FIELDS)
        found: list[dict[str, Any]] = list(rows)
        last = [found[-1]["id"]] if found else []
    else:
        found, last = _select(connection, kind, after, limit)
        found = [_to_plain(kind, row) for row in found]
    return RowPage(found, json.dumps(last) if len(found) == limit else None)


def _select(
    connection: sqlite3.Connection, kind: str, after: str | None, limit: int
) -> tuple[list[dict[str, Any]], list[Any]]:
    key = TABLES[kind].key
    names, position = ", ".join(key), json.loads(after) if after else []
    where = f"WHERE ({names}) > ({', '.join('?' * len(key))})" if position else ""
    cursor = connection.execute(f"SELECT * FROM {kind} {where} ORDER BY {names} LIMIT ?", (*position, limit))
    columns = [column[0] for column in cursor.description]
    rows = [dict(zip(columns, values, strict=True)) for values in cursor]
    return rows, [rows[-1][name] for name in key] if rows else []


def _to_plain(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    for name in _JSON.get(kind, ()):
        row[name] = decode(row[name])
    for name in _BOOLEAN.get(kind, ()):
        row[name] = bool(row[name])
    match kind:
        case "accounts":
            row["sip_realm"] = row.pop("realm")
            row["quota"] = {name: limit for name, limit in row["quota"].items() if limit is not None}
            del row["parent_id"]
        case "users":
            md5, sha = row.pop("md5"), row.pop("sha")
            row["passwords"] = None if md5 is None else {"md5": md5, "sha": sha}
            del row["login"]
        case "events":
            del row["seq"]
        case "retention_runs":
            return dict(json.loads(row["body"]))
    return row


def _from_plain(kind: str, row: Row) -> dict[str, Any]:
    values = dict(row)
    match kind:
        case "accounts":
            values["realm"] = values.pop("sip_realm")
            values["parent_id"] = values["tree"][-1] if values["tree"] else None
        case "users":
            values |= values.pop("passwords") or {"md5": None, "sha": None}
            values["login"] = values["username"].lower()
        case "retention_runs":
            names = ("account_id", "revision", "finished")
            return {name: row[name] for name in names} | {"body": json.dumps(values)}
    for name in _JSON.get(kind, ()):
        values[name] = encode(values[name])
    for name in _BOOLEAN.get(kind, ()):
        values[name] = int(values[name])
    return values


def _add_plain(connection: sqlite3.Connection, kind: str, rows: Sequence[Row]) -> None:
    found = [_from_plain(kind, row) for row in rows]
    names = tuple(found[0])
    statement = f"INSERT OR IGNORE INTO {kind} ({', '.join(names)}) VALUES (:{', :'.join(names)})"
    connection.executemany(statement, found)


def _add_recordings(connection: sqlite3.Connection, _kind: str, rows: Sequence[Row]) -> None:
    for row in rows:
        recording = Recording.from_row(row)  # type: ignore[arg-type]
        values = values_of(recording)
        connection.execute(INSERT_CHANGED, (*values, row["changed"]))
        note_inserted(connection, recording, values)


def _add_events(connection: sqlite3.Connection, _kind: str, rows: Sequence[Row]) -> None:
    connection.executemany(_ADD_EVENT, rows)


def _add_installation(connection: sqlite3.Connection, kind: str, rows: Sequence[Row]) -> None:
    # A new file has an identity already.
    connection.execute(f"DELETE FROM {kind}")
    _add_plain(connection, kind, rows)


_ADD: Final[Mapping[str, Callable[[sqlite3.Connection, str, Sequence[Row]], None]]] = {
    TABLE: _add_recordings,
    event_table.TABLE: _add_events,
    "installation": _add_installation,
}
