"""Live changes of calls: of this server and of others, for each reader from its place on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.server import call_hub
from graph.server.call_hub import CallHub, LiveCallQueue
from recordings.model.call import Call
from recordings.model.instants import HOUR, MINUTE
from recordings.ports.call_updates import CallPlace, CallUpdate
from recordings.ports.peers import Peer
from recordings.ports.recording_store import StoreUnavailableError
from tests.support.memory_installation import ACCOUNT, NODE, SIBLING
from tests.support.memory_peers import MemoryPeers

OTHER = Peer("other", "http://10.0.0.1:8000")


@dataclass
class Servers:
    """The calls of this server, another server, and the hub of this one."""

    calls: dict[str, Call] = field(default_factory=dict)
    peers: MemoryPeers = field(default_factory=MemoryPeers)

    def __post_init__(self) -> None:
        self.hub = CallHub(lambda: list(self.calls.values()), NODE, self.peers)

    def ring(self, call_id: str, **fields: str) -> Call:
        call = Call(account_id=ACCOUNT, call_id=call_id, started=len(self.calls), **fields)  # type: ignore[arg-type]
        self.calls[call_id] = call
        self.hub.note_change()
        return call

    def hang_up(self, call_id: str) -> None:
        del self.calls[call_id]
        self.hub.note_change()


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Servers]:
    monkeypatch.setattr(call_hub, "REFRESH_SECONDS", 0.05)
    servers = Servers()
    await servers.peers.register(OTHER, HOUR)
    yield servers
    await servers.hub.stop()


async def following(queue: LiveCallQueue, number: int = 1) -> list[tuple[str, str | None]]:
    found = [await update_of(queue) for _ in range(number)]
    return [(update.kind.value, None if update.call is None else update.call.call_id) for update in found]


async def update_of(queue: LiveCallQueue) -> CallUpdate:
    async with asyncio.timeout(20):
        return await queue.next()


async def test_a_reader_gets_the_calls_in_progress_and_then_each_change(servers: Servers) -> None:
    for call_id in ("a", "b"):
        servers.ring(call_id)
    queue = await servers.hub.open(ACCOUNT, None, None)
    assert await following(queue, 2) == [("CURRENT", "a"), ("CURRENT", "b")]
    servers.ring("c")
    assert await following(queue) == [("STARTED", "c")]
    servers.calls["a"] = replace(servers.calls["a"], to="1002")
    servers.hang_up("b")
    assert await following(queue, 2) == [("ENDED", "b"), ("CHANGED", "a")]


async def test_calls_of_other_servers_are_followed(servers: Servers) -> None:
    remote = Call(account_id=ACCOUNT, call_id="remote", started=1)
    await servers.peers.add_calls(OTHER.node, [remote], HOUR)
    queue = await servers.hub.open(ACCOUNT, None, None)
    assert await following(queue) == [("CURRENT", "remote")]
    await servers.peers.add_calls(OTHER.node, [replace(remote, call_id="second")], HOUR)
    assert await following(queue) == [("STARTED", "second")]
    # The call comes to this server: its sender connected again.
    servers.ring("remote")
    (update,) = [await update_of(queue)]
    assert (update.kind, update.call and update.call.node) == ("CHANGED", NODE)
    await servers.peers.register(OTHER, -MINUTE)
    assert await following(queue) == [("ENDED", "second")]


async def test_a_reader_gets_the_calls_of_its_account_and_owner(servers: Servers) -> None:
    hers, all_of_them = await servers.hub.open(ACCOUNT, "ada", None), await servers.hub.open(ACCOUNT, None, None)
    sibling = await servers.hub.open(SIBLING, None, None)
    waiting = asyncio.create_task(following(sibling))
    servers.ring("a")
    servers.ring("b", owner_id="ada")
    assert await following(hers) == [("STARTED", "b")]
    assert await following(all_of_them, 2) == [("STARTED", "a"), ("STARTED", "b")]
    assert not waiting.done()
    waiting.cancel()


async def test_a_reader_continues_at_its_place(servers: Servers) -> None:
    queue = await servers.hub.open(ACCOUNT, None, None)
    servers.ring("a")
    place = (await update_of(queue)).place
    queue.close()
    servers.ring("b")
    servers.hang_up("a")
    again = await servers.hub.open(ACCOUNT, None, place)
    assert sorted(await following(again, 2)) == [("ENDED", "a"), ("STARTED", "b")]


@pytest.mark.parametrize("place", [CallPlace("another server", 3), CallPlace("", 0)])
async def test_at_an_unknown_place_events_were_lost(servers: Servers, place: CallPlace) -> None:
    servers.ring("a")
    queue = await servers.hub.open(ACCOUNT, None, place)
    assert await following(queue, 2) == [("EVENTS_LOST", None), ("CURRENT", "a")]


async def test_a_place_inside_the_calls_in_progress_begins_with_them_again(servers: Servers) -> None:
    for call_id in ("a", "b"):
        servers.ring(call_id)
    queue = await servers.hub.open(ACCOUNT, None, None)
    inside, end = (await update_of(queue)).place, (await update_of(queue)).place
    assert await following(await servers.hub.open(ACCOUNT, None, inside), 3) == [
        ("EVENTS_LOST", None), ("CURRENT", "a"), ("CURRENT", "b")
    ]  # fmt: skip
    servers.ring("c")
    assert await following(await servers.hub.open(ACCOUNT, None, end)) == [("STARTED", "c")]


async def test_a_slow_reader_is_told_and_gets_the_calls_in_progress(servers: Servers) -> None:
    slow, fast = await servers.hub.open(ACCOUNT, None, None, 2), await servers.hub.open(ACCOUNT, None, None)
    for call_id in "abcd":
        servers.ring(call_id)
        await following(fast)
    servers.hang_up("a")
    await following(fast)
    assert await following(slow, 6) == [
        ("STARTED", "a"), ("STARTED", "b"), ("EVENTS_LOST", None),
        ("CURRENT", "b"), ("CURRENT", "c"), ("CURRENT", "d"),
    ]  # fmt: skip


async def test_readers_end_with_the_server(servers: Servers) -> None:
    queue = await servers.hub.open(ACCOUNT, None, None)
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    await servers.hub.stop()
    with pytest.raises(StoreUnavailableError, match="the server stops"):
        await waiting


async def test_an_unused_watch_ends(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_hub, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(call_hub, "LOOK_SECONDS", 0.02)
    queue = await servers.hub.open(ACCOUNT, None, None)
    servers.ring("a")
    place = (await update_of(queue)).place
    queue.close()
    async with asyncio.timeout(20):
        while ACCOUNT in servers.hub._accounts:  # noqa: ASYNC110 - the hub has no event for it
            await asyncio.sleep(0.01)
    assert await following(await servers.hub.open(ACCOUNT, None, place)) == [("EVENTS_LOST", None)]


class Mirror:
    """A client that keeps its own list of the calls. It may be slow, and it may come back."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.known: dict[str, Call] = {}
        self.place: CallPlace | None = None

    async def open(self) -> None:
        self.queue = await self.servers.hub.open(ACCOUNT, None, self.place, 3)

    async def drop(self) -> None:
        self.queue.close()
        if self.place is None:
            self.known.clear()
        await self.open()

    async def read(self) -> None:
        while self.queue._updates or self.queue._is_full:
            update = await self.queue.next()
            self.place = update.place
            if update.call is None:
                self.known.clear()
            elif update.kind == "ENDED":
                self.known.pop(update.call.call_id)
            else:
                self.known[update.call.call_id] = update.call


def change(servers: Servers, call_id: str, step: str) -> None:
    is_live = call_id in servers.calls
    if step == "ring" and not is_live:
        servers.ring(call_id)
    elif step == "change" and is_live:
        servers.ring(call_id, to=str(len(servers.calls)))
    elif step == "end" and is_live:
        servers.hang_up(call_id)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["ring", "change", "end", "drop", "read"]))))
async def test_a_reader_that_applies_all_updates_knows_the_calls(steps: list[tuple[str, str]]) -> None:
    servers = Servers()
    mirror = Mirror(servers)
    await mirror.open()
    for call_id, step in (*steps, ("", "read")):
        change(servers, call_id, step)
        # This compares the calls at once.
        (await servers.hub.open(ACCOUNT, None, None)).close()
        if step == "drop":
            await mirror.drop()
        elif step == "read":
            await mirror.read()
    assert mirror.known == {call_id: replace(call, node=NODE) for call_id, call in servers.calls.items()}
    await servers.hub.stop()
