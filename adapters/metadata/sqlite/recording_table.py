"""Recordings in SQLite: what each method of the port does on a connection, in the connection's thread."""

# ruff: noqa: S608 - the names in these statements are ours, the values are parameters

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import starmap
from typing import Any, Final

from adapters.metadata.index_ranges import scans, walks_down
from adapters.metadata.row_fields import FREE_FORM, chosen, decode_column, encode
from adapters.metadata.sqlite import where
from adapters.metadata.sqlite.migrations import DUE, LEASED, STRANDED, TABLE, column
from recordings.model.instants import Millis
from recordings.model.query import Page, PageRequest, Query, prefix_end
from recordings.model.recording import IN_PROGRESS, ROW_FIELDS, Recording
from recordings.ports.recording_store import Claim, Taken, Unique

Row = dict[str, Any]

_JSON: Final = frozenset({"options", "spans", "media", "delivery", "hold", "applied", "lease", *FREE_FORM})
_COLUMNS: Final = ", ".join(column(name) for name in ROW_FIELDS)
_MARKS: Final = ", ".join("?" * len(ROW_FIELDS))
INSERT: Final = f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES ({_MARKS})"
_SAVE: Final = f"UPDATE {TABLE} SET ({_COLUMNS}) = ({_MARKS}) WHERE id = ? AND revision = ?"
_OTHER: Final = f"SELECT 1 FROM {TABLE} WHERE id != :own AND"
_UNIQUE: Final = {
    Unique.ID: f"{_OTHER} id = :id",
    Unique.ACTIVE_CALL: f"{_OTHER} account_id = :account_id AND active_call = :active_call",
    Unique.START_KEY: f"{_OTHER} account_id = :account_id AND start_key = :start_key",
}
HELD: Final = (
    f"SELECT {_COLUMNS} FROM {TABLE} WHERE node = ? AND state IN ({', '.join('?' * len(IN_PROGRESS))}) "
    "ORDER BY created, id LIMIT ?"
)
DUE_FIRST: Final = (
    f"SELECT rowid, id, due_at FROM {TABLE} INDEXED BY {DUE} "
    "WHERE node IS ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"
)
STRANDED_FIRST: Final = (
    f"SELECT rowid, id, due_at FROM {TABLE} INDEXED BY {STRANDED} "
    "WHERE due_at IS NOT NULL AND node IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?"
)
RELEASE: Final = (
    f"UPDATE {TABLE} INDEXED BY {LEASED} SET lease = NULL, due_at = ?, revision = revision + 1 "
    f"WHERE lease IS NOT NULL AND lease >= ? AND lease < ?"
)
_CLAIM: Final = (
    f"UPDATE {TABLE} SET lease = ?, due_at = ?, revision = revision + 1 WHERE rowid = ? RETURNING {_COLUMNS}"
)


def values_of(recording: Recording) -> list[Any]:
    """What the columns hold of a recording."""
    row = recording.to_row()
    return [encode(value) if name in _JSON and value is not None else value for name, value in row.items()]


@lru_cache(maxsize=256)
def _builder(names: tuple[str, ...]) -> Callable[..., Row]:
    # A function of its own for each choice of fields, as `namedtuple` makes its classes: written out, a dict costs 60 %
    # of `dict(zip(...))`, and that is the larger part of what a page costs beyond SQLite itself.
    if not set(names) <= set(ROW_FIELDS):
        raise ValueError("only fields of a row become code")
    values = [f"v{place}" for place in range(len(names))]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    build: Callable[..., Row] = eval(f"lambda {', '.join(values)}: {{{items}}}")  # noqa: S307 - made of our own names
    return build


def read(cursor: Iterable[tuple[Any, ...]], names: Sequence[str]) -> list[Row]:
    """Rows by name, with their nested parts as plain values."""
    # All from SQLite first, then all rows: by turns the two cost more.
    rows = list(starmap(_builder(tuple(names)), list(cursor)))
    for name in _JSON.intersection(names):
        decode_column(rows, name)
    return rows


def _recordings(cursor: Iterable[tuple[Any, ...]]) -> list[Recording]:
    return [Recording.from_row(row) for row in read(cursor, ROW_FIELDS)]


def insert(connection: sqlite3.Connection, recording: Recording) -> None:
    """Keep a new one; `Taken` says what was there."""
    try:
        connection.execute(INSERT, values_of(recording))
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording) or error from error


