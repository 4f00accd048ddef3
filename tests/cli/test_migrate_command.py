"""`recordings migrate`: from SQLite to MongoDB and back."""

import asyncio
import json
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient

from adapters.metadata.sqlite.database import connect
from adapters.metadata.stored_kinds import KINDS
from graph.migration.compare_rows import rows_of
from graph.server.data_lock import lock_data_folder
from recordings.model.audit_entry import AuditFilter
from recordings.model.feed_event import BEGINNING
from tests.cli.conftest import CommandLine
from tests.cli.test_backup_command import Place
from tests.support.filled_installation import ACCOUNT

SQLITE_FILE = "recordings.sqlite3"


@pytest.fixture
def both(
    cli: CommandLine, mongodb_uri: str, mongodb_database: str, mongodb_client: MongoClient[Any]
) -> tuple[Place, Place]:
    """The same data folder with SQLite, and with MongoDB."""
    return Place(cli), Place(cli, mongodb_uri, mongodb_database, mongodb_client)


def _encoded(row: Any) -> str:
    return json.dumps(row, sort_keys=True)


async def content(store: Any) -> dict[str, list[Any]]:
    found = {}
    for kind in KINDS:
        if kind.is_copied:
            found[str(kind.table)] = sorted([row async for row in rows_of(store, kind)], key=_encoded)
    return found


async def used(store: Any) -> tuple[Any, ...]:
    """Read through the methods that servers use."""
    events = await store.events([ACCOUNT], BEGINNING, None, 10_000)
    trail = await store.trail_page(AuditFilter(account_id=ACCOUNT), 100)
    ids = [row["id"] for row in await store.scan("", 1_000, frozenset({"id"}))]
    recordings = [await store.load(each) for each in ids]
    return (
        events,
        [entry for entry in trail.entries if entry.writer == "n1"],
        recordings,
        await store.accounts(),
        await store.users(ACCOUNT),
        await store.keys(ACCOUNT),
        await store.account_secrets(10),
        await store.webhooks(ACCOUNT, 10),
        await store.webhook_attempts("w1", 10),
        await store.retention_run(ACCOUNT),
        await store.installation(),
        await store.is_token_revoked("t1"),
        await store.access_state(ACCOUNT, ["u1"], None),
    )


def test_there_and_back_is_the_same(both: tuple[Place, Place]) -> None:
    sqlite, mongodb = both
    sqlite.fill(40)
    before, read = sqlite.work(content), sqlite.work(used)
    counted = mongodb.report("migrate", "--from", "sqlite", "--to", "mongodb")
    assert counted == {name: len(rows) for name, rows in before.items()}
    assert counted["events"] > 40 * 2
    assert all(counted.values())
    assert "migrated to mongodb" in sqlite.run("account", "list", expected=1).stderr
    assert mongodb.work(content) == before
    assert mongodb.work(used) == read
    # The migrated installation gets new recordings, and their events.
    mongodb.add(5, first=40)
    changed = mongodb.work(content)
    refused = mongodb.run("migrate", "--from", "mongodb", "--to", "sqlite", expected=1)
    assert "migrated to mongodb" in refused.stderr
    for name in (SQLITE_FILE, f"{SQLITE_FILE}.closed"):
        (sqlite.cli.data / name).rename(sqlite.cli.data / f"old-{name}")
    mongodb.run("migrate", "--from", "mongodb", "--to", "sqlite")
    assert sqlite.work(content) == changed
    assert "migrated to sqlite" in mongodb.run("account", "list", expected=1).stderr
    sqlite.add(5, first=45)
    events, *_ = sqlite.work(used)
    assert {event.subject for event in events} >= {f"202611-{number:032x}" for number in range(50) if number % 5 != 3}


