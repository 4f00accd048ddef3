"""The file: who may open it, how, and how reads and writes are done on it.

Writes are done by one thread, many in one transaction: those that wait when it comes round share one `fsync`. Each has
a savepoint of its own, so one that fails takes no other down, and none is acknowledged before the COMMIT. Reads have
threads of their own and see the last commit.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from adapters.metadata.sqlite.database_threads import Call, Job, Lane, Outcome, StoreClosedError
from adapters.metadata.sqlite.migrations import migrate
from recordings.ports.recording_store import StoreUnavailableError

OLDEST: Final = (3, 37)
"""The first SQLite with STRICT tables."""
READERS: Final = 3
SHARE: Final = 2
"""How many of them the pages and counts of one account may have: those of a large one take seconds."""
BATCH: Final = 256
"""Most writes in one transaction."""
BUSY_SECONDS: Final = 10.0
"""How long a write waits for another process's transaction before it fails."""
READ_SECONDS: Final = 30.0
"""The longest that one read may take before it is interrupted."""
AWAY: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL,
})  # fmt: skip
"""What SQLite says when another process kept the file for too long, a read was interrupted, or the disk is full."""
_GENERAL: Final = 0xFF
STEPS: Final = 100_000
"""How many steps of SQLite's machine lie between two looks at the clock."""


class Database:
    """One SQLite file in WAL mode. `open` before use; safe beside other processes on the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Lane | None = None
        self._writer: Lane | None = None

    async def open(self) -> None:
        """Make the file if there is none, bring its schema up to date, start the threads."""
        writing, reading = await asyncio.to_thread(self._connect)
        self._writer = Lane("sqlite-writer", [writing], commit_together, BATCH)
        self._reader = Lane("sqlite-reader", reading, read_one, share=SHARE)

    def _connect(self) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
        create(self._path)
        writing = connect(self._path, "rw")
        try:
            migrate(writing)
        except BaseException:
            writing.close()
            raise
        return writing, [connect(self._path, "ro") for _ in range(READERS)]

    async def close(self) -> None:
        """Finish what waits and close the file."""
        for lane in (self._reader, self._writer):
            if lane is not None:
                await lane.close()

    async def read(self, call: Call, whose: str | None = None) -> Any:
        """Do a read; it sees every write that was acknowledged before. One that may take long is some account's."""
        return await _do(self._reader, call, whose)

    async def write(self, call: Call) -> Any:
        """Do a write, inside a transaction that others may share; on the disk when this returns."""
        return await _do(self._writer, call)


async def _do(lane: Lane | None, call: Call, whose: str | None = None) -> Any:
    if lane is None:
        raise StoreClosedError("the metadata store is not open")
    try:
        return await lane.do(call, whose)
    except TimeoutError as error:
        raise StoreUnavailableError("too much waits for the SQLite file") from error
    except sqlite3.OperationalError as error:
        # Extended codes have the general one in their lowest byte.
        if getattr(error, "sqlite_errorcode", 0) & _GENERAL in AWAY:
            raise StoreUnavailableError(f"the SQLite file does not answer: {error}") from error
        raise


def create(path: Path) -> None:
    """Make an empty file that its owner alone may read; one that is there stays as it is."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise RuntimeError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or later is needed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        # SQLite gives its -wal and -shm files the mode of the main one.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection for one thread at a time; `mode` is `rw` or `ro`."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    if mode == "rw":
        _until_unlocked(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    for pragma in ("synchronous = FULL", "temp_store = MEMORY", "cache_size = -65536", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _until_unlocked(action: Callable[[], object]) -> None:
    # Two processes that turn a new file to WAL at once: SQLite tells one of them "locked" without having waited.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            action()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def read_one(connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Outcome]:
    """Do one read, and interrupt it when it takes too long, or nobody waits for it any more."""
    job, deadline = jobs[0], time.monotonic() + READ_SECONDS
    connection.set_progress_handler(lambda: job.is_given_up or time.monotonic() > deadline, STEPS)
    try:
        return [(job(connection), None)]
    except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
        return [(None, error)]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def commit_together(connection: sqlite3.Connection, calls: Sequence[Call]) -> list[Outcome]:
    """Do writes in one transaction; what fails as a whole fails for each of them."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_apart(connection, call) for call in calls]
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [(None, error)] * len(calls)
    return outcomes


def _apart(connection: sqlite3.Connection, call: Call) -> Outcome:
    connection.execute("SAVEPOINT one")
    try:
        result = call(connection)
    except Exception as error:
        if not connection.in_transaction:
            # SQLite gave up the whole transaction (a full disk): nothing of it happened, for anybody.
            raise
        connection.execute("ROLLBACK TO one")
        return None, error
    else:
        return result, None
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE one")
