"""Recordings in SQLite. Each function runs one method of the store on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import starmap
from typing import Any, Final, cast

from adapters.metadata.facets import facets_of
from adapters.metadata.metadata_terms import TERMS, terms_of
from adapters.metadata.row_fields import decode_column, encode
from adapters.metadata.selections import FACETS
from adapters.metadata.sqlite import event_table
from adapters.metadata.sqlite.migrations import CHANGE_CLOCK, DUE, LEASED, OVERDUE, TABLE, column
from recordings.model.feed_event import FeedEvent
from recordings.model.fields import FIELDS, PARTS, FieldType, RecordingRow, names_of, value_of
from recordings.model.instants import Millis
from recordings.model.query import prefix_end
from recordings.model.recording import IN_PROGRESS, ROW_FIELDS, Recording, State
from recordings.ports.recording_store import Claim, DueState, Taken, Unique

log: Final = logging.getLogger(__name__)
_JSON: Final = frozenset(names_of(FieldType.OBJECT, FieldType.FREE_FORM))
_COLUMNS: Final = ", ".join(column(name) for name in ROW_FIELDS)
_ID: Final = ROW_FIELDS.index("id")
_WRITTEN: Final = ", ".join((_COLUMNS, *PARTS, FACETS, TERMS, "changed"))
"""The columns of a row, those of the parts of its objects, its facets, its terms, and the time of the change."""
_NOW: Final = f"(SELECT at FROM {CHANGE_CLOCK})"
_VALUES: Final = ", ".join((*["?"] * (len(ROW_FIELDS) + len(PARTS) + 2), _NOW))
INSERT: Final = f"INSERT INTO {TABLE} ({_WRITTEN}) VALUES ({_VALUES})"
_SAVE: Final = f"UPDATE {TABLE} SET ({_WRITTEN}) = ({_VALUES}) WHERE id = ? AND revision = ?"
_OTHER_ROW: Final = f"SELECT 1 FROM {TABLE} WHERE id != :own AND"
_FIND_DUPLICATE: Final = {
    Unique.ID: f"{_OTHER_ROW} id = :id",
    Unique.ACTIVE_CALL: f"{_OTHER_ROW} account_id = :account_id AND active_call = :active_call",
    Unique.START_KEY: f"{_OTHER_ROW} account_id = :account_id AND start_key = :start_key",
    Unique.SOURCE: f"{_OTHER_ROW} account_id = :account_id AND held_source = :held_source",
}
HOLDERS: Final = (
    f"SELECT {_COLUMNS} FROM {TABLE} WHERE account_id = ? AND held_source >= ? AND held_source < ? ORDER BY created, id"
)
HELD: Final = (
    f"SELECT {_COLUMNS} FROM {TABLE} WHERE node = ? AND state IN ({', '.join('?' * len(IN_PROGRESS))}) "
    "ORDER BY created, id LIMIT ?"
)
DUE_FIRST: Final = (
    f"SELECT rowid, id, due_at FROM {TABLE} INDEXED BY {DUE} "
    "WHERE node IS ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"
)
OVERDUE_FIRST: Final = (
    f"SELECT rowid, id, due_at FROM {TABLE} INDEXED BY {OVERDUE} "
    "WHERE due_at IS NOT NULL AND node IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?"
)
RELEASE: Final = (
    f"UPDATE {TABLE} INDEXED BY {LEASED} SET lease = NULL, due_at = ?, revision = revision + 1, changed = {_NOW} "
    f"WHERE lease IS NOT NULL AND lease >= ? AND lease < ?"
)
_CLAIM: Final = (
    f"UPDATE {TABLE} SET lease = ?, due_at = ?, revision = revision + 1, changed = {_NOW} WHERE rowid = ? "
    f"RETURNING {_COLUMNS}"
)


def values_of(recording: Recording) -> list[Any]:
    """Return the column values of a recording: in the order of `ROW_FIELDS`, then those of indexes only."""
    row = recording.to_row()
    values = [encode(value) if name in _JSON and value is not None else value for name, value in row.items()]
    terms = terms_of(row["user_metadata"])
    indexed = (facets_of(row), None if terms is None else encode(terms))
    return [*values, *(value_of(row, name) for name in PARTS), *indexed]


@lru_cache(maxsize=256)
def _builder(names: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
    # Generates one function for each set of fields, as `namedtuple` generates its classes. A dict display costs 60 % of
    # `dict(zip(...))`, and building the dicts is the largest cost of a page outside SQLite.
    if not set(names) <= set(FIELDS):
        raise ValueError("only the names of row fields may become code")
    values = [f"v{place}" for place in range(len(names))]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    build: Callable[..., dict[str, Any]] = eval(f"lambda {', '.join(values)}: {{{items}}}")  # noqa: S307 - built from checked field names
    return build


def read(cursor: Iterable[tuple[Any, ...]], names: Sequence[str]) -> list[RecordingRow]:
    """Return all rows of a cursor as dicts, with JSON columns decoded."""
    # `list` reads all tuples from SQLite before any dict is built: alternating between the two is slower.
    rows = list(starmap(_builder(tuple(names)), list(cursor)))
    for name in _JSON.intersection(names):
        decode_column(rows, name)
    return cast("list[RecordingRow]", rows)


def _recordings(cursor: Iterable[tuple[Any, ...]]) -> list[Recording]:
    return [Recording.from_row(row) for row in read(cursor, ROW_FIELDS)]


def _readable(cursor: Iterable[tuple[Any, ...]]) -> list[Recording]:
    """Return the recordings of a cursor for the background work. Skip a damaged row, so that it stops no other work."""
    found: list[Recording] = []
    for values in list(cursor):
        try:
            found += _recordings([values])
        except Exception:
            log.exception("recording %s cannot be read: its row in the metadata store is damaged", values[_ID])
    return found


def insert(connection: sqlite3.Connection, recording: Recording, event: FeedEvent | None = None) -> None:
    """Insert a recording and its event, or raise `Taken` with the value that exists."""
    try:
        connection.execute(INSERT, values_of(recording))
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording) or error from error
    if event is not None:
        event_table.add(connection, event)


def _taken(connection: sqlite3.Connection, recording: Recording, own: str = "") -> Taken | None:
    names = ("id", "account_id", "active_call", "start_key", "held_source")
    parameters = {name: getattr(recording, name) for name in names}
    parameters["own"] = own
    duplicates = (
        unique for unique, statement in _FIND_DUPLICATE.items() if connection.execute(statement, parameters).fetchone()
    )
    return next((Taken(unique) for unique in duplicates), None)


def save(connection: sqlite3.Connection, recording: Recording, expected: int, event: FeedEvent | None = None) -> bool:
    """Replace a recording, and add its event, if its revision is the expected one.

    Raise `Taken` if another recording has a unique value.
    """
    try:
        is_written = connection.execute(_SAVE, [*values_of(recording), recording.id, expected]).rowcount == 1
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording, own=recording.id) or error from error
    if is_written and event is not None:
        event_table.add(connection, event)
    return is_written


def remove(connection: sqlite3.Connection, recording_id: str) -> None:
    """Remove a recording."""
    connection.execute(f"DELETE FROM {TABLE} WHERE id = ?", (recording_id,))


def rows(connection: sqlite3.Connection, ids: Collection[str], names: Sequence[str]) -> dict[str, RecordingRow]:
    """Return the rows with these ids, by id."""
    columns = ", ".join(column(name) for name in names)
    single = len(ids) == 1
    # A list of any length is one parameter, so that all lengths share one prepared statement.
    comparison = "= ?" if single else "IN (SELECT value FROM json_each(?))"
    parameter = next(iter(ids)) if single else encode(list(ids))
    found = read(connection.execute(f"SELECT {columns} FROM {TABLE} WHERE id {comparison}", (parameter,)), names)
    return {row["id"]: row for row in found}


def found_by(field: str) -> str:
    """Return the statement that finds an account's newest recordings by an indexed field."""
    return (
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE account_id = ? AND {column(field)} = ? "
        "ORDER BY created DESC, id DESC LIMIT ?"
    )


