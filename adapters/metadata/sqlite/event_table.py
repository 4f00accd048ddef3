"""Events in SQLite. Each function runs one method of the store on a connection, in its thread.

An event is one row, which the transaction of its recording writes. Transactions follow one another, so the order of
`seq` is that of the commits, and no event becomes visible before one with a smaller `seq`.
"""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import heapq
import sqlite3
import time
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any, Final

from recordings.model.feed_event import EventPosition, EventType, FeedEvent
from recordings.model.instants import LATEST, Millis
from recordings.ports.event_store import NewEvents

TABLE: Final = "events"
_COLUMNS: Final = "account_id, subject, revision, type, time, stamp, state, reason, duration_ms"

STATEMENTS: Final = (
    f"""CREATE TABLE {TABLE} (
        seq INTEGER PRIMARY KEY,
        account_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        revision INTEGER NOT NULL,
        type TEXT NOT NULL,
        time INTEGER NOT NULL,
        stamp INTEGER NOT NULL,
        state TEXT,
        reason TEXT,
        duration_ms INTEGER
    ) STRICT""",
    f"CREATE INDEX events_of_account ON {TABLE} (account_id, stamp)",
)
"""The migration that creates the table."""
_VALUES: Final = "?, ?, ?, ?, ?, (SELECT at FROM change_clock), ?, ?, ?"
_INSERT: Final = f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES ({_VALUES})"
_INSERT_NEW: Final = (
    f"INSERT INTO {TABLE} ({_COLUMNS}) SELECT {_VALUES} WHERE NOT EXISTS (SELECT 1 FROM {TABLE} "
    "WHERE account_id = ? AND subject = ? AND revision = ?)"
)
OF_ACCOUNT: Final = (
    f"SELECT {_COLUMNS} FROM {TABLE} WHERE account_id = ? AND stamp >= ? AND stamp < ? "
    "AND (stamp, subject, revision) > (?, ?, ?) ORDER BY stamp, subject, revision LIMIT ?"
)
AFTER_SEQ: Final = f"SELECT seq, {_COLUMNS} FROM {TABLE} WHERE seq > ? ORDER BY seq LIMIT ?"
MAX_BATCH: Final = 512
"""How many new events are read at once."""
_LOOK_SECONDS: Final = 0.01
"""How often a watch looks for a commit of any process. A look takes a few microseconds."""
_WAIT_SECONDS: Final = 0.25
"""How long one call waits for new events."""


def add(connection: sqlite3.Connection, event: FeedEvent) -> None:
    """Add an event in the transaction of its change."""
    connection.execute(_INSERT, _values_of(event))


def add_once(connection: sqlite3.Connection, event: FeedEvent) -> None:
    """Add an event unless the account has one with its subject and revision."""
    connection.execute(_INSERT_NEW, (*_values_of(event), event.account_id, event.subject, event.revision))


def _values_of(event: FeedEvent) -> tuple[Any, ...]:
    return (
        event.account_id, event.subject, event.revision, event.type, event.time,
        event.state, event.reason, event.duration_ms,
    )  # fmt: skip


def events(
    connection: sqlite3.Connection,
    account_ids: Collection[str],
    after: EventPosition,
    below: Millis | None,
    limit: int,
) -> list[FeedEvent]:
    """Return the first events of these accounts after a position, in one snapshot."""
    connection.execute("BEGIN")
    below = LATEST if below is None else below
    found = [_events(connection.execute(OF_ACCOUNT, (each, after.stamp, below, *after, limit))) for each in account_ids]
    return list(islice(heapq.merge(*found, key=lambda event: event.position), limit))


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the number of the last event, 0 if there is none."""
    return int(connection.execute(f"SELECT coalesce(max(seq), 0) FROM {TABLE}").fetchone()[0])


def wait_for_events(connection: sqlite3.Connection, seq: int) -> tuple[NewEvents, int]:
    """Return the events after a number, and the number of the last one. Wait a short time if there are none."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        version = _data_version(connection)
        found, last = _new_events(connection, seq)
        if found.events or time.monotonic() > deadline:
            return found, last
        while _data_version(connection) == version and time.monotonic() <= deadline:
            time.sleep(_LOOK_SECONDS)


def _new_events(connection: sqlite3.Connection, seq: int) -> tuple[NewEvents, int]:
    connection.execute("BEGIN")
    try:
        rows = connection.execute(AFTER_SEQ, (seq, MAX_BATCH)).fetchall()
        (now,) = connection.execute("SELECT at FROM change_clock").fetchone()
    finally:
        connection.execute("ROLLBACK")
    found = _events(row[1:] for row in rows)
    # The last transaction of a full batch may have more events.
    complete_to = now + 1 if len(rows) < MAX_BATCH else found[-1].stamp
    return NewEvents(sorted(found, key=lambda event: event.position), complete_to), rows[-1][0] if rows else seq


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _events(rows: Iterable[tuple[Any, ...]]) -> list[FeedEvent]:
    return [
        FeedEvent(
            account_id=account_id,
            subject=subject,
            revision=revision,
            type=EventType(kind),
            time=at,
            stamp=stamp,
            state=state,
            reason=reason,
            duration_ms=duration_ms,
        )
        for account_id, subject, revision, kind, at, stamp, state, reason, duration_ms in rows
    ]
