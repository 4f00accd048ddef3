"""Every peer store: live servers, their calls, and the expiry of both."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pymongo import MongoClient

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.indexes import CALLS, PEERS
from adapters.metadata.sqlite import PeerFile
from recordings.model.call import Call, position_of_call
from recordings.model.instants import HOUR, MINUTE
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.model.recording import Direction
from recordings.ports.peers import Peer, PeerStore
from tests.contract.metadata.samples import NOW
from tests.servers.mongod import Document
from tests.support.memory_peers import MemoryPeers

ONE, OTHER = Peer("one", "http://10.0.0.1:8000"), Peer("other", "https://b.example.org/$x")
CALL = Call(account_id="root", call_id="call", started=NOW)
FULL = Call(
    account_id="root",
    call_id="a call/\U0001f600$.",
    started=NOW + 1,
    from_="1001@x",
    to="1002@x",
    request="r",
    owner_id="o",
    endpoint_id="e",
    interaction_id="i",
    cdr_id="c",
    direction=Direction.INBOUND,
    caller_id_name="Ä",
    caller_id_number="1",
    callee_id_name="B",
    callee_id_number="2",
    custom_channel_vars={"$set": "x", "a.b": "y", "": "z"},
)


@pytest.fixture(params=["memory", "sqlite", "pymongo", "motor"])
async def peers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PeerStore]:
    if request.param == "memory":
        yield MemoryPeers()
        return
    if request.param == "sqlite":
        file = PeerFile(tmp_path / "peers.sqlite3")
        await file.open()
        yield file
        await file.close()
        return
    uri, name = (request.getfixturevalue(each) for each in ("mongodb_uri", "mongodb_database"))
    store = MongoStore(uri, name, driver=request.param)
    await store.open()
    yield store
    await store.close()


ALL = PageRequest(limit=100)


def at(peer: Peer, *calls: Call) -> list[Call]:
    return [replace(call, node=peer.node) for call in calls]


async def test_a_server_is_alive_until_its_lease_expires(peers: PeerStore) -> None:
    assert await peers.peer("one") is None
    await peers.register(ONE, MINUTE)
    await peers.register(OTHER, MINUTE)
    assert [await peers.peer(node) for node in ("one", "other", "on")] == [ONE, OTHER, None]
    await peers.register(Peer("one", "http://elsewhere"), MINUTE)
    assert await peers.peer("one") == Peer("one", "http://elsewhere")
    # Its lease expired an hour ago.
    await peers.register(ONE, -HOUR)
    assert [await peers.peer(node) for node in ("one", "other")] == [None, OTHER]
    await peers.register(ONE, MINUTE)
    assert await peers.peer("one") == ONE
    await peers.end_lease("one")
    await peers.end_lease("one")
    assert [await peers.peer(node) for node in ("one", "other")] == [None, OTHER]


async def test_calls_are_found_with_all_of_their_fields(peers: PeerStore) -> None:
    await peers.register(ONE, MINUTE)
    assert await peers.held_calls("root", ALL) == []
    await peers.add_calls("one", [FULL, CALL, replace(CALL, account_id="sibling")], HOUR)
    await peers.add_calls("one", [], HOUR)
    assert await peers.held_calls("root", ALL) == at(ONE, FULL, CALL)
    assert await peers.held_calls("root", PageRequest(limit=1)) == at(ONE, FULL)
    assert await peers.held_call("root", FULL.call_id) == at(ONE, FULL)[0]
    assert await peers.held_call("root", "cal") is None
    assert await peers.held_call("child", "call") is None
    changed = replace(CALL, owner_id="me")
    await peers.add_calls("one", [changed], HOUR)
    assert await peers.held_calls("root", ALL) == at(ONE, FULL, changed)
    await peers.remove_calls("one", [("root", FULL.call_id), ("root", "nothing")])
    await peers.remove_calls("one", [])
    assert await peers.held_calls("root", ALL) == at(ONE, changed)
    assert len(await peers.held_calls("sibling", ALL)) == 1


async def test_calls_disappear_with_their_server(peers: PeerStore) -> None:
    for peer in (ONE, OTHER):
        await peers.register(peer, MINUTE)
        calls = [replace(CALL, call_id=f"{peer.node} {number}") for number in range(2)]
        assert await peers.add_calls(peer.node, calls, HOUR) == []
    await peers.register(ONE, -HOUR)
    assert [call.node for call in await peers.held_calls("root", ALL)] == ["other", "other"]
    assert await peers.held_call("root", "one 0") is None
    await peers.register(ONE, MINUTE)
    assert len(await peers.held_calls("root", ALL)) == 4
    await peers.end_lease("one")
    await peers.register(ONE, MINUTE)
    assert [call.node for call in await peers.held_calls("root", ALL)] == ["other", "other"]


async def test_a_call_belongs_to_one_server(peers: PeerStore) -> None:
    for peer in (ONE, OTHER):
        await peers.register(peer, MINUTE)
    answers = await asyncio.gather(*(peers.claim_call(node, CALL, HOUR) for node in ("one", "other") * 8))
    found = await peers.held_call("root", "call")
    assert found is not None
    assert {answer for answer in answers if answer is not None} == {found.node}
    (loser,) = {"one", "other"} - {found.node or ""}
    assert await peers.claim_call(loser, CALL, HOUR) == found.node
    # The other server publishes the call, too, and then says that its call has ended.
    free = replace(CALL, call_id="free")
    assert await peers.add_calls(loser, [CALL, free], HOUR) == [("root", "call")]
    await peers.remove_calls(loser, [("root", "call"), ("root", "free")])
    assert [call.node for call in await peers.held_calls("root", ALL)] == [found.node]
    assert await peers.claim_call(loser, CALL, HOUR, instead_of=found.node) is None
    assert await peers.claim_call(found.node or "", CALL, HOUR, instead_of="third") == loser
    assert [call.node for call in await peers.held_calls("root", ALL)] == [loser]
    assert await peers.call_counts() == {loser: 1}


async def test_a_server_is_registered_until_it_is_forgotten(peers: PeerStore) -> None:
    newer = replace(ONE, version="1.2", clock_difference=-40_000)
    await peers.register(newer, MINUTE)
    await peers.register(OTHER, -HOUR)
    await peers.add_calls("one", [CALL], HOUR)
    one, other = await peers.servers()
    assert (one.peer, other.peer) == (newer, OTHER)
    assert one.is_alive
    assert MINUTE - 20_000 < one.lease <= MINUTE
    assert not other.is_alive
    assert -HOUR - 20_000 < other.lease <= -HOUR
    await peers.end_lease("one")
    (one,) = await peers.servers(["one", "nothing"])
    assert not one.is_alive
    assert await peers.call_counts() == {}
    await peers.forget("one")
    await peers.forget("one")
    assert [found.peer for found in await peers.servers()] == [OTHER]


async def test_calls_of_a_server_without_a_url_are_not_returned(peers: PeerStore) -> None:
    await peers.register(replace(ONE, url=""), MINUTE)
    await peers.add_calls("one", [CALL], HOUR)
    assert (await peers.held_calls("root", ALL), await peers.held_call("root", "call")) == ([], None)
    assert await peers.claim_call("other", CALL, HOUR) == "one"


async def test_the_time_of_the_store_is_returned(peers: PeerStore) -> None:
    before = time.time() * 1_000
    assert before - 2 <= await peers.register(ONE, MINUTE) <= time.time() * 1_000 + 2


@pytest.mark.parametrize("seed", range(4))
async def test_pages_of_calls_are_those_of_a_sorted_list(peers: PeerStore, seed: int) -> None:
    random = Random(seed)
    for peer in (ONE, OTHER):
        await peers.register(peer, MINUTE)
    names = [f"{character}{number}" for number in range(12) for character in ("Z", "a", "ä", "\U0001f600")]
    calls = [
        replace(CALL, call_id=name, started=NOW + random.randrange(4), owner_id=random.choice([None, "ada", "bob"]))
        for name in random.sample(names, 14)
    ]
    await peers.add_calls("one", calls[::2], HOUR)
    await peers.add_calls("other", calls[1::2], HOUR)
    everything = at(ONE, *calls[::2]) + at(OTHER, *calls[1::2])
    for _ in range(30):
        owner, other_than = random.choice([None, "ada"]), random.choice(["", "one"])
        known = [call for call in everything if owner in {None, call.owner_id} and call.node != other_than]
        after, before = (position_of_call(random.choice(calls)) if random.random() < 0.5 else None for _ in range(2))
        request = PageRequest(limit=random.randint(1, 5), after=after, before=before, backward=random.random() < 0.5)
        found = await peers.held_calls("root", request, owner_id=owner, other_than=other_than)
        assert found == take_page(known, request, position_of_call, descending=True)
        assert await peers.count_held_calls("root", owner_id=owner, other_than=other_than) == len(known)


async def test_many_concurrent_calls(peers: PeerStore) -> None:
    calls = [replace(CALL, call_id=f"{number:03}", started=NOW + number) for number in range(300)]
    await peers.register(ONE, MINUTE)
    await asyncio.gather(*(peers.add_calls("one", calls[start::4], HOUR) for start in range(4)))
    assert await peers.held_calls("root", ALL) == at(ONE, *calls[:-101:-1])
    await peers.remove_calls("one", [(call.account_id, call.call_id) for call in calls[1:]])
    assert await peers.held_calls("root", ALL) == at(ONE, calls[0])


async def test_changes_of_calls_are_reported_by_account(peers: PeerStore) -> None:
    await peers.register(ONE, MINUTE)
    async with aclosing(peers.watch_calls()) as watch:
        assert not await anext(watch)

        async def reported(account_id: str) -> None:
            async with asyncio.timeout(20):
                while account_id not in await anext(watch):
                    pass

        await peers.add_calls("one", [CALL], HOUR)
        await reported("root")
        await peers.claim_call("one", replace(CALL, account_id="child"), HOUR)
        await reported("child")
        await peers.remove_calls("one", [("root", "call")])
        await reported("root")
        await peers.end_lease("one")
        await reported("child")


async def test_mongodb_deletes_expired_servers_and_calls(
    mongodb_uri: str, mongodb_client: "MongoClient[Document]", mongodb_database: str
) -> None:
    store = MongoStore(mongodb_uri, mongodb_database)
    await store.open()
    await store.register(ONE, MINUTE)
    await store.add_calls("one", [CALL], HOUR)
    await store.close()
    for name in (PEERS, CALLS):
        collection = mongodb_client[mongodb_database][name]
        ttl_indexes = [index for index in collection.list_indexes() if index.get("expireAfterSeconds") == 0]
        assert [list(index["key"]) for index in ttl_indexes] == [["until"]]
        documents = list(collection.find({"until": {"$type": "date"}}))
        assert len(documents) == 1


async def test_a_switch_is_leased_to_one_server_at_a_time(peers: PeerStore) -> None:
    holders = await asyncio.gather(*(peers.hold_switch("pbx1", node, MINUTE) for node in ("one", "other") * 5))
    assert len(set(holders)) == 1
    holder = holders[0]
    waiting = {"one": "other", "other": "one"}[holder]
    assert await peers.hold_switch("pbx1", holder, MINUTE) == holder
    assert await peers.hold_switch("pbx2", waiting, MINUTE) == waiting
    await peers.release_switches(waiting)
    assert await peers.hold_switch("pbx1", waiting, MINUTE) == holder
    await peers.release_switches(holder)
    assert await peers.hold_switch("pbx1", waiting, 1) == waiting
    await asyncio.sleep(0.05)
    assert await peers.hold_switch("pbx1", holder, MINUTE) == holder
