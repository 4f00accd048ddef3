"""Behaviour of the SQLite store only: the file, its schema, shared transactions and the threads."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.sqlite import SqliteStore, database, database_threads
from adapters.metadata.sqlite.database import READ_SECONDS, READERS, SLOW_READERS, Database, commit_together
from adapters.metadata.sqlite.database_threads import Call, ConnectionThreads, Outcome, StoreClosedError
from adapters.metadata.sqlite.migrations import MIGRATIONS, SchemaTooNewError
from adapters.metadata.sqlite.sqlite_store import FILE
from adapters.metadata.sqlite.terms_schema import add_functions
from recordings.model.account import Account
from recordings.model.errors import TooManyQueries
from recordings.model.events import Purged, Trashed
from recordings.model.fields import PARTS
from recordings.model.instants import LATEST
from recordings.model.query import HasMetadata, PageRequest, Query
from recordings.model.recording import ROW_FIELDS, Applied, State
from recordings.model.work import Work
from recordings.ports.recording_store import Claim, StoreUnavailableError, Taken
from recordings.rules.lifecycle import apply
from tests.contract.metadata.samples import AUDIO, NOW, full, loaded, put_copies, put_older, recording
from tests.contract.metadata.test_claims import claim, of_account
from tests.support.sqlite_template import CREATE_EMPTY

ROOT = Path(__file__).parents[3]
PERSON = "+4930123456789"


@pytest.fixture(autouse=True)
def _migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store migrate its new files, as the product does."""
    monkeypatch.setattr("adapters.metadata.sqlite.database.create", CREATE_EMPTY)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def beside(store: SqliteStore, tmp_path: Path) -> Any:
    """A separate connection, which acts like that of another process."""
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


async def everything(store: SqliteStore) -> int:
    return (await store.count(Query(account_id="account"))).number


def run_python(program: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_every_field_has_a_column(beside: sqlite3.Connection) -> None:
    columns = beside.execute("SELECT name FROM pragma_table_info('recordings')").fetchall()
    # In any order: all statements name their columns.
    assert sorted(name for (name,) in columns) == sorted(
        (*ROW_FIELDS, *PARTS, "facets", "metadata_terms", "work", "changed")
    )


async def test_the_connections_share_the_page_cache(tmp_path: Path) -> None:
    def cached_kib(connection: sqlite3.Connection) -> int:
        return -int(connection.execute("PRAGMA cache_size").fetchone()[0])

    store = SqliteStore(tmp_path, cache_bytes=16 << 20)
    await store.open()
    database = store._database
    sizes = [await database.write(cached_kib), await database.read(cached_kib), await database.read(cached_kib, "a")]
    await store.close()
    assert sizes == [8 << 10, 2 << 10, 2 << 10]
    assert sizes[0] + READERS * sizes[1] + SLOW_READERS * sizes[2] == 16 << 10


def test_only_the_owner_can_read_the_file(beside: sqlite3.Connection, tmp_path: Path) -> None:
    beside.execute("BEGIN IMMEDIATE")
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()}
    assert modes == {FILE: "0o600", f"{FILE}-wal": "0o600", f"{FILE}-shm": "0o600"}


def test_the_folder_is_created(tmp_path: Path) -> None:
    async def open_and_close() -> None:
        made = SqliteStore(tmp_path / "new" / "folder")
        await made.open()
        await made.close()

    asyncio.run(open_and_close())
    assert (tmp_path / "new" / "folder" / FILE).is_file()


async def test_writes_are_synchronous(store: SqliteStore) -> None:
    def pragma(name: str) -> Any:
        return lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert await store._database.write(pragma("journal_mode")) == "wal"
    assert await store._database.write(pragma("synchronous")) == 2


def files_with(text: str, folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if text.encode() in path.read_bytes()]