def find(connection: sqlite3.Connection, account_id: str, field: str, value: str, limit: int = 1) -> list[Recording]:
    """Return an account's newest recordings with this value in an indexed field."""
    return _recordings(connection.execute(found_by(field), (account_id, value, limit)))


def find_holders(connection: sqlite3.Connection, account_id: str, source: str) -> list[Recording]:
    """Return the recordings that hold an uploaded file, oldest first."""
    return _recordings(connection.execute(HOLDERS, (account_id, source, prefix_end(source))))


def held_by(connection: sqlite3.Connection, node: str, limit: int) -> list[Recording]:
    """Return the recordings in progress on a node, oldest first."""
    return _readable(connection.execute(HELD, (node, *sorted(IN_PROGRESS), limit)))


def claim_due(connection: sqlite3.Connection, claim: Claim) -> list[Recording]:
    """Lease due recordings to the claimer, oldest first. The transaction around this call blocks other claimers."""
    due = {
        item for node in (None, claim.node) for item in connection.execute(DUE_FIRST, (node, claim.now, claim.limit))
    }
    due.update(connection.execute(OVERDUE_FIRST, (claim.overdue_before, claim.limit)))
    lease = encode({"holder": claim.holder, "until": claim.until})
    oldest = sorted(due, key=lambda item: (item[2], item[1]))[: claim.limit]
    # By `rowid`, which the due index also holds: an update by id would need another index look-up for each row.
    claims = ((lease, claim.until, number) for number, _, _ in oldest)
    return [item for each in claims for item in _readable(connection.execute(_CLAIM, each).fetchall())]


def due_states(connection: sqlite3.Connection, node: str, now: Millis, limit: int) -> list[DueState]:
    """Return how many of the first `limit` due recordings are in each state."""
    statement = (
        f"SELECT state, count(*), min(due_at) FROM (SELECT state, due_at FROM {TABLE} INDEXED BY {DUE} "
        "WHERE node IS :none AND due_at <= :now UNION ALL "
        f"SELECT state, due_at FROM {TABLE} INDEXED BY {DUE} WHERE node IS :node AND due_at <= :now LIMIT :limit) "
        "GROUP BY state"
    )
    values = {"none": None, "node": node, "now": now, "limit": limit}
    return [DueState(State(state), *figures) for state, *figures in connection.execute(statement, values)]


def release_leases(connection: sqlite3.Connection, holder: str, now: Millis) -> int:
    """Make the recordings due that a dead holder had leased. Return their number."""
    # The stored lease is a text that begins with its holder, so all leases of one holder are adjacent in the index.
    first = encode({"holder": holder}).removesuffix("}") + ","
    return connection.execute(RELEASE, (now, first, prefix_end(first))).rowcount


def watermark(connection: sqlite3.Connection) -> Millis:
    """Return the instant after the last commit. Every later transaction advances the clock to it or beyond."""
    return int(connection.execute(f"SELECT at + 1 FROM {CHANGE_CLOCK}").fetchone()[0])


def scan(connection: sqlite3.Connection, after: str, limit: int, names: Sequence[str]) -> list[RecordingRow]:
    """Return rows of all accounts with an id above `after`, ordered by id."""
    columns = ", ".join(column(name) for name in names)
    statement = f"SELECT {columns} FROM {TABLE} WHERE id > ? ORDER BY id LIMIT ?"
    return read(connection.execute(statement, (after, limit)), names)
