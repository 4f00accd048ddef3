"""The SQLite file: its mode, its connections, its reads and its writes.

One thread does all writes. It does all waiting writes in one transaction, so that they share one `fsync`. A failed
write does not affect the others: the transaction is then done again, with a savepoint for each write. No write is
acknowledged before the COMMIT. Other threads do the reads, which see the last commit.

Each transaction first advances the change clock by at least one, in its own write. All recordings that it writes get
this instant as `changed`. Transactions follow one another, so the `changed` of a commit is later than that of every
earlier commit, also across processes, restarts and steps of the machine's clock. So the watermark of the readers of
changes is the instant after the last commit.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from adapters.metadata.sqlite.database_threads import Call, ConnectionThreads, Outcome, QueuedCall, StoreClosedError
from adapters.metadata.sqlite.file_health import FileHealth
from adapters.metadata.sqlite.migrations import CHANGE_CLOCK, migrate
from recordings.ports.recording_store import StoreFullError, StoreUnavailableError

MIN_SQLITE_VERSION: Final = (3, 37)
"""The first SQLite with STRICT tables."""
READERS: Final = 2
SLOW_READERS: Final = 2
"""Readers for the counts, and for the pages that examine more than their own rows. They leave the others free."""
SLOW_READERS_PER_ACCOUNT: Final = 1
"""How many of them one account may occupy."""
CACHE_BYTES: Final = 32 << 20
"""Memory for the cached pages of all connections of a process. The writer has half of it, because a transaction that
does not fit writes its pages twice. The readers share the rest."""
SMALL_CACHE_BYTES: Final = 2 << 20
"""The cache of a connection that reads little or reads each page once. It is SQLite's default."""
MAX_BATCH: Final = 256
"""Maximum number of writes in one transaction."""
BUSY_SECONDS: Final = 5.0
"""How long (seconds) a write waits for another process's transaction before it fails."""
READ_SECONDS: Final = 30.0
"""Maximum time (seconds) of one read. A longer read is interrupted."""
UNAVAILABLE_CODES: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
})  # fmt: skip
"""SQLite's result codes if another process locked the file too long, or if a read was interrupted. The others mean that
the disk is full, broken or read-only."""
CHECKPOINT_PAGES: Final = 8_000
"""The length (pages) of the write-ahead log at which SQLite copies it to the file. An insert changes about thirty index
pages; with a long log most of them are copied once for many inserts. SQLite's default is 1 000."""
MAX_WAL_BYTES: Final = 64 << 20
"""After a checkpoint, SQLite reduces the write-ahead log to this size."""
FIRST_CHECK_SECONDS: Final = 2.0
"""Maximum time of the quick check when the file is opened. If that is too short, it is repeated in the background."""
_FULL_BYTES: Final = 64 << 10
CHECK_SECONDS: Final = 600.0
CHECK_EVERY_SECONDS: Final = 3_600.0
_PRIMARY_CODE_MASK: Final = 0xFF
_ADVANCE: Final = f"UPDATE {CHANGE_CLOCK} SET at = max(at + 1, ?)"  # noqa: S608 - a constant
STEPS_PER_CHECK: Final = 100_000
"""How many steps of SQLite's virtual machine a read runs between two checks of its deadline."""