async def purge_a_person(folder: Path, *, with_log: bool = False) -> None:
    """Store and purge a recording with `PERSON` in every text. Look for it in the files on the disk."""
    store = SqliteStore(folder)
    await store.open()
    # A long text fills pages of its own, which become free.
    metadata = {"person": PERSON, "notes": PERSON * 2_000}
    texts = dict.fromkeys(
        ("from_", "to", "name", "label", "caller_id_name", "caller_id_number", "callee_id_name"), PERSON
    )
    texts |= dict.fromkeys(("request", "endpoint_id", "reason_detail", "start_key", "start_fingerprint"), PERSON)
    shown = {"from_": f"{PERSON}@x.sip.invalid", "applied": (Applied(PERSON, "stop"),), "imported": {"a": PERSON}}
    for _ in range(40):
        kept = recording(**texts | shown, user_metadata=metadata, custom_channel_vars=metadata, media=AUDIO)
        await store.insert(kept)
        deleted = apply(kept, Trashed(at=NOW, by="admin", purge_at=NOW))
        assert await store.save(deleted, kept.revision)
        gone = apply(deleted, Purged(at=NOW))
        assert PERSON not in str(gone)
        assert await store.save(gone, deleted.revision)
    if with_log:
        await asyncio.to_thread(store._database.empty_log)
    else:
        await store.close()
    found = files_with(PERSON, folder)
    await store.close()
    assert found == []


async def test_a_claim_that_finds_nothing_writes_nothing(store: SqliteStore) -> None:
    wanted = Claim(now=NOW, until=NOW + 1, holder="me", node="n1", limit=8, overdue_before=NOW)
    await store.insert(full(due_at=NOW + 1, lease=None, node=None))
    before = await store.watermark()
    for work in (None, *Work):
        for node in ("n1", None):
            assert await store.claim_due(replace(wanted, work=work, node=node)) == []
    assert await store.watermark() == before
    assert len(await store.claim_due(replace(wanted, now=NOW + 1))) == 1
    assert await store.watermark() > before


async def test_purged_content_is_not_in_the_file(tmp_path: Path) -> None:
    await purge_a_person(tmp_path)


async def test_purged_content_is_not_in_the_write_ahead_log(tmp_path: Path) -> None:
    await purge_a_person(tmp_path, with_log=True)


async def test_an_existing_file_overwrites_deleted_content_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
    await purge_a_person(tmp_path)


async def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailableError, match="readonly"):
        await store._database.read(lambda connection: connection.execute("DELETE FROM recordings"))


def test_acknowledged_inserts_survive_a_kill(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from adapters.metadata.sqlite import SqliteStore
from tests.contract.metadata.samples import recording, unique

async def work(store):
    while True:
        await store.insert(given := recording())
        print(given.id, flush=True)

async def main():
    store = SqliteStore(pathlib.Path(sys.argv[1]))
    await store.open()
    await asyncio.gather(*(work(store) for _ in range(8)))

asyncio.run(main())
"""
    child = run_python(program, str(tmp_path))
    assert child.stdout is not None
    with child.stdout as output:
        acknowledged = [output.readline().strip() for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in output if line.endswith("\n")]
    child.wait()

    async def missing() -> list[str]:
        store = SqliteStore(tmp_path)
        await store.open()
        found = await store.rows(acknowledged, frozenset())
        await store.close()
        return [each for each in acknowledged if each not in found]

    assert len(acknowledged) >= 200
    assert asyncio.run(missing()) == []


def test_many_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from adapters.metadata.sqlite import SqliteStore
from tests.contract.metadata.samples import recording

async def main():
    store = SqliteStore(pathlib.Path(sys.argv[1]))
    await store.open()
    await store.insert(recording(id=sys.argv[2]))
    await store.close()

asyncio.run(main())
"""
    children = [run_python(program, str(tmp_path), f"id{number}") for number in range(4)]
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0] * 4
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT count(*) FROM recordings").fetchone() == (4,)
    connection.close()


