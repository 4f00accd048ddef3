"""The calls that this server publishes to the other servers."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from adapters.peers import PresencePublisher
from recordings.model.call import Call
from recordings.model.instants import MINUTE, Millis
from recordings.ports.peers import Peer
from tests.support.memory_peers import MemoryPeers

ME, OTHER = Peer("me", "http://me"), Peer("other", "http://other")
CALL = Call(account_id="a", call_id="1", started=1)


class CountingPeers(MemoryPeers):
    """Counts the writes, and fails for a set number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[list[str], list[str]]] = []
        self.failures = 0
        self._gone: list[str] = []

    async def greet(self, peer: Peer, lease: Millis) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("unreachable")
        await super().greet(peer, lease)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        self._gone = [name for _, name in calls]
        await super().remove_calls(node, calls)

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        self.written.append(([call.call_id for call in calls], self._gone))
        await super().add_calls(node, calls, keep)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it reads test doubles
            await asyncio.sleep(0.005)


async def test_only_differences_are_written() -> None:
    store, live = CountingPeers(), [CALL]
    publisher = PresencePublisher(store, ME, lambda: live)
    await publisher.publish()
    live.append(replace(CALL, call_id="2"))
    await publisher.publish()
    await publisher.publish()
    # The call ended, and another call with the same id started. Its parties may differ.
    live[:] = [replace(CALL, started=2)]
    await publisher.publish()
    assert store.written == [(["1"], []), (["2"], []), ([], []), (["1"], ["2"])]
    assert [call.started for call in await store.held_calls("a")] == [2]


async def test_a_server_removes_its_publications_at_start_and_stop() -> None:
    store = CountingPeers()
    for peer in (ME, OTHER):
        await store.greet(peer, MINUTE)
        await store.add_calls(peer.node, [replace(CALL, call_id="left")], MINUTE)
    publisher = PresencePublisher(store, ME, lambda: [CALL])
    await publisher.start()
    assert {call.node: call.call_id for call in await store.held_calls("a")} == {"me": "1", "other": "left"}
    assert await store.peer("me") == ME
    await publisher.stop()
    assert (await store.peer("me"), await store.peer("other")) == (None, OTHER)
    assert [call.node for call in await store.held_calls("a")] == ["other"]


async def test_a_change_is_published_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.presence_publisher.INTERVAL", 3_600)
    store: CountingPeers = CountingPeers()
    live: list[Call] = []
    publisher = PresencePublisher(store, ME, lambda: live)
    await publisher.start()
    live.append(CALL)
    publisher.notify_change()
    await until(lambda: len(store.held) == 1)
    live.clear()
    publisher.notify_change()
    publisher.notify_change()
    await until(lambda: not store.held)
    await publisher.stop()


async def test_a_failed_publication_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.presence_publisher.INTERVAL", 0.01)
    store: CountingPeers = CountingPeers()
    live: list[Call] = []
    publisher = PresencePublisher(store, ME, lambda: live)
    await publisher.start()
    store.failures = 3
    live.append(CALL)
    publisher.notify_change()
    await until(lambda: len(store.held) == 1)
    assert store.failures == 0
    await publisher.stop()


async def test_a_stop_does_not_wait_for_an_unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.presence_publisher.STOP_TIMEOUT", 0.01)

    class SilentPeers(MemoryPeers):
        leaves = 0

        async def leave(self, node: str) -> None:
            self.leaves += 1
            if self.leaves > 1:
                await asyncio.Event().wait()

    store = SilentPeers()
    publisher = PresencePublisher(store, ME, list)
    await publisher.start()
    await publisher.stop()
    assert store.leaves == 2
