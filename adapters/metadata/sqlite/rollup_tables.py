"""Rollups in SQLite. Each function runs one step of the store on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from adapters.metadata.row_fields import encode
from adapters.metadata.sqlite import where
from adapters.metadata.sqlite.migrations import TABLE, column, index_of
from adapters.metadata.sqlite.stats_schema import MARK_EXISTING, MARKS, PARTS
from adapters.metadata.stats_content import (
    decode_hours,
    decode_part,
    encode_bins,
    encode_cells,
    encode_hours,
    is_stored,
)
from recordings.model.instants import Millis
from recordings.model.query import OrderField
from recordings.model.rollup import (
    BY_HOUR,
    COUNTED,
    CountedRow,
    CountedSlot,
    Level,
    Mark,
    Part,
    RowSelection,
    Run,
    Slot,
)

ROWS: Final = 2_000
"""How many recordings are read at once."""
_COLUMNS: Final = ", ".join(column(name) for name in COUNTED)
_BINS: Final = ".bins"
_HOURS: Final = ".hours"
_MARK: Final = (
    f"INSERT INTO {MARKS} (level, at, account_id, version) VALUES (?, ?, ?, random()) "
    "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version"
)
_MARKED: Final = (
    f"SELECT account_id, level, at FROM {MARKS} WHERE level = ? AND at >= ? AND at < ? "
    "AND account_id IN (SELECT value FROM json_each(?))"
)
_TO_COUNT: Final = (
    f"SELECT account_id, level, at, version FROM {MARKS} WHERE level = ? AND at <= ? ORDER BY at DESC LIMIT ?"
)
_CELLS: Final = (
    f"SELECT at, content, NULL FROM {PARTS} WHERE account_id = ? AND name = ? AND level = ? AND at >= ? AND at < ?"
)
_CELLS_AND_BINS: Final = (
    f"SELECT cells.at, cells.content, bins.content FROM {PARTS} AS cells LEFT JOIN {PARTS} AS bins "
    f"ON bins.account_id = cells.account_id AND bins.name = cells.name || '{_BINS}' "
    "AND bins.level = cells.level AND bins.at = cells.at "
    "WHERE cells.account_id = ? AND cells.name = ? AND cells.level = ? AND cells.at >= ? AND cells.at < ?"
)
_REMOVE: Final = f"DELETE FROM {MARKS} WHERE level = ? AND at = ? AND account_id = ? AND version = ?"
_CLEAR: Final = f"DELETE FROM {PARTS} WHERE account_id = ? AND name = ? AND level = ? AND at = ?"
_INSERT: Final = f"INSERT INTO {PARTS} (account_id, name, level, at, content) VALUES (?, ?, ?, ?, ?)"
_MARK_PARTS: Final = (
    f"INSERT INTO {MARKS} (level, at, account_id, version) "
    f"SELECT DISTINCT level, at, account_id, random() FROM {PARTS} WHERE true "
    "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version"
)
_BELOW: Final = "SELECT id FROM accounts WHERE id != ? AND tree LIKE ? ORDER BY created, id LIMIT ?"


def marked_slots(connection: sqlite3.Connection, account_ids: Sequence[str], first: Millis, end: Millis) -> list[Slot]:
    """Return the marked slots of these accounts in a range of time."""
    accounts = encode(account_ids)
    return [
        Slot(account_id, Level(number), at)
        for level in Level
        for account_id, number, at in connection.execute(_MARKED, (int(level), first, end, accounts))
    ]


def parts(
    connection: sqlite3.Connection, account_ids: Sequence[str], cube: str, run: Run, *, bins: bool
) -> list[tuple[Slot, Part]]:
    """Return the parts of one cube in a run of slots."""
    if run.by_hour:
        return [
            (Slot(account_id, Level.DAY, at), decode_hours(cube, hours))
            for account_id in account_ids
            for at, hours, _ in connection.execute(
                _CELLS, (account_id, cube + _HOURS, int(Level.DAY), run.first, run.end)
            )
        ]
    statement = _CELLS_AND_BINS if bins else _CELLS
    return [
        (Slot(account_id, run.level, at), decode_part(cube, cells, histograms))
        for account_id in account_ids
        for at, cells, histograms in connection.execute(
            statement, (account_id, cube, int(run.level), run.first, run.end)
        )
    ]


def _source(selection: RowSelection, shelf: str, first: tuple[Millis, str], end: Millis) -> tuple[str, list[Any]]:
    """Return `FROM ... WHERE ...` for the recordings after a position in a range of time."""
    owner = selection.owner_id is not None
    at = column(selection.field.value)
    terms: list[tuple[str, Any]] = [("account_id = ?", selection.account_id), ("shelf = ?", shelf)]
    terms += [("owner_id = ?", selection.owner_id)] if owner else []
    text = " AND ".join((*(term for term, _ in terms), f"({at}, id) > (?, ?)", f"{at} < ?"))
    index = index_of(OrderField(selection.field.value), owner=owner)
    return f"FROM {TABLE} INDEXED BY {index} WHERE {text}", [*(value for _, value in terms), *first, end]


def examined(connection: sqlite3.Connection, selection: RowSelection, limit: int) -> int:
    """Return the number of recordings in the ranges of a selection, at most `limit`."""
    found = 0
    for shelf in selection.shelves:
        for first, end in selection.ranges:
            source, values = _source(selection, shelf, (first, ""), end)
            statement = f"SELECT count(*) FROM (SELECT 1 {source} LIMIT ?)"
            found += connection.execute(statement, [*values, limit - found]).fetchone()[0]
    return found


def rows_after(
    connection: sqlite3.Connection, selection: RowSelection, shelf: str, first: tuple[Millis, str], end: Millis
) -> tuple[list[CountedRow], tuple[Millis, str] | None]:
    """Return the next recordings after a position in a range of time, and the position to continue from, if any."""
    source, values = _source(selection, shelf, first, end)
    text, others = where.condition(selection.where)
    at = column(selection.field.value)
    statement = (
        f"SELECT id, {at}, json_extract(media, '$.length'), {_COLUMNS} {source} AND {text} ORDER BY {at}, id LIMIT ?"
    )
    found = connection.execute(statement, [*values, *others, ROWS]).fetchall()
    rows = [CountedRow(found_at, columns, length) for _, found_at, length, *columns in found]
    return rows, (found[-1][1], found[-1][0]) if len(found) == ROWS else None


def marks_to_count(connection: sqlite3.Connection, level: Level, before: Millis, limit: int) -> list[Mark]:
    """Return marks of slots that end by an instant, latest first."""
    found = connection.execute(_TO_COUNT, (int(level), before - level.length, limit))
    return [Mark(Slot(account_id, Level(number), at), version) for account_id, number, at, version in found]


def save_counted(connection: sqlite3.Connection, slots: Sequence[CountedSlot]) -> None:
    """Replace the parts of slots whose marks have still the same version, and remove the marks."""
    for counted in slots:
        slot = counted.mark.slot
        place = (int(slot.level), slot.at, slot.account_id)
        if connection.execute(_REMOVE, (*place, counted.mark.version)).rowcount == 1:
            _replace_parts(connection, slot, counted.parts)
            if (parent := slot.parent) is not None:
                connection.execute(_MARK, (int(parent.level), parent.at, parent.account_id))


def _replace_parts(connection: sqlite3.Connection, slot: Slot, counted: Sequence[Part]) -> None:
    for part in counted:
        contents = {part.cube: encode_cells(part), part.cube + _BINS: encode_bins(part)}
        if part.cube in BY_HOUR and slot.level is Level.DAY:
            contents[part.cube + _HOURS] = encode_hours(part)
        for name, content in contents.items():
            place = (slot.account_id, name, int(slot.level), slot.at)
            connection.execute(_CLEAR, place)
            if is_stored(part):
                connection.execute(_INSERT, (*place, content))


def mark_all(connection: sqlite3.Connection) -> int:
    """Mark all slots that have recordings or parts."""
    connection.execute(MARK_EXISTING)
    connection.execute(_MARK_PARTS)
    return marked_count(connection)


def marked_count(connection: sqlite3.Connection) -> int:
    """Return the number of marked quarter-hours."""
    found = connection.execute(f"SELECT count(*) FROM {MARKS} WHERE level = ?", (int(Level.QUARTER),)).fetchone()
    return int(found[0])


def descendants(connection: sqlite3.Connection, account_id: str, limit: int) -> list[str]:
    """Return the ids of the accounts below an account. A tree is a JSON list of ids, which need no escapes."""
    return [found for (found,) in connection.execute(_BELOW, (account_id, f'%"{account_id}"%', limit))]
