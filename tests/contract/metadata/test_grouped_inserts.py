"""Inserts into MongoDB: those that arrive at the same time, and those whose estimated time is too early."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from pymongo import MongoClient

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.change_clock import GUARD, ChangeClock
from recordings.model.instants import SECOND
from recordings.model.query import Query
from recordings.ports.recording_store import Taken, Unique
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import recording, unique

Client = MongoClient[dict[str, Any]]


@pytest.fixture(params=["pymongo", "motor"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def mongodb(stores: Stores) -> MongoStore:
    opened: Any = await stores.open()
    return cast("MongoStore", opened)


async def test_each_of_many_inserts_at_once_has_its_own_result(mongodb: MongoStore) -> None:
    given = [recording(start_key=f"key {number % 50}") for number in range(60)]
    given += [replace(given[0], start_key="other"), recording(account_id="b", start_key="key 1")]
    found = await asyncio.gather(*(mongodb.insert(each) for each in given), return_exceptions=True)
    taken = {number: each.what for number, each in enumerate(found) if isinstance(each, Taken)}
    # Of two inserts at once with one key, either one may be the first.
    pairs = [{number, number + 50} & taken.keys() for number in range(10)]
    assert [len(pair) for pair in pairs] == [1] * 10
    assert taken == {**{number: Unique.START_KEY for pair in pairs for number in pair}, 60: Unique.ID}
    assert [each for each in found if each is not None and not isinstance(each, Taken)] == []
    assert (await mongodb.count(Query(account_id="account"))).number == 50


async def test_a_caller_that_leaves_does_not_stop_the_inserts_of_others(mongodb: MongoStore) -> None:
    given = [recording() for _ in range(40)]
    inserts = [asyncio.ensure_future(mongodb.insert(each)) for each in given]
    await asyncio.sleep(0)
    for insert in inserts[::2]:
        insert.cancel()
    await asyncio.gather(*inserts, return_exceptions=True)
    assert all([await mongodb.load(each.id) == each for each in given[1::2]])


async def test_an_estimate_that_is_too_early_is_not_stored(
    mongodb: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate: Callable[[ChangeClock], int] = ChangeClock.estimate  # type: ignore[assignment]
    for early in (3 * SECOND, 0):
        monkeypatch.setattr(ChangeClock, "estimate", lambda clock: estimate(clock) - early)  # noqa: B023
        given = [recording(label="early"), recording(), recording()]
        await asyncio.gather(*(mongodb.insert(each) for each in given))
        rows = await mongodb.rows([each.id for each in given], frozenset({"changed"}))
        server = estimate(mongodb._change_clock)
        assert all(row["changed"] > server - 2 * SECOND for row in rows.values()), early


async def test_inserts_need_no_validator(mongodb_uri: str, mongodb_client: Client) -> None:
    database = mongodb_client[unique("foreign")]
    foreign = {"account_id": {"$type": "string"}}
    database.create_collection("recordings", validator=foreign)
    store = MongoStore(mongodb_uri, database.name)
    await store.open()
    try:
        assert store._change_clock.estimate() is None
        await store.insert(given := recording())
        assert await store.load(given.id) == given
        assert database["recordings"].options()["validator"] == foreign
    finally:
        await store.close()
        mongodb_client.drop_database(database.name)


async def test_the_validator_is_set_again(mongodb: MongoStore, mongodb_database: str, mongodb_client: Client) -> None:
    collection = mongodb_client[mongodb_database]["recordings"]
    assert collection.options()["validator"] == GUARD
    mongodb_client[mongodb_database].command("collMod", "recordings", validator={})
    await mongodb.open()
    assert collection.options()["validator"] == GUARD