def test_nobody_may_write(both: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite, mongodb = both
    words = ("migrate", "--from", "sqlite", "--to", "mongodb")
    monkeypatch.setattr("adapters.metadata.sqlite.plain_rows.LOCK_SECONDS", 0.1)
    assert "there is no installation in sqlite" in mongodb.run(*words, expected=1).stderr
    sqlite.fill(5)
    with lock_data_folder(sqlite.cli.data):
        assert "another server uses the data folder" in mongodb.run(*words, expected=1).stderr
    with closing(connect(sqlite.cli.data / SQLITE_FILE, "rw")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert "another process writes to" in mongodb.run(*words, expected=1).stderr
    assert mongodb.client is not None
    peers = mongodb.client[mongodb.database]["peers"]
    peers.insert_one({"_id": "n1", "url": "", "lease": datetime(2100, 1, 1, tzinfo=UTC)})
    assert "these servers run on the database: n1" in mongodb.run(*words, expected=1).stderr
    peers.delete_one({"_id": "n1"})
    assert "--mongodb" in sqlite.run(*words, expected=2).stderr
    assert "both sqlite" in mongodb.run("migrate", "--from", "sqlite", "--to", "sqlite", expected=2).stderr
    mongodb.client[mongodb.database]["accounts"].insert_one({"_id": "x"})
    assert "mongodb is not empty" in mongodb.run(*words, expected=1).stderr
    sqlite.run("account", "list")


def test_an_interrupted_migration_continues_or_is_abandoned(
    both: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite, mongodb = both
    sqlite.fill(20)
    monkeypatch.setattr("graph.migration.migrate_metadata.PAGE", 7)
    words = ("migrate", "--from", "sqlite", "--to", "mongodb")
    with monkeypatch.context() as broken:
        broken.setattr("adapters.metadata.mongodb.plain_documents.to_document", _Broken(12))
        assert "the power is gone" in str(mongodb.cli.run(*words, expected=1, **variables(mongodb)).exception)
    assert mongodb.client is not None
    part = mongodb.client[mongodb.database]["recordings"].count_documents({})
    assert part == 7
    for place in both:
        assert "add --abandon to use the source again" in place.run("account", "list", expected=1).stderr
    mongodb.run(*words)
    assert mongodb.work(content) == asyncio.run(closed_content(sqlite))
    assert "no migration" in mongodb.run(*words, "--abandon", expected=1).stderr


def test_a_change_of_the_source_is_found(both: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite, mongodb = both
    sqlite.fill(10)
    monkeypatch.setattr("graph.migration.migrate_metadata._MARGIN", 0)
    words = ("migrate", "--from", "sqlite", "--to", "mongodb")
    with monkeypatch.context() as changed:
        from adapters.metadata.mongodb import MongoStore

        async def change(store: MongoStore) -> None:
            users = store._connection.database["users"]
            await users.update_one({"id": "u1"}, {"$set": {"first_name": "x"}})
            await users.delete_one({"id": "u2"})

        changed.setattr(MongoStore, "finish_plain_rows", change)
        failed = mongodb.run(*words, expected=1).stderr
    assert "the users differ after the copy" in failed
    assert '"u1"' in failed or '"u2"' in failed
    assert "abandoned" in mongodb.run(*words, "--abandon").stdout
    sqlite.run("account", "list")
    assert "delete them" in mongodb.run("account", "list", expected=1).stderr


class _Broken:
    """Fails after a number of calls."""

    def __init__(self, calls: int) -> None:
        from adapters.metadata.mongodb.bson_document import to_document

        self._calls = calls
        self._act = to_document

    def __call__(self, recording: Any) -> Any:
        self._calls -= 1
        if self._calls < 0:
            raise RuntimeError("the power is gone")
        return self._act(recording)


async def closed_content(place: Place) -> dict[str, list[Any]]:
    store = place.store()
    await store.open()
    try:
        return await content(store)
    finally:
        await store.close()


def variables(place: Place) -> dict[str, str]:
    assert place.uri is not None
    return {"RECORDINGS_MONGODB": place.uri.replace("/?", f"/{place.database}?")}
