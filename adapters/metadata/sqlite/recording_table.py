"""Recordings in SQLite. Each function runs one method of the store on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice, starmap
from typing import Any, Final, cast

from adapters.metadata.account_turns import MAX_ACCOUNTS, take_turns
from adapters.metadata.facets import facets_of
from adapters.metadata.metadata_terms import TERMS, terms_of
from adapters.metadata.row_fields import decode_texts, encode
from adapters.metadata.selections import FACETS
from adapters.metadata.sqlite import event_table
from adapters.metadata.sqlite.migrations import CHANGE_CLOCK, DUE, LEASED, OVERDUE, TABLE, column
from adapters.metadata.sqlite.stats_schema import MARK_SLOT
from adapters.metadata.sqlite.terms_schema import ADD_TERMS
from recordings.model.feed_event import FeedEvent
from recordings.model.fields import FIELDS, PARTS, FieldType, RecordingRow, names_of, value_of
from recordings.model.instants import Millis
from recordings.model.query import prefix_end
from recordings.model.recording import IN_PROGRESS, ROW_FIELDS, Recording, State
from recordings.model.rollup import Level
from recordings.model.work import Work, work_of
from recordings.ports.recording_store import Claim, DueState, Taken, Unique

log: Final = logging.getLogger(__name__)
_JSON: Final = frozenset(names_of(FieldType.OBJECT, FieldType.FREE_FORM))
_JSON_PLACES: Final = [place for place, name in enumerate(ROW_FIELDS) if name in _JSON]
_COLUMNS: Final = ", ".join(column(name) for name in ROW_FIELDS)
_ID: Final = ROW_FIELDS.index("id")
_WRITTEN: Final = ", ".join((_COLUMNS, *PARTS, FACETS, TERMS, "work", "changed"))
"""The columns of a row, the parts of its objects, its facets, its terms, its work, and the time of the change."""
_NOW: Final = f"(SELECT at FROM {CHANGE_CLOCK})"
_VALUES: Final = ", ".join((*["?"] * (len(ROW_FIELDS) + len(PARTS) + 3), _NOW))
INSERT: Final = f"INSERT INTO {TABLE} ({_WRITTEN}) VALUES ({_VALUES})"
INSERT_CHANGED: Final = (
    f"INSERT OR IGNORE INTO {TABLE} ({_WRITTEN}) VALUES ({', '.join('?' * (len(ROW_FIELDS) + len(PARTS) + 4))})"
)
"""Inserts a row of another store, with its own time of the change."""
_WRITTEN_NAMES: Final = (*ROW_FIELDS, *PARTS, FACETS, TERMS, "work")
_TERMS_PLACE: Final = _WRITTEN_NAMES.index(TERMS)
_BEFORE: Final = (
    f"SELECT {', '.join(column(name) for name in _WRITTEN_NAMES)} FROM {TABLE} WHERE id = ? AND revision = ?"
)
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
NEXT_ACCOUNT: Final = (
    f"SELECT min(account_id) FROM {TABLE} INDEXED BY {DUE} WHERE due_at IS NOT NULL AND work = ? AND account_id > ?"
)
DUE_FIRST: Final = (
    f"SELECT rowid, id, due_at FROM {TABLE} INDEXED BY {DUE} "
    "WHERE work = ? AND account_id = ? AND node IS ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"
)
_DUE_STATES: Final = (
    f"SELECT state, count(*), min(due_at) FROM (SELECT state, due_at FROM {TABLE} INDEXED BY {DUE} "
    "WHERE work = ? AND account_id = ? AND node IS ? AND due_at <= ? ORDER BY due_at LIMIT ?) GROUP BY state"
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
    values: list[Any] = list(row.values())
    for place in _JSON_PLACES:
        if values[place] is not None:
            values[place] = encode(values[place])
    terms = terms_of(row["user_metadata"])
    work = work_of(row["state"], value_of(row, "delivery_state"))
    indexed = (facets_of(row), None if terms is None else encode(terms), work)
    return [*values, *(value_of(row, name) for name in PARTS), *indexed]


Builder = Callable[[Mapping[str | None, Any]], Callable[..., dict[str, Any]]]


@lru_cache(maxsize=256)
def _builder(names: tuple[str, ...]) -> tuple[Builder, tuple[int, ...]]:
    """Return a function that takes the values of JSON texts and returns a function that makes a row of columns.

    With it, return the places of the JSON columns.
    """
    # Generates one function for each set of fields, as `namedtuple` generates its classes. A dict display costs 60 % of
    # `dict(zip(...))`, and building the dicts is the largest cost of a page outside SQLite.
    if not set(names) <= set(FIELDS):
        raise ValueError("only the names of row fields may become code")
    places = tuple(place for place, name in enumerate(names) if name in _JSON)
    columns = [f"v{place}" for place in range(len(names))]
    values = [f"decoded[{column}]" if place in places else column for place, column in enumerate(columns)]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    build: Builder = eval(f"lambda decoded: lambda {', '.join(columns)}: {{{items}}}")  # noqa: S307 - built from checked field names
    return build, places


def read(cursor: Iterable[tuple[Any, ...]], names: Sequence[str]) -> list[RecordingRow]:
    """Return all rows of a cursor as dicts, with JSON columns decoded."""
    build, places = _builder(tuple(names))
    # `list` reads all tuples from SQLite before any dict is built: alternating between the two is slower.
    found = list(cursor)
    decoded = decode_texts({values[place] for place in places for values in found})
    return cast("list[RecordingRow]", list(starmap(build(decoded), found)))


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
    values = values_of(recording)
    try:
        connection.execute(INSERT, values)
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording) or error from error
    note_inserted(connection, recording, values)
    if event is not None:
        event_table.add(connection, event)


def note_inserted(connection: sqlite3.Connection, recording: Recording, values: Sequence[Any]) -> None:
    """Add the terms of an inserted row, and mark its slot.

    A trigger for inserts would do this, too, but then SQLite copies each page before it changes it: about thirty.
    """
    if (terms := values[_TERMS_PLACE]) is not None:
        place = (recording.account_id, recording.shelf.value, recording.start, recording.id)
        connection.execute(ADD_TERMS, (*place, terms))
    connection.execute(MARK_SLOT, (Level.QUARTER.start(recording.start), recording.account_id))


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
    before = connection.execute(_BEFORE, (recording.id, expected)).fetchone()
    if before is None:
        return False
    # SQLite writes to the index of each named column, also if its value is the same.
    values = zip(_WRITTEN_NAMES, before, values_of(recording), strict=True)
    changed = {name: value for name, was, value in values if value != was}
    try:
        connection.execute(_save(tuple(changed)), (*changed.values(), recording.id))
    except sqlite3.IntegrityError as error:
        raise _taken(connection, recording, own=recording.id) or error from error
    if event is not None:
        event_table.add(connection, event)
    return True


@lru_cache(maxsize=256)
def _save(names: tuple[str, ...]) -> str:
    changes = ", ".join((*(f"{column(name)} = ?" for name in names), f"changed = {_NOW}"))
    return f"UPDATE {TABLE} SET {changes} WHERE id = ?"


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


def has_due(connection: sqlite3.Connection, claim: Claim) -> bool:
    """Return true if `claim_due` would lease a recording now."""
    return bool(_due(connection, replace(claim, limit=1)))


def claim_due(connection: sqlite3.Connection, claim: Claim) -> list[Recording]:
    """Lease due recordings to the claimer. The transaction around this call blocks other claimers."""
    lease = encode({"holder": claim.holder, "until": claim.until})
    # By `rowid`, which the due index also holds: an update by id would need another index look-up for each row.
    claims = ((lease, claim.until, number) for number, _, _ in _due(connection, claim))
    return [item for each in claims for item in _readable(connection.execute(_CLAIM, each).fetchall())]


_Due = tuple[int, str, Millis]
"""The `rowid`, `id` and `due_at` of a due recording."""


def _due(connection: sqlite3.Connection, claim: Claim) -> Sequence[_Due]:
    if claim.work is not None:
        return take_turns(_due_by_account(connection, claim, claim.work), claim.limit)
    found = set(connection.execute(OVERDUE_FIRST, (claim.overdue_before, claim.limit)))
    if claim.node is not None:
        found.update(item for work in Work for each in _due_by_account(connection, claim, work) for item in each)
    return sorted(found, key=_age)[: claim.limit]


def _age(item: _Due) -> tuple[Millis, str]:
    return item[2], item[1]


def _due_by_account(connection: sqlite3.Connection, claim: Claim, work: Work) -> Iterator[list[_Due]]:
    """Yield the oldest due recordings of one account after another, until there are enough."""
    found = 0
    for account_id in islice(_accounts_with(connection, work, claim.after), MAX_ACCOUNTS):
        room = claim.room_of(account_id)
        if room > 0:
            of_account = [
                item
                for node in (None, claim.node)
                for item in connection.execute(DUE_FIRST, (work, account_id, node, claim.now, room))
            ]
            if of_account:
                yield sorted(of_account, key=_age)[:room]
                found += 1
        # Without `work` the oldest ones are wanted, and they may be of any account.
        if found >= claim.limit and claim.work is not None:
            return


def _accounts_with(connection: sqlite3.Connection, work: Work, first: str) -> Iterator[str]:
    """Yield the accounts that have this kind of work, due or not, from the one after `first` on, and around."""
    for after, last in ((first, None), ("", first)) if first else (("", None),):
        account_id = after
        while (account_id := connection.execute(NEXT_ACCOUNT, (work, account_id)).fetchone()[0]) is not None:
            if last is not None and account_id > last:
                return
            yield account_id


def due_states(connection: sqlite3.Connection, node: str, now: Millis, limit: int) -> list[DueState]:
    """Return how many due recordings are in each state. Up to `limit` are counted, of up to `MAX_ACCOUNTS` accounts."""
    counted: dict[str, DueState] = {}
    left = limit
    for work in Work:
        for account_id in islice(_accounts_with(connection, work, ""), MAX_ACCOUNTS):
            for holder in (None, node):
                for name, count, first in connection.execute(_DUE_STATES, (work, account_id, holder, now, left)):
                    before = counted.get(name, DueState(State(name), 0, first))
                    counted[name] = DueState(before.state, before.count + count, min(before.first_due, first))
                    left -= count
    return list(counted.values())


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