class Database:
    """One SQLite file in WAL mode. Call `open` before use. Several processes may use the same file."""

    def __init__(self, path: Path, release: Callable[[], bool] | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        """`release` frees a reserve on a full disk. It returns false if there is none."""
        self._release = release or (lambda: False)
        self._cache_bytes = cache_bytes
        self._path = path
        self._health = FileHealth(path)
        self._checking: asyncio.Task[None] | None = None
        self._reader: ConnectionThreads | None = None
        self._slow_reader: ConnectionThreads | None = None
        self._writer: ConnectionThreads | None = None
        self._watcher: ConnectionThreads | None = None
        self._opening_watcher: asyncio.Task[None] | None = None

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._path

    async def open(self) -> None:
        """Create the file if it does not exist, migrate its schema and start the threads."""
        writing, reading = await asyncio.to_thread(self._connect_with_reserve)
        run_batch = partial(commit_together, before=self._health.require_same_file, begin=advance_clock)
        self._writer = ConnectionThreads("sqlite-writer", [writing], run_batch, MAX_BATCH)
        self._reader = ConnectionThreads("sqlite-reader", reading[:READERS], read_one, per_account=READERS)
        self._slow_reader = ConnectionThreads(
            "sqlite-slow-reader", reading[READERS:], read_one, per_account=SLOW_READERS_PER_ACCOUNT
        )
        is_complete = await asyncio.to_thread(self._health.quick_check, self._connect_to_check, FIRST_CHECK_SECONDS)
        self._checking = asyncio.create_task(self._check_periodically(0 if not is_complete else CHECK_EVERY_SECONDS))

    async def _check_periodically(self, wait: float) -> None:
        while True:
            await asyncio.sleep(wait)
            await asyncio.to_thread(self._health.quick_check, self._connect_to_check, CHECK_SECONDS)
            with suppress(sqlite3.Error, StoreUnavailableError):
                await asyncio.to_thread(self.empty_log)
            wait = CHECK_EVERY_SECONDS

    def _connect_to_check(self) -> sqlite3.Connection:
        return connect(self._path, "ro")

    def empty_log(self) -> None:
        """Copy the write-ahead log to the file and empty it, because it can contain deleted content. Blocks.

        If another connection uses the log now, it stays as it is. `StoreUnavailableError` as in `check`.
        """
        self.check()
        with closing(connect(self._path, "rw", seconds=0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def check(self) -> None:
        """Raise `StoreUnavailableError` if the file is damaged, or was replaced or removed."""
        self._health.require_same_file()
        if self._health.problem is not None:
            raise StoreUnavailableError(self._health.problem)

    def _connect_with_reserve(self) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
        try:
            return self._connect()
        except sqlite3.Error as error:
            # SQLite needs space for its shared memory file, also to read.
            if not self._is_disk_full(error) or not self._release():
                raise
            return self._connect()

    def _connect(self) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
        create(self._path)
        half = self._cache_bytes // 2
        count = READERS + SLOW_READERS
        with ExitStack() as opened:
            writing = opened.enter_context(closing(connect(self._path, "rw", cache_bytes=half)))
            migrate(writing)
            reading = [
                opened.enter_context(closing(connect(self._path, "ro", cache_bytes=half // count)))
                for _ in range(count)
            ]
            self._health.note_opened()
            opened.pop_all()
        return writing, reading

    async def close(self) -> None:
        """Finish all queued calls and close the file."""
        if self._checking is not None:
            self._checking.cancel()
        if self._opening_watcher is not None:
            await asyncio.wait([self._opening_watcher])
        for threads in (self._watcher, self._reader, self._slow_reader, self._writer):
            if threads is not None:
                await threads.close()

    async def read(self, call: Call, account_id: str | None = None, turn_seconds: float | None = None) -> Any:
        """Run a read. It sees every write acknowledged before. A read that may be slow names its account.

        `turn_seconds` is how long it waits for other slow reads, before it raises `TooManyQueries`.
        """
        threads = self._reader if account_id is None else self._slow_reader
        result = await self._run_call(threads, call, account_id, turn_seconds)
        self._health.require_trusted(result)
        return result

    async def watch(self, call: Call) -> Any:
        """Run a read that waits for a commit. It has a thread of its own, which no other read waits for."""
        if self._watcher is None:
            # The connection is opened once, also if a caller leaves meanwhile.
            opening = self._opening_watcher = self._opening_watcher or asyncio.create_task(self._open_watcher())
            await asyncio.shield(opening)
        return await self._run_call(self._watcher, call)

    async def _open_watcher(self) -> None:
        try:
            connection = await asyncio.to_thread(connect, self._path, "ro")
            self._watcher = ConnectionThreads("sqlite-watcher", [connection], read_one)
        finally:
            self._opening_watcher = None

    async def write(self, call: Call) -> Any:
        """Run a write in a transaction that it may share with other writes. It is on the disk when this returns."""
        try:
            return await self._run_call(self._writer, call)
        except StoreFullError:
            if not await asyncio.to_thread(self._release):
                raise
            return await self._run_call(self._writer, call)

    def _is_disk_full(self, error: sqlite3.Error) -> bool:
        # SQLite reports some writes to a full disk as an I/O error.
        if (getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY_CODE_MASK == sqlite3.SQLITE_FULL:
            return True
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            return disk.f_bavail * disk.f_frsize < _FULL_BYTES
        return False

    async def _run_call(
        self,
        threads: ConnectionThreads | None,
        call: Call,
        account_id: str | None = None,
        turn_seconds: float | None = None,
    ) -> Any:
        if threads is None:
            raise StoreClosedError("the metadata store is not open")
        try:
            return await threads.run(call, account_id, turn_seconds)
        except TimeoutError as error:
            raise StoreUnavailableError("too many calls wait for the SQLite file") from error
        except sqlite3.Error as error:
            if self._health.note_error(error):
                raise StoreUnavailableError(self._health.problem) from error
            # The lowest byte of an extended result code is the primary result code.
            if (getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY_CODE_MASK in UNAVAILABLE_CODES:
                if self._is_disk_full(error):
                    raise StoreFullError("the disk of the SQLite file is full") from error
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


def connect(
    path: Path, mode: str, seconds: float = BUSY_SECONDS, cache_bytes: int = SMALL_CACHE_BYTES
) -> sqlite3.Connection:
    """Open a connection. Only one thread at a time may use it. `mode` is `rw` or `ro`.

    `seconds` is how long it waits for another connection's lock, and `cache_bytes` the limit of its cached pages.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _configure(connection, mode, cache_bytes)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, mode: str, cache_bytes: int) -> None:
    if mode == "rw":
        _until_unlocked(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    # Deleted content is overwritten with zeros.
    connection.execute("PRAGMA secure_delete = ON")
    # A negative size is in KiB.
    connection.execute(f"PRAGMA cache_size = -{cache_bytes >> 10}")
    for pragma in ("synchronous = FULL", "temp_store = MEMORY", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


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


def commit_together(
    connection: sqlite3.Connection,
    calls: Sequence[Call],
    before: Callable[[], None] = lambda: None,
    begin: Call = lambda _connection: None,
) -> list[Outcome]:
    """Run writes in one transaction, after the check `before` and `begin`. If it fails, all of them fail.

    If one write fails, the transaction is done again with a savepoint for each, so that the others succeed. Savepoints
    from the beginning would make SQLite copy each page before it changes it.
    """
    try:
        before()
        outcomes = _run_all(connection, calls, begin)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - the caller receives it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [(None, error)] * len(calls)
    return outcomes


def _run_all(connection: sqlite3.Connection, calls: Sequence[Call], begin: Call) -> list[Outcome]:
    _begin(connection, begin)
    try:
        return [(call(connection), None) for call in calls]
    except Exception:
        if len(calls) == 1:
            raise
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    _begin(connection, begin)
    return [_run_in_savepoint(connection, call) for call in calls]


def _begin(connection: sqlite3.Connection, begin: Call) -> None:
    connection.execute("BEGIN IMMEDIATE")
    begin(connection)


def advance_clock(connection: sqlite3.Connection) -> None:
    """Advance the change clock for the current transaction."""
    connection.execute(_ADVANCE, (time.time_ns() // 1_000_000,))


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
