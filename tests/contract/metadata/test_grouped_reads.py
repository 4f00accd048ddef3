"""Reads of single recordings from MongoDB at the same time."""

import asyncio
from typing import Any, cast

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.grouped_reads import MAX_READS
from recordings.ports.recording_store import StoreUnavailableError
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import recording


@pytest.fixture(params=["pymongo", "motor"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def mongodb(stores: Stores) -> MongoStore:
    opened: Any = await stores.open()
    return cast("MongoStore", opened)


@pytest.fixture
def finds(mongodb: MongoStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of documents of each `find` for single recordings."""
    sizes: list[int] = []
    find = mongodb._reads._find

    async def counted(ids: Any, names: tuple[str, ...]) -> Any:
        sizes.append(len(ids))
        return await find(ids, names)

    monkeypatch.setattr(mongodb._reads, "_find", counted)
    return sizes


async def test_reads_at_the_same_time_share_a_find(mongodb: MongoStore, finds: list[int]) -> None:
    given = [recording() for _ in range(MAX_READS + 3)]
    await asyncio.gather(*(mongodb.insert(each) for each in given))
    finds.clear()
    found = await asyncio.gather(*(mongodb.load(each.id) for each in given), mongodb.load("missing"))
    assert found == [*given, None]
    assert finds == [MAX_READS, 4]
    finds.clear()
    assert await mongodb.load(given[0].id) == given[0]
    assert finds == [1]


async def test_each_read_has_its_own_fields_and_its_own_row(mongodb: MongoStore, finds: list[int]) -> None:
    given = recording(user_metadata={"a": 1})
    await mongodb.insert(given)
    finds.clear()
    fields = frozenset({"state", "user_metadata"})
    whole, some, other = await asyncio.gather(
        mongodb.load(given.id), mongodb.rows([given.id], fields), mongodb.rows([given.id], fields)
    )
    assert whole == given
    assert some == other == {given.id: {"id": given.id, "state": given.state, "user_metadata": {"a": 1}}}
    assert some[given.id] is not other[given.id]
    assert finds == [1, 1, 1]


async def test_a_caller_that_leaves_does_not_stop_the_reads_of_others(mongodb: MongoStore) -> None:
    given = [recording() for _ in range(10)]
    await asyncio.gather(*(mongodb.insert(each) for each in given))
    reads = [asyncio.ensure_future(mongodb.load(each.id)) for each in given]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert found[1::2] == given[1::2]
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])


async def test_a_damaged_document_fails_only_its_own_read(
    mongodb: MongoStore, mongodb_client: MongoClient[dict[str, Any]], mongodb_database: str
) -> None:
    damaged, sound = recording(), recording()
    await mongodb.insert(damaged)
    await mongodb.insert(sound)
    change = {"$set": {"user_metadata": "no JSON"}}
    mongodb_client[mongodb_database]["recordings"].update_one({"_id": damaged.id}, change)
    broken, found = await asyncio.gather(mongodb.load(damaged.id), mongodb.load(sound.id), return_exceptions=True)
    assert isinstance(broken, ValueError)
    assert found == sound


async def test_an_id_that_is_no_valid_text_fails_only_its_own_read(mongodb: MongoStore, finds: list[int]) -> None:
    given = recording()
    await mongodb.insert(given)
    finds.clear()
    found, broken = await asyncio.gather(mongodb.load(given.id), mongodb.load("\ud800"), return_exceptions=True)
    assert found == given
    assert isinstance(broken, UnicodeError)
    assert finds == [2, 1, 1]


async def test_a_find_that_fails_fails_all_its_reads(mongodb: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> Any:
        raise OperationFailure("shutdown", 11_600)

    monkeypatch.setattr(mongodb._reads, "_find", fail)
    found = await asyncio.gather(mongodb.load("a"), mongodb.load("b"), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailableError] * 2
