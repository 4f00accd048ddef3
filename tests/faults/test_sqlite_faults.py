"""A SQLite file that is damaged, replaced, removed, locked or read-only."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite.file_health import FileHealth
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.account import Account
from recordings.model.query import PageRequest, Query
from recordings.ports.recording_store import StoreUnavailableError
from tests.contract.metadata.samples import recording as sample
from tests.e2e.server import Server, command, until

ACCOUNT = "a" * 32
PAGE = 4_096


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = await filled(tmp_path)
    yield made
    await made.close()


async def filled(folder: Path) -> SqliteStore:
    """A store with some hundred recordings, all of them in the main file."""
    made = SqliteStore(folder)
    await made.open()
    await made.add_account(Account(id=ACCOUNT, name="x", created=0))
    for number in range(300):
        await made.insert(sample(account_id=ACCOUNT, call_id=f"call-{number}"))
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def pages_of(path: Path, name: str) -> list[int]:
    """Return the offsets of the pages of a table or an index."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            rows = connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,)).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot name the pages of a table")
    return [(number - 1) * PAGE for (number,) in rows]


@pytest.mark.parametrize("garbage", [bytes(PAGE), b"\xa5" * PAGE], ids=["zeros", "garbage"])
@pytest.mark.parametrize("name", ["recordings", "recordings_by_start", "accounts"])
async def test_a_damaged_page_is_found_at_the_start_and_no_read_answers_none(
    tmp_path: Path, name: str, garbage: bytes
) -> None:
    await (await filled(tmp_path)).close()
    for start in pages_of(tmp_path / FILE, name):
        overwrite(tmp_path / FILE, start, garbage)
    store = SqliteStore(tmp_path)
    await store.open()
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await store.ping()
    if name != "accounts":
        with pytest.raises(StoreUnavailableError):
            await store.page(Query(account_id=ACCOUNT), PageRequest(limit=10))
    for read in (store.account("unknown"), store.load("unknown"), store.key_by_hash("0" * 64), store.users(ACCOUNT)):
        with pytest.raises(StoreUnavailableError):
            await read
    with pytest.raises(StoreUnavailableError):
        await store.is_token_revoked("token")
    await store.close()


async def test_a_page_that_is_damaged_while_the_file_is_open_is_found_by_a_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(tmp_path)
    for start in pages_of(tmp_path / FILE, "sqlite_autoindex_recordings_1"):
        overwrite(tmp_path / FILE, start, bytes(PAGE))
    await store.close()
    store = SqliteStore(tmp_path)
    monkeypatch.setattr(FileHealth, "quick_check", lambda *_: True)
    await store.open()
    await store.ping()
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await store.load("unknown")
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await store.ping()
    await store.close()


def remove(path: Path) -> None:
    path.unlink()


def replace_by_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def rename(path: Path) -> None:
    path.rename(path.with_name("moved"))


def remove_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


@pytest.mark.parametrize("change", [remove, replace_by_copy, rename, remove_log])
async def test_no_write_is_acknowledged_after_the_file_was_replaced_or_removed(
    store: SqliteStore, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    await store.ping()
    change(tmp_path / FILE)
    with pytest.raises(StoreUnavailableError, match="replaced or removed"):
        await store.insert(sample(account_id=ACCOUNT))
    with pytest.raises(StoreUnavailableError, match="restart the server"):
        await store.ping()
    with pytest.raises(StoreUnavailableError):
        await store.load("unknown")


async def test_a_file_that_was_emptied_is_damaged(store: SqliteStore, tmp_path: Path) -> None:
    os.truncate(tmp_path / FILE, 0)
    with pytest.raises(StoreUnavailableError):
        await store.insert(sample(account_id=ACCOUNT))


async def test_the_write_ahead_log_is_reduced_after_a_long_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.metadata.sqlite.database.MAX_WAL_BYTES", 100_000)
    monkeypatch.setattr("adapters.metadata.sqlite.database.CHECKPOINT_PAGES", 1_000)
    store = await filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM recordings").fetchone()
        await store._database.write(
            lambda connection: connection.execute("CREATE TABLE big AS SELECT randomblob(20000000) AS x")
        )
        assert (tmp_path / f"{FILE}-wal").stat().st_size > 20_000_000
        reader.execute("COMMIT")
    for _ in range(5):
        await store.insert(sample(account_id=ACCOUNT))
    assert (tmp_path / f"{FILE}-wal").stat().st_size < 1_000_000
    await store.close()


def test_a_server_on_a_damaged_file_is_not_ready(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.stop()
    for name in ("recordings", "recordings_due", "recordings_held", "recordings_leased"):
        for start in pages_of(tmp_path / "data" / FILE, name):
            overwrite(tmp_path / "data" / FILE, start, bytes(PAGE))
    server = Server(tmp_path / "data")
    server.launch()
    try:
        body = until(lambda: answer(server))
        assert body["parts"]["metadata"] == "failing"
        assert "damaged" in server.log.read_text()
    finally:
        server.kill()


def answer(server: Server) -> dict[str, dict[str, str]]:
    try:
        response = httpx.get(f"{server.url}/readyz")
    except httpx.TransportError:
        return {}
    assert response.status_code == 503
    found: dict[str, dict[str, str]] = response.json()
    return found


def test_a_file_that_is_no_database_is_an_error_in_words(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert command("account", "create", "Acme", data=data).returncode == 0
    (data / FILE).write_bytes(b"no database" * 1_000)
    result = command("account", "create", "Acme", data=data)
    assert result.returncode == 1
    assert "the metadata store cannot be opened: SQLite: file is not a database" in result.stderr