def _taken(connection: sqlite3.Connection, recording: Recording, own: str = "") -> Taken | None:
    named = {name: getattr(recording, name) for name in ("id", "account_id", "active_call", "start_key")}
    named["own"] = own
    broken = (unique for unique, statement in _UNIQUE.items() if connection.execute(statement, named).fetchone())
    return next((Taken(unique) for unique in broken), None)


def save(connection: sqlite3.Connection, recording: Recording, expected: int) -> bool:
    """Replace it if its revision is the expected one; `Taken` if that would take what another one has."""
    try:
        return connection.execute(_SAVE, [*values_of(recording), recording.id, expected]).rowcount == 1
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording, own=recording.id) or error from error


def remove(connection: sqlite3.Connection, recording_id: str) -> None:
    """Forget it."""
    connection.execute(f"DELETE FROM {TABLE} WHERE id = ?", (recording_id,))


def rows(connection: sqlite3.Connection, ids: Collection[str], names: Sequence[str]) -> dict[str, Row]:
    """Rows by id."""
    columns = ", ".join(column(name) for name in names)
    one = len(ids) == 1
    # A list of any length is one parameter, and so one prepared statement.
    which = "= ?" if one else "IN (SELECT value FROM json_each(?))"
    given = next(iter(ids)) if one else encode(list(ids))
    found = read(connection.execute(f"SELECT {columns} FROM {TABLE} WHERE id {which}", (given,)), names)
    return {row["id"]: row for row in found}


def page(connection: sqlite3.Connection, query: Query, request: PageRequest) -> Page:
    """One page: at most two ranges of an index, seen at one moment."""
    names = chosen(request.fields, query.order.field)
    parts = scans(query, request)
    down = walks_down(query, request)
    found: list[Row] = []
    if len(parts) > 1:
        connection.execute("BEGIN")
    for part in parts:
        left = request.limit + 1 - len(found)
        if left > 0:
            found += read(connection.execute(*where.page(query, part, names, down=down, limit=left)), names)
    has_more = len(found) > request.limit
    del found[request.limit :]
    return Page(found[::-1] if request.backward else found, has_more)


def count(connection: sqlite3.Connection, query: Query) -> int:
    """How many a query has."""
    return int(connection.execute(*where.count(query)).fetchone()[0])


def found_by(field: str) -> str:
    """The statement that finds an account's newest by an indexed field."""
    return (
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE account_id = ? AND {column(field)} = ? "
        "ORDER BY created DESC, id DESC LIMIT ?"
    )


def find(connection: sqlite3.Connection, account_id: str, field: str, value: str, limit: int = 1) -> list[Recording]:
    """The newest of an account with this value in an indexed field."""
    return _recordings(connection.execute(found_by(field), (account_id, value, limit)))


def held_by(connection: sqlite3.Connection, node: str, limit: int) -> list[Recording]:
    """Those in progress on a node, oldest first."""
    return _recordings(connection.execute(HELD, (node, *sorted(IN_PROGRESS), limit)))


def claim_due(connection: sqlite3.Connection, claim: Claim) -> list[Recording]:
    """Lease what is due, oldest first. The transaction around this keeps every other claimer out."""
    due = {
        item for node in (None, claim.node) for item in connection.execute(DUE_FIRST, (node, claim.now, claim.limit))
    }
    due.update(connection.execute(STRANDED_FIRST, (claim.stranded, claim.limit)))
    text = encode({"holder": claim.holder, "until": claim.until})
    oldest = sorted(due, key=lambda item: (item[2], item[1]))[: claim.limit]
    # By the row's own number, which the index has too: what is due lies anywhere, and so would each look-up of an id.
    claims = ((text, claim.until, number) for number, _, _ in oldest)
    return [item for each in claims for item in _recordings(connection.execute(_CLAIM, each).fetchall())]


def release_leases(connection: sqlite3.Connection, holder: str, now: Millis) -> int:
    """Make due what a dead holder had."""
    # A lease is kept as text that begins with its holder, so the leases of one lie side by side in their index.
    first = encode({"holder": holder}).removesuffix("}") + ","
    return connection.execute(RELEASE, (now, first, prefix_end(first))).rowcount


def scan(connection: sqlite3.Connection, after: str, limit: int, names: Sequence[str]) -> list[Row]:
    """Rows by id."""
    columns = ", ".join(column(name) for name in names)
    statement = f"SELECT {columns} FROM {TABLE} WHERE id > ? ORDER BY id LIMIT ?"
    return read(connection.execute(statement, (after, limit)), names)
