"""The SQLite file: its mode, its connections, its reads and its writes.

One thread does all writes. It does all waiting writes in one transaction, so that they share one `fsync`. Each write
has its own savepoint, so a failed write does not affect the others. No write is acknowledged before the COMMIT. Other
threads do the reads, which see the last commit.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from adapters.metadata.sqlite.database_threads import Call, ConnectionThreads, Outcome, QueuedCall, StoreClosedError
from adapters.metadata.sqlite.migrations import migrate
from recordings.ports.recording_store import StoreUnavailableError

MIN_SQLITE_VERSION: Final = (3, 37)
"""The first SQLite with STRICT tables."""
READERS: Final = 3
READERS_PER_ACCOUNT: Final = 2
"""How many readers the pages and counts of one account may occupy: in a large account each takes seconds."""
MAX_BATCH: Final = 256
"""Maximum number of writes in one transaction."""
BUSY_SECONDS: Final = 10.0
"""How long (seconds) a write waits for another process's transaction before it fails."""
READ_SECONDS: Final = 30.0
"""Maximum time (seconds) of one read. A longer read is interrupted."""
UNAVAILABLE_CODES: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL,
})  # fmt: skip
"""SQLite's result codes if another process locked the file too long, a read was interrupted, or the disk is full."""
_PRIMARY_CODE_MASK: Final = 0xFF
STEPS_PER_CHECK: Final = 100_000
"""How many steps of SQLite's virtual machine a read runs between two checks of its deadline."""


class Database:
    """One SQLite file in WAL mode. Call `open` before use. Several processes may use the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: ConnectionThreads | None = None
        self._writer: ConnectionThreads | None = None

    async def open(self) -> None:
        """Create the file if it does not exist, migrate its schema and start the threads."""
        writing, reading = await asyncio.to_thread(self._connect)
        self._writer = ConnectionThreads("sqlite-writer", [writing], commit_together, MAX_BATCH)
        self._reader = ConnectionThreads("sqlite-reader", reading, read_one, per_account=READERS_PER_ACCOUNT)

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
        """Finish all queued calls and close the file."""
        for threads in (self._reader, self._writer):
            if threads is not None:
                await threads.close()

    async def read(self, call: Call, account_id: str | None = None) -> Any:
        """Run a read. It sees every write acknowledged before. A read that may be slow names its account."""
        return await _run_call(self._reader, call, account_id)

    async def write(self, call: Call) -> Any:
        """Run a write in a transaction that it may share with other writes. It is on the disk when this returns."""
        return await _run_call(self._writer, call)


async def _run_call(threads: ConnectionThreads | None, call: Call, account_id: str | None = None) -> Any:
    if threads is None:
        raise StoreClosedError("the metadata store is not open")
    try:
        return await threads.run(call, account_id)
    except TimeoutError as error:
        raise StoreUnavailableError("too many calls wait for the SQLite file") from error
    except sqlite3.OperationalError as error:
        # The lowest byte of an extended result code is the primary result code.
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE_MASK in UNAVAILABLE_CODES:
            raise StoreUnavailableError(f"the SQLite file does not answer: {error}") from error
        raise


def create(path: Path) -> None:
    """Create an empty file that only its owner may read, unless the file exists."""
    if sqlite3.sqlite_version_info < MIN_SQLITE_VERSION:
        raise RuntimeError(f"SQLite {sqlite3.sqlite_version} is too old: install SQLite 3.37 or later")
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        # SQLite gives its -wal and -shm files the mode of the main file.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a connection. Only one thread at a time may use it. `mode` is `rw` or `ro`."""
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
    # If two processes switch a new file to WAL at once, SQLite reports "locked" to one of them without waiting.
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


def read_one(connection: sqlite3.Connection, queued: Sequence[QueuedCall]) -> list[Outcome]:
    """Run one read. Interrupt it if it takes too long or if its caller no longer waits."""
    read, deadline = queued[0], time.monotonic() + READ_SECONDS
    connection.set_progress_handler(lambda: read.is_abandoned or time.monotonic() > deadline, STEPS_PER_CHECK)
    try:
        return [(read(connection), None)]
    except Exception as error:  # noqa: BLE001 - the caller receives it
        return [(None, error)]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def commit_together(connection: sqlite3.Connection, calls: Sequence[Call]) -> list[Outcome]:
    """Run writes in one transaction. If the transaction fails, all of them fail."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_run_in_savepoint(connection, call) for call in calls]
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - the caller receives it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [(None, error)] * len(calls)
    return outcomes


def _run_in_savepoint(connection: sqlite3.Connection, call: Call) -> Outcome:
    connection.execute("SAVEPOINT one")
    try:
        result = call(connection)
    except Exception as error:
        if not connection.in_transaction:
            # SQLite rolled back the whole transaction, for example on a full disk: no write of it was done.
            raise
        connection.execute("ROLLBACK TO one")
        return None, error
    else:
        return result, None
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE one")