async def test_an_empty_file_of_version_0_is_migrated(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    made = SqliteStore(tmp_path)
    await made.open()
    await made.insert(full())
    await made.close()


def rewrite_as_version(version: int, folder: Path) -> None:
    """Replace a file by one of an older version, with the same rows in the tables and columns of that version."""
    latest = (folder / FILE).rename(folder / "latest.sqlite3")
    with sqlite3.connect(folder / FILE) as connection:
        add_functions(connection)
        for statement in (statement for step in MIGRATIONS[:version] for statement in step):
            connection.execute(statement)
        connection.commit()
        connection.execute("ATTACH ? AS latest", (str(latest),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
            found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
            columns = ", ".join(f'"{name}"' for (name,) in found)
            connection.execute(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM latest.{table}")  # noqa: S608 - own names
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


async def test_rows_of_version_6_get_their_end_time(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    expected = await put_older(made)
    await made.close()
    rewrite_as_version(6, tmp_path)
    await made.open()
    assert {name: (await loaded(made, name)).ended for name in expected} == expected
    await made.close()


async def test_one_of_the_copies_of_version_8_holds_its_file(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    expected = await put_copies(made)
    await made.close()
    rewrite_as_version(8, tmp_path)
    await made.open()
    assert {name: (await loaded(made, name)).held_source for name in expected} == expected
    await made.close()


async def test_tombstones_of_earlier_versions_lose_names_and_texts(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    given = recording(state=State.PURGED, trashed_by="Ada", trashed_reason="Ada asked", call_id="+4930", cdr_id="c")
    await made.insert(given)
    await made.close()
    rewrite_as_version(23, tmp_path)
    await made.open()
    bare = replace(given, trashed_by=None, trashed_reason=None, call_id="", cdr_id=None, interaction_id=None)
    assert await made.load(given.id) == replace(bare, source_sha256=None)
    await made.close()


@pytest.mark.parametrize("work", Work)
async def test_due_work_of_version_24_is_claimed_by_its_kind(tmp_path: Path, work: Work) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    due = of_account("a", work)
    await made.insert(due)
    await made.close()
    rewrite_as_version(24, tmp_path)
    await made.open()
    assert [each.id for each in await claim(made, work=work)] == [due.id]
    await made.close()


async def test_accounts_of_version_15_get_their_parent(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    accounts = [Account("a", "x", 1), Account("b", "x", 2, ("a",)), Account("c", "x", 3, ("a", "b"))]
    for account in accounts:
        await made.add_account(account)
    await made.close()
    rewrite_as_version(15, tmp_path)
    await made.open()
    children = [await made.children(account.id, PageRequest(limit=9)) for account in accounts]
    assert children == [accounts[1:2], accounts[2:], []]
    await made.close()


async def test_rows_of_version_18_get_the_terms_of_their_metadata(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    one, two = recording(user_metadata={"case": 7}), recording(id="two")
    await made.insert(one)
    await made.insert(two)
    await made.close()
    rewrite_as_version(18, tmp_path)
    await made.open()
    query = Query(account_id=one.account_id, where=HasMetadata("case", 7))
    assert [row["id"] for row in (await made.page(query, PageRequest(limit=9))).rows] == [one.id]
    assert await made.save(replace(one, user_metadata={"case": 8}, revision=one.revision + 1), one.revision)
    assert (await made.page(query, PageRequest(limit=9))).rows == []
    await made.close()


async def test_rows_of_version_10_have_no_reference(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    given = replace(full(), reference=None, policy=None, consent=None)
    await made.insert(given)
    await made.close()
    rewrite_as_version(10, tmp_path)
    await made.open()
    assert await made.load(given.id) == given
    await made.close()


async def test_rows_of_version_13_are_changes_of_their_last_revision(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    old = recording(modified=4_000_000_000_000)
    await made.insert(old)
    await made.close()
    rewrite_as_version(13, tmp_path)
    await made.open()
    # The clock continues after the latest change, also if that one is in the future.
    new = recording()
    await made.insert(new)
    rows = await made.rows([old.id, new.id], frozenset({"changed"}))
    assert rows[old.id]["changed"] == 4_000_000_000_000 < rows[new.id]["changed"]
    await made.close()


async def test_a_failed_migration_leaves_the_file_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (*MIGRATIONS, ("CREATE TABLE extra (x)", "CREATE TABLE recordings (x)"))
    monkeypatch.setattr("adapters.metadata.sqlite.migrations.MIGRATIONS", steps)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await SqliteStore(tmp_path).open()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


async def test_a_file_of_a_later_release_is_rejected(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()
    with pytest.raises(SchemaTooNewError, match="schema 1000"):
        await SqliteStore(tmp_path).open()


async def test_an_old_sqlite_library_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(RuntimeError, match=r"3\.37 or later"):
        await SqliteStore(tmp_path).open()


async def test_a_failed_write_does_not_affect_others(store: SqliteStore, beside: sqlite3.Connection) -> None:
    there = recording()
    await store.insert(there)
    # While another process writes, the writes of this process wait. Then they share a transaction.
    beside.execute("BEGIN IMMEDIATE")
    given = [recording() for _ in range(5)]
    inserts = [asyncio.ensure_future(store.insert(each)) for each in (*given[:2], there, *given[2:])]
    await asyncio.sleep(0.1)
    beside.execute("COMMIT")
    outcomes = await asyncio.gather(*inserts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [Taken] + [type(None)] * 3
    assert await everything(store) == 6


async def test_no_write_is_acknowledged_before_the_commit(store: SqliteStore, beside: sqlite3.Connection) -> None:
    beside.execute("BEGIN IMMEDIATE")
    insert = asyncio.ensure_future(store.insert(recording()))
    assert await asyncio.wait_for(everything(store), 5) == 0
    assert not insert.done()
    beside.execute("COMMIT")
    await insert


async def test_a_write_times_out_on_a_locked_file(
    tmp_path: Path, store: SqliteStore, beside: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    impatient = SqliteStore(tmp_path)
    await impatient.open()
    beside.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        await impatient.insert(recording())
    beside.execute("COMMIT")
    await impatient.insert(recording())
    await impatient.close()


async def test_a_long_read_is_interrupted(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "READ_SECONDS", 0.05)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(StoreUnavailableError, match="interrupted"):
        await store._database.read(lambda connection: connection.execute(endless).fetchone())
    assert await everything(store) == 0


def test_a_lost_transaction_fails_for_all_of_its_writes() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")

    def insert(each: sqlite3.Connection) -> None:
        each.execute("INSERT INTO t VALUES (1)")

    def fill_the_disk(each: sqlite3.Connection) -> None:
        each.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    outcomes = commit_together(connection, [insert, fill_the_disk, insert])
    assert [str(error) for _, error in outcomes] == ["database or disk is full"] * 3
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert commit_together(connection, [insert]) == [(None, None)]
    connection.close()


async def test_a_full_disk_raises_store_unavailable_until_there_is_space(store: SqliteStore) -> None:
    async def allow(pages: int) -> None:
        await store._database.write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        )

    await allow(1)
    given = recording(user_metadata={"a": "x" * 100_000})
    with pytest.raises(StoreUnavailableError, match="is full"):
        await store.insert(given)
    assert await everything(store) == 0
    await allow(2**30)
    await store.insert(given)
    assert await everything(store) == 1


async def test_a_thread_survives_an_error_of_a_batch() -> None:
    def fail_once(_: sqlite3.Connection, calls: Sequence[Call]) -> list[Outcome]:
        if not failed:
            failed.append(True)
            raise sqlite3.OperationalError("cannot roll back: disk I/O error")
        return [(call(connection), None) for call in calls]

    failed: list[bool] = []
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    made = ConnectionThreads("sqlite-test", [connection], fail_once)
    async with asyncio.timeout(20):
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            await made.run(lambda _: None)
        assert await made.run(lambda _: "done") == "done"
        await made.close()


async def test_many_writes_share_few_transactions(store: SqliteStore, beside: sqlite3.Connection) -> None:
    beside.execute("BEGIN IMMEDIATE")
    inserts = [asyncio.ensure_future(store.insert(recording())) for _ in range(100)]
    await asyncio.sleep(0.1)
    before = beside.execute("PRAGMA data_version").fetchone()[0]
    beside.execute("COMMIT")
    await asyncio.gather(*inserts)
    assert beside.execute("PRAGMA data_version").fetchone()[0] - before <= 2
    assert await everything(store) == 100


async def test_a_cancelled_write_does_not_affect_others(store: SqliteStore, beside: sqlite3.Connection) -> None:
    beside.execute("BEGIN IMMEDIATE")
    inserts = [asyncio.ensure_future(store.insert(recording())) for _ in range(4)]
    await asyncio.sleep(0.05)
    inserts[1].cancel()
    await asyncio.sleep(0)
    beside.execute("COMMIT")
    outcomes = await asyncio.gather(*inserts, return_exceptions=True)
    assert [outcome is None for outcome in outcomes] == [True, False, True, True]


async def test_close_finishes_waiting_writes_and_ends_the_threads(tmp_path: Path) -> None:
    # Other stores, shared by the tests of a module, may be open in this process.
    before = set(threading.enumerate())
    made = SqliteStore(tmp_path)
    await made.open()
    inserts = [asyncio.ensure_future(made.insert(recording())) for _ in range(50)]
    await asyncio.sleep(0)
    await made.close()
    await asyncio.gather(*inserts)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("sqlite-")]
    await made.close()
    with pytest.raises(StoreClosedError):
        await made.load("x")
    with pytest.raises(StoreClosedError):
        await made.remove("x")


async def test_a_store_that_was_never_opened_raises(tmp_path: Path) -> None:
    made = Database(tmp_path / FILE)
    await made.close()
    with pytest.raises(StoreClosedError):
        await made.read(lambda connection: None)
    with pytest.raises(StoreClosedError):
        await made.write(lambda connection: None)


async def test_the_number_of_queued_calls_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_threads, "MAX_QUEUED", 2)
    monkeypatch.setattr(database_threads, "QUEUE_TIMEOUT", 0.05)
    go = threading.Event()

    def work(_: sqlite3.Connection, calls: Sequence[Call]) -> list[Outcome]:
        go.wait()
        return [(number, None) for number, _ in enumerate(calls)]

    connection = sqlite3.connect(":memory:", check_same_thread=False)
    narrow = ConnectionThreads("narrow", [connection], work)
    waiting = [asyncio.ensure_future(narrow.run(lambda _: None)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await narrow.run(lambda _: None)
    go.set()
    assert await asyncio.gather(*waiting) == [0, 0]
    assert await narrow.run(lambda _: None) == 0
    await narrow.close()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


async def test_an_abandoned_read_is_neither_started_nor_finished(store: SqliteStore) -> None:
    started = threading.Semaphore(0)

    def endless(connection: sqlite3.Connection) -> Any:
        started.release()
        return connection.execute(ENDLESS).fetchone()

    reads = [asyncio.ensure_future(store._database.read(endless)) for _ in range(20)]
    async with asyncio.timeout(READ_SECONDS * 0.9):
        for _ in range(READERS):
            await asyncio.to_thread(started.acquire)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)
        assert await store.rows(["x"]) == {}
    assert not started.acquire(blocking=False)


@pytest.mark.parametrize("closing", [False, True])
async def test_the_reads_of_one_account_leave_threads_for_others(closing: bool) -> None:
    go, began = threading.Event(), threading.Semaphore(0)
    connections = [sqlite3.connect(":memory:", check_same_thread=False) for _ in range(3)]
    made = ConnectionThreads(
        "shared", connections, lambda connection, calls: [(calls[0](connection), None)], per_account=2
    )

    def slow(_: sqlite3.Connection) -> str:
        began.release()
        go.wait()
        return "slow"

    async with asyncio.timeout(20):
        many = [asyncio.ensure_future(made.run(slow, "large")) for _ in range(9)]
        for _ in range(2):
            await asyncio.to_thread(began.acquire)
        assert await made.run(lambda _: "quick", "small") == "quick"
        assert await made.run(lambda _: "no account") == "no account"
        assert not began.acquire(blocking=False)
        many[5].cancel()
        ending = asyncio.create_task(made.close()) if closing else None
        # Let `close` run, so that its end marker is in the queue before the reads continue.
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(*many[:5], *many[6:]) == ["slow"] * 8
        await (ending or made.close())
    assert not made._postponed
    assert not made._running


async def test_a_read_that_gets_no_turn_fails() -> None:
    go, began = threading.Event(), threading.Semaphore(0)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    made = ConnectionThreads("slow", [connection], lambda one, calls: [(calls[0](one), None)], per_account=1)

    def slow(_: sqlite3.Connection) -> str:
        began.release()
        go.wait()
        return "slow"

    async with asyncio.timeout(20):
        # The first read has begun, so it has its turn however long it takes.
        first = asyncio.ensure_future(made.run(slow, "large", turn_seconds=10.0))
        await asyncio.to_thread(began.acquire)
        with pytest.raises(TooManyQueries, match="too many slow queries"):
            await made.run(lambda _: "late", "large", turn_seconds=0.0)
        patient = asyncio.ensure_future(made.run(lambda _: "patient", "large"))
        go.set()
        assert (await first, await patient) == ("slow", "patient")
        await made.close()


async def test_an_abandoned_read_does_not_stop_the_next_one_of_its_account() -> None:
    began = threading.Semaphore(0)
    connections = [sqlite3.connect(":memory:", check_same_thread=False) for _ in range(2)]
    made = ConnectionThreads(
        "shared", connections, lambda connection, calls: [(calls[0](connection), None)], per_account=1
    )
    gates = {name: threading.Event() for name in ("first", "small", "other")}

    def blocked(gate: threading.Event) -> Call:
        def run(_: sqlite3.Connection) -> None:
            began.release()
            gate.wait()

        return run

    async def started(gate: str, account: str) -> asyncio.Future[Any]:
        running = asyncio.ensure_future(made.run(blocked(gates[gate]), account))
        await asyncio.to_thread(began.acquire)
        return running

    async with asyncio.timeout(20):
        running = [await started("first", "large")]
        second, third = (asyncio.ensure_future(made.run(lambda _: "late", "large")) for _ in range(2))
        # The queue is in order, so the two reads before this one are postponed.
        assert await made.run(lambda _: "quick", "small") == "quick"
        running.append(await started("small", "small"))
        other = asyncio.ensure_future(made.run(blocked(gates["other"]), "other"))
        await asyncio.sleep(0)
        gates["first"].set()
        # The thread queues the second read, and starts the read of the other account.
        await asyncio.to_thread(began.acquire)
        second.cancel()
        await asyncio.wait([second])
        gates["other"].set()
        assert await third == "late"
        gates["small"].set()
        await asyncio.gather(other, *running)
        await made.close()


async def test_one_connection_watches_although_a_caller_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Database(tmp_path / FILE)
    await made.open()
    opened: list[sqlite3.Connection] = []
    may_open = threading.Event()

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        may_open.wait(10)
        opened.append(original(*arguments, **options))
        return opened[-1]

    original = database.connect
    monkeypatch.setattr(database, "connect", connect)
    leaving, staying = (asyncio.create_task(made.watch(lambda _: "seen")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    may_open.set()
    assert await staying == "seen"
    await made.close()
    (connection,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_file_that_is_no_database_leaves_no_open_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noted(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            opened.append(self)

    opened: list[sqlite3.Connection] = []
    (tmp_path / FILE).write_bytes(b"no database" * 999)
    monkeypatch.setattr(sqlite3, "connect", Noted)
    with pytest.raises(sqlite3.DatabaseError):
        database.connect(tmp_path / FILE, "rw")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


async def test_a_file_that_cannot_be_created_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        await SqliteStore(tmp_path / "file").open()


async def test_a_waiting_write_does_not_block_the_event_loop(store: SqliteStore, beside: sqlite3.Connection) -> None:
    beside.execute("BEGIN IMMEDIATE")
    insert = asyncio.ensure_future(store.insert(recording()))
    slowest = 0.0
    for _ in range(50):
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        slowest = max(slowest, time.perf_counter() - start)
    beside.execute("COMMIT")
    with suppress(Taken):
        await insert
    # A blocked event loop would have waited for the other process's COMMIT.
    assert slowest < database.BUSY_SECONDS / 4


def test_the_process_ends_although_the_store_is_open(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from adapters.metadata.sqlite import SqliteStore
asyncio.run(SqliteStore(pathlib.Path(sys.argv[1])).open())
"""
    child = run_python(program, str(tmp_path))
    child.communicate(timeout=30)
    assert child.returncode == 0
    assert (tmp_path / FILE).stat().st_size > 0


async def test_expired_revoked_tokens_are_deleted_in_limited_batches(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path)
    await made.open()
    rows = [(f"old{number}", number) for number in range(250)]
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.executemany("INSERT INTO revoked_tokens VALUES (?, ?)", rows)
    connection.close()
    for remaining in (150, 50, 0, 0):
        await made.revoke_token("new", LATEST)
        found = [await made.is_token_revoked(name) for name, _ in rows]
        assert found.count(True) == remaining
        assert found == sorted(found)
    assert await made.is_token_revoked("new")
    await made.close()
