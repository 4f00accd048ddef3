"""The audit trail in SQLite. Each method makes one call in a thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final

from adapters.metadata.audit_columns import COLUMNS, ENTRIES, HIDDEN, PRUNED, SEALS, TrailRange, to_values, trail_range
from adapters.metadata.sqlite.database import Database
from recordings.model.audit_entry import AuditFilter, ChainName, Link, Seal, StoredEntry
from recordings.model.query import Position
from recordings.ports.audit_store import MAX_EXAMINED_ENTRIES, ChainMoved, TrailPage

_NAMES: Final = ", ".join(COLUMNS)
_INSERT: Final = f"INSERT INTO {ENTRIES} ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"
_END: Final = f"SELECT seq, hash FROM {ENTRIES} WHERE account_id = ? AND writer = ? ORDER BY seq DESC LIMIT 1"
_CHAIN: Final = f"SELECT {_NAMES} FROM {ENTRIES} WHERE account_id = ? AND writer = ? AND seq > ? ORDER BY seq LIMIT ?"
# SQLite reads every row for DISTINCT. This looks up one row for each chain.
_CHAINS: Final = f"""
WITH RECURSIVE chains(account_id, writer) AS (
    SELECT * FROM (
        SELECT account_id, writer FROM {ENTRIES} WHERE (account_id, writer) > (?, ?)
        ORDER BY account_id, writer LIMIT 1)
    UNION ALL
    SELECT following.account_id, following.writer FROM chains JOIN {ENTRIES} AS following ON following.rowid = (
        SELECT rowid FROM {ENTRIES} WHERE (account_id, writer) > (chains.account_id, chains.writer)
        ORDER BY account_id, writer LIMIT 1)
)
SELECT account_id, writer FROM chains LIMIT ?
"""
_BLANK: Final = ", ".join(f"{name} = ?" for name in PRUNED)


class AuditTables:
    """The `AuditStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def append_entries(self, entries: Sequence[StoredEntry]) -> None:
        """Add entries at the ends of their chains: all of them, or none."""
        rows = [to_values(entry) for entry in entries]
        await self._database.write(lambda connection: _append(connection, rows))

    async def chain_end(self, chain: ChainName) -> Link:
        """Return the last link of a chain."""
        found = await self._all(_END, chain.account_id, chain.writer)
        return Link(*found[0]) if found else Link()

    async def entries_by_id(self, ids: Collection[str]) -> Sequence[StoredEntry]:
        """Return the entries that exist of these ids."""
        marks = ", ".join("?" * len(ids))
        return _entries(await self._all(f"SELECT {_NAMES} FROM {ENTRIES} WHERE id IN ({marks})", *ids))

    async def trail_page(self, filter: AuditFilter, limit: int, after: Position | None = None) -> TrailPage:
        """Return entries of one account, newest first."""
        wanted = trail_range(filter, after)
        found: TrailPage = await self._database.read(
            lambda connection: _page(connection, wanted, limit), filter.account_id
        )
        return found

    async def chains(self, after: ChainName | None = None, limit: int = 1_000) -> Sequence[ChainName]:
        """Return the chains after this one, sorted."""
        start = ("", "") if after is None else (after.account_id, after.writer)
        return [ChainName(*row) for row in await self._all(_CHAINS, *start, limit)]

    async def chain_entries(self, chain: ChainName, after: int, limit: int = 1_000) -> Sequence[StoredEntry]:
        """Return the entries of a chain with a greater number, in order."""
        return _entries(await self._all(_CHAIN, chain.account_id, chain.writer, after, limit))

    async def prune_chain(self, root: StoredEntry) -> None:
        """Delete the entries before the root, and the content of the root."""
        await self._database.write(lambda connection: _prune(connection, root))

    async def add_seal(self, seal: Seal) -> None:
        """Add a seal."""
        row = (seal.id, seal.writer, seal.at, seal.text)
        statement = f"INSERT INTO {SEALS} (id, writer, at, text) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        await self._database.write(lambda connection: connection.execute(statement, row).rowcount)

    async def seals(self, after: str = "", limit: int = 1_000) -> Sequence[Seal]:
        """Return the seals whose id is greater, sorted by id."""
        found = await self._all(
            f"SELECT id, writer, at, text FROM {SEALS} WHERE id > ? ORDER BY id LIMIT ?", after, limit
        )
        return [Seal(id=id, writer=writer, at=at, text=text) for id, writer, at, text in found]

    async def delete_seals(self, ids: Collection[str]) -> None:
        """Delete seals."""
        rows = [(each,) for each in ids]
        statement = f"DELETE FROM {SEALS} WHERE id = ?"
        await self._database.write(lambda connection: connection.executemany(statement, rows).rowcount)

    async def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(statement, values).fetchall()
        )
        return found


def _append(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    try:
        connection.executemany(_INSERT, rows)
    except sqlite3.IntegrityError as error:
        raise ChainMoved from error


def _prune(connection: sqlite3.Connection, root: StoredEntry) -> None:
    key = (root.account_id, root.writer, root.seq)
    connection.execute(f"DELETE FROM {ENTRIES} WHERE account_id = ? AND writer = ? AND seq < ?", key)
    connection.execute(
        f"UPDATE {ENTRIES} SET {_BLANK} WHERE account_id = ? AND writer = ? AND seq = ?", (*PRUNED.values(), *key)
    )


def _page(connection: sqlite3.Connection, wanted: TrailRange, limit: int) -> TrailPage:
    indexed, values = _indexed(wanted)
    rest, rest_values = _rest(wanted)
    statement = (
        f"SELECT {_NAMES} FROM (SELECT * FROM {ENTRIES} INDEXED BY {ENTRIES}_by_{wanted.index} WHERE {indexed} "
        f"ORDER BY at DESC, id DESC LIMIT {MAX_EXAMINED_ENTRIES}) WHERE {rest} LIMIT ?"
    )
    found = _entries(connection.execute(statement, (*values, *rest_values, limit + 1)).fetchall())
    if len(found) > limit:
        return TrailPage(found[:limit], Position(found[limit - 1].at, found[limit - 1].id))
    last = connection.execute(
        f"SELECT at, id FROM {ENTRIES} INDEXED BY {ENTRIES}_by_{wanted.index} WHERE {indexed} "
        f"ORDER BY at DESC, id DESC LIMIT 1 OFFSET {MAX_EXAMINED_ENTRIES - 1}",
        values,
    ).fetchone()
    return TrailPage(found, None if last is None else Position(*last))


def _indexed(wanted: TrailRange) -> tuple[str, list[Any]]:
    conditions = [f"{name} = ?" for name in wanted.equal]
    values = [*wanted.equal.values()]
    if wanted.since is not None:
        conditions.append("at >= ?")
        values.append(wanted.since)
    if wanted.before is not None:
        conditions.append("at < ?")
        values.append(wanted.before)
    if wanted.below is not None:
        conditions.append("(at, id) < (?, ?)")
        values += [wanted.below.key, wanted.below.id]
    return " AND ".join(conditions), values


def _rest(wanted: TrailRange) -> tuple[str, list[Any]]:
    conditions, values = ["body <> ''"], list[Any]()
    for name, value in wanted.rest.items():
        several = value if isinstance(value, tuple) else (value,)
        conditions.append(f"{name} IN ({', '.join('?' * len(several))})")
        values += several
    if wanted.hides_ends:
        conditions.append(f"action NOT IN ({', '.join('?' * len(HIDDEN))})")
        values += HIDDEN
    return " AND ".join(conditions), values


def _entries(rows: Sequence[tuple[Any, ...]]) -> list[StoredEntry]:
    return [StoredEntry(**dict(zip(COLUMNS, row, strict=True))) for row in rows]
