"""Marks of slots: the leases of writers on MongoDB, and the first marks of an installation of an earlier release."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.slot_marks import LONG_PAUSE
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite.sqlite_store import FILE
from adapters.metadata.sqlite.stats_schema import MARKS, PARTS, STATEMENTS, WITHOUT_INSERTS
from recordings.model.account import Account
from recordings.model.instants import DAY, MINUTE, SECOND
from recordings.model.recording import Recording
from recordings.model.rollup import Level, Slot
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.count_slots import SlotCounter
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.test_rollups import CHILD, DAY_START, PARENT, History, count_all, without_waits

ONLY_MONGODB = pytest.mark.parametrize("kind", ["pymongo"], indirect=True)
NOW = DAY_START + 10 * DAY


async def history_of(store: MetadataStore, steps: int) -> History:
    await store.add_account(Account(PARENT, "parent", 0))
    await store.add_account(Account(CHILD, "child", 1, (PARENT,)))
    history = History([store], 1)
    for _ in range(steps):
        await history.insert()
    return history


async def count_and_check(history: History) -> None:
    """Compare figures before, while and after the slots are counted."""
    await history.check(5)
    await SlotCounter(history.store, history.clock).count_some(2)
    await history.check(5)
    await count_all(history)
    await history.check(5)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_file_of_an_earlier_release_is_counted(stores: Stores, tmp_path: Path) -> None:
    store = await stores.open()
    history = await history_of(store, 20)
    await store.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        for name in ("stats_updated", "stats_deleted"):
            connection.execute(f"DROP TRIGGER {name}")
        for name in (MARKS, PARTS):
            connection.execute(f"DROP TABLE {name}")
        for statement in (*STATEMENTS, *WITHOUT_INSERTS):
            connection.execute(statement)
    again = SqliteStore(tmp_path)
    await again.open()
    try:
        assert await again.marked_count() > 0
        history.stores = [again]
        await count_and_check(history)
    finally:
        await again.close()


@ONLY_MONGODB
async def test_a_database_of_an_earlier_release_is_counted(
    stores: Stores, mongodb_uri: str, mongodb_database: str
) -> None:
    store = await stores.open()
    history = await history_of(store, 20)
    with MongoClient[Any](mongodb_uri) as client:
        database = client[mongodb_database]
        database["stats_marks"].drop()
        database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 1}})
    again = await stores.open()
    without_waits(again)
    assert await again.marked_count() > 0
    history.stores = [again]
    await count_and_check(history)


async def opened(stores: Stores) -> tuple[MongoStore, Recording]:
    """Return a store with a recording, and the normal leases of writers."""
    store = await stores.open()
    assert isinstance(store, MongoStore)
    store.slot_marks.steady = 0.0
    history = await history_of(store, 1)
    (recording,) = history.kept.values()
    return store, recording


@ONLY_MONGODB
async def test_a_slot_with_a_lease_is_not_counted(stores: Stores) -> None:
    store, _ = await opened(stores)
    assert await store.marks_to_count(Level.QUARTER, NOW, 9) == []
    assert await store.marked_count() == 1


@ONLY_MONGODB
async def test_writes_share_a_lease_and_unimportant_writes_need_none(stores: Stores) -> None:
    store, recording = await opened(stores)
    marked: list[object] = []
    write = store.slot_marks._write

    async def watched(writes: Any) -> None:
        marked.append(writes)
        await write(writes)

    vars(store.slot_marks)["_write"] = watched
    assert await store.save(replace(recording, revision=1, duration_ms=5), 0)
    assert marked == []
    store.slot_marks._leases.clear()
    assert await store.save(replace(recording, revision=2, duration_ms=5, attempts=4), 1)
    assert marked == []
    assert await store.save(replace(recording, revision=3, duration_ms=6, start=recording.start + 15 * MINUTE), 2)
    assert len(marked) == 1
    assert await store.marked_count() == 2


@ONLY_MONGODB
async def test_a_process_that_was_suspended_marks_the_slot_again(stores: Stores) -> None:
    store, recording = await opened(stores)
    marks = store.slot_marks
    slot = Slot(recording.account_id, Level.QUARTER, Level.QUARTER.start(recording.start))
    async with marks.writing([slot]):
        # The lease and its margin pass, and another server counts the slot.
        marks._leases[slot] -= (marks.lease + marks.margin) / SECOND
        await store._connection.database["stats_marks"].update_many({}, {"$unset": {"dirty": ""}})
        assert await store.marked_count() == 0
    assert await store.marked_count() == 1


@ONLY_MONGODB
async def test_a_counter_waits_until_mongodb_was_steady(stores: Stores) -> None:
    store, _ = await opened(stores)
    marks = store.slot_marks
    await store.mark_all()
    await store._connection.database["stats_marks"].update_many({}, {"$unset": {"until": ""}})
    await store._connection.database["stats_marks"].update_many({}, [{"$set": {"until": {"$toDate": {"$toLong": 0}}}}])
    assert len(await store.marks_to_count(Level.QUARTER, NOW, 9)) == 1
    marks.steady = 3_600.0
    assert await store.marks_to_count(Level.QUARTER, NOW, 9) == []
    marks._steady_since -= 2 * 3_600
    assert len(await store.marks_to_count(Level.QUARTER, NOW, 9)) == 1
    marks._last -= 2 * LONG_PAUSE
    assert await store.marks_to_count(Level.QUARTER, NOW, 9) == []
