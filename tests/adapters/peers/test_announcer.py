"""What other servers are told of this one's calls."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from adapters.peers import Announcer
from recordings.model.call import Call
from recordings.model.instants import MINUTE, Millis
from recordings.ports.peers import Peer
from tests.support.memory_peers import MemoryPeers

ME, OTHER = Peer("me", "http://me"), Peer("other", "http://other")
CALL = Call(account_id="a", call_id="1", started=1)


class Counting(MemoryPeers):
    """Counts what is written, and fails as often as told."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[list[str], list[str]]] = []
        self.failures = 0
        self._gone: list[str] = []

    async def greet(self, peer: Peer, lease: Millis) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        await super().greet(peer, lease)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        self._gone = [name for _, name in calls]
        await super().remove_calls(node, calls)

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        self.written.append(([call.call_id for call in calls], self._gone))
        await super().add_calls(node, calls, keep)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it asks doubles
            await asyncio.sleep(0.005)


async def test_only_what_is_new_is_told() -> None:
    store, live = Counting(), [CALL]
    announcer = Announcer(store, ME, lambda: live)
    await announcer.tell()
    live.append(replace(CALL, call_id="2"))
    await announcer.tell()
    await announcer.tell()
    # It ended, and another one of that id began: the parties may be others.
    live[:] = [replace(CALL, started=2)]
    await announcer.tell()
    assert store.written == [(["1"], []), (["2"], []), ([], []), (["1"], ["2"])]
    assert [call.started for call in await store.held_calls("a")] == [2]


async def test_a_server_begins_with_nothing_and_leaves_nothing() -> None:
    store = Counting()
    for peer in (ME, OTHER):
        await store.greet(peer, MINUTE)
        await store.add_calls(peer.node, [replace(CALL, call_id="left")], MINUTE)
    announcer = Announcer(store, ME, lambda: [CALL])
    await announcer.start()
    assert {call.node: call.call_id for call in await store.held_calls("a")} == {"me": "1", "other": "left"}
    assert await store.peer("me") == ME
    await announcer.stop()
    assert (await store.peer("me"), await store.peer("other")) == (None, OTHER)
    assert [call.node for call in await store.held_calls("a")] == ["other"]


async def test_a_change_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.announcer.BEAT", 3_600)
    store: Counting = Counting()
    live: list[Call] = []
    announcer = Announcer(store, ME, lambda: live)
    await announcer.start()
    live.append(CALL)
    announcer.changed()
    await until(lambda: len(store.held) == 1)
    live.clear()
    announcer.changed()
    announcer.changed()
    await until(lambda: not store.held)
    await announcer.stop()


async def test_a_store_that_is_away_hears_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.announcer.BEAT", 0.01)
    store: Counting = Counting()
    live: list[Call] = []
    announcer = Announcer(store, ME, lambda: live)
    await announcer.start()
    store.failures = 3
    live.append(CALL)
    announcer.changed()
    await until(lambda: len(store.held) == 1)
    assert store.failures == 0
    await announcer.stop()


async def test_a_stop_does_not_wait_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.announcer.PATIENCE", 0.01)

    class Silent(MemoryPeers):
        left = 0

        async def leave(self, node: str) -> None:
            self.left += 1
            if self.left > 1:
                await asyncio.Event().wait()

    store = Silent()
    announcer = Announcer(store, ME, list)
    await announcer.start()
    await announcer.stop()
    assert store.left == 2
