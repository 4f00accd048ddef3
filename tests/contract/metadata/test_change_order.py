"""The order of changes in every store: no write is behind the watermark, and a mirror misses nothing."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from adapters.metadata.mongodb import MongoStore, change_clock, recording_collection
from recordings.model.query import Order, OrderField, PageRequest, Query
from recordings.model.recording import Shelf, State
from recordings.ports.recording_store import Claim, MetadataStore, StoreUnavailableError
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW, recording
from tests.support.mirror import ACCOUNT, Mirror, change, follow, relabelled, skewed

CHANGED = frozenset({"changed"})
Client = AsyncMongoClient[dict[str, Any]]


def shorten_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the time of writes more, so that the tests wait less for the watermark."""
    monkeypatch.setattr(recording_collection, "WRITE_MS", 2_500)
    monkeypatch.setattr(change_clock, "LONGEST_WRITE", 3.5)


async def changed(store: MetadataStore, identity: str) -> int:
    return (await store.rows([identity], CHANGED))[identity]["changed"]


async def test_every_write_is_later_than_the_one_before(store: MetadataStore) -> None:
    given = recording(due_at=NOW, node="n")
    await store.insert(given)
    times = [await changed(store, given.id)]
    assert await store.save(relabelled(given, "x"), 0)
    times.append(await changed(store, given.id))
    (claimed,) = await store.claim_due(
        Claim(now=NOW, until=NOW + 9, holder="me", node="n", limit=1, overdue_before=NOW)
    )
    times.append(await changed(store, given.id))
    assert await store.release_leases("me", NOW) == 1
    times.append(await changed(store, given.id))
    assert not await store.save(relabelled(claimed, "lost"), 0)
    times.append(await changed(store, given.id))
    assert times[:4] == sorted(set(times))
    assert times[3] == times[4]
    assert (await store.rows([given.id]))[given.id].keys() == given.to_row().keys()


@pytest.mark.parametrize("kind", ["sqlite", "pymongo"])
async def test_a_list_can_contain_all_shelves_in_the_order_of_changes_only(store: MetadataStore) -> None:
    given = [recording(state=state) for state in (State.STORED, State.TRASHED, State.PURGED)]
    for each in given:
        await store.insert(each)
    query = Query(account_id="account", shelf=None, order=Order(OrderField.MODIFIED, descending=False))
    page = await store.page(query, PageRequest(limit=9, fields=frozenset()))
    assert [row["id"] for row in page.rows] == [each.id for each in given]
    assert (await store.count(query)).number == 3
    assert (await store.count(replace(query, shelf=Shelf.TRASH))).number == 1


@pytest.mark.parametrize("kind", ["sqlite", "pymongo"])
async def test_a_mirror_of_a_store_under_load_is_equal_to_it(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_limits(monkeypatch)
    opened = [await stores.open() for _ in range(3)]
    mirror = Mirror(opened[2])
    writing = [
        asyncio.ensure_future(change(opened[number % 2], f"writer-{number}", 60, skewed(number)))
        for number in range(16)
    ]
    await follow(mirror, writing, random.Random(7))
    assert await mirror.missing() == []
    assert len(mirror.rows) > 100
    assert State.PURGED.value in {row["state"] for row in mirror.rows.values()}


@pytest.fixture
async def mongodb(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> MetadataStore:
    shorten_limits(monkeypatch)
    return await stores.open()


class TestSlowWrites:
    """Writes of MongoDB that begin early and commit late. A transaction of another client holds their document."""

    @pytest.fixture(params=["pymongo"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_a_slow_write_is_not_missed(
        self, mongodb: MetadataStore, mongodb_uri: str, mongodb_database: str
    ) -> None:
        slow = recording(account_id=ACCOUNT)
        await mongodb.insert(slow)
        mirror = Mirror(mongodb)
        await mongodb.watermark()
        async with Client(mongodb_uri) as client, client.start_session() as session:
            documents = client[mongodb_database]["recordings"]
            await session.start_transaction()
            await documents.update_one({"_id": slow.id}, {"$set": {"label": "held"}}, session=session)
            writing = asyncio.ensure_future(mongodb.save(relabelled(slow, "slow"), 0))
            later = []
            for number in range(5):
                later.append(recording(account_id=ACCOUNT, label=str(number)))
                await mongodb.insert(later[-1])
                await mirror.poll()
                await asyncio.sleep(0.1)
            assert not writing.done()
            await session.abort_transaction()
        assert await writing
        # The slow write is before the others, although they were visible first.
        assert await changed(mongodb, slow.id) < await changed(mongodb, later[-1].id)
        await follow(mirror, [], random.Random(7))
        assert await mirror.missing() == []
        assert set(mirror.rows) == {slow.id, *(each.id for each in later)}

    async def test_a_write_that_takes_too_long_is_not_done(
        self, mongodb: MongoStore, mongodb_uri: str, mongodb_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = recording(account_id=ACCOUNT, due_at=NOW, lease=None)
        await mongodb.insert(slow)
        monkeypatch.setattr(recording_collection, "WRITE_MS", 300)
        claim = Claim(now=NOW, until=NOW + 9, holder="me", node="n", limit=1, overdue_before=NOW)
        async with Client(mongodb_uri) as client, client.start_session() as session:
            documents = client[mongodb_database]["recordings"]
            await session.start_transaction()
            await documents.update_one({"_id": slow.id}, {"$set": {"label": "held"}}, session=session)
            with pytest.raises(StoreUnavailableError):
                await mongodb.save(relabelled(slow, "slow"), 0)
            with pytest.raises(StoreUnavailableError):
                await mongodb.claim_due(claim)
            # The client may give up a moment before the server does.
            running: list[dict[str, Any]] = [
                {"$currentOp": {}},
                {"$match": {"active": True, "ns": f"{mongodb_database}.recordings"}},
            ]
            while await (await client.admin.aggregate(running)).to_list():  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.01)
            await session.abort_transaction()
        assert await mongodb.load(slow.id) == slow
