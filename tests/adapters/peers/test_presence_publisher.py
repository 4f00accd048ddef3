"""The calls that this server publishes to the other servers."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.error_body import error_response
from adapters.peers import CommandSigner, PeerClient, PresencePublisher
from adapters.peers.signed_commands import PATH
from graph.server.system_clock import SystemClock
from recordings.model.call import Call
from recordings.model.instants import MINUTE, Millis
from recordings.model.query import PageRequest
from recordings.ports.peers import Peer, PeerStore
from tests.adapters.peers.http_wire import open_wire
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

    async def register(self, peer: Peer, lease: Millis) -> Millis:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("unreachable")
        return await super().register(peer, lease)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        self._gone = [name for _, name in calls]
        await super().remove_calls(node, calls)

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> Collection[tuple[str, str]]:
        self.written.append(([call.call_id for call in calls], self._gone))
        return await super().add_calls(node, calls, keep)


def publisher_of(store: PeerStore, server: Peer, live_calls: Callable[[], Sequence[Call]]) -> PresencePublisher:
    """Return a publisher with the system's clock. Its client has no server to reach."""
    clock = SystemClock()
    client = PeerClient(CommandSigner(bytes(32), server.node, clock), total=1)
    return PresencePublisher(store, server, live_calls, client=client, clock=clock)


async def test_a_claim_is_kept_or_removed_by_the_next_publication() -> None:
    store: CountingPeers = CountingPeers()
    live: list[Call] = []
    publisher = publisher_of(store, ME, lambda: live)
    await publisher.publish()
    assert await publisher.claim(CALL)
    live.append(CALL)
    await publisher.publish()
    assert [call.node for call in await store.held_calls("a", PageRequest(limit=9))] == ["me"]
    live.clear()
    assert await publisher.claim(replace(CALL, call_id="ended at once"))
    await publisher.publish()
    assert await store.held_calls("a", PageRequest(limit=9)) == []


async def test_a_call_of_a_server_that_does_not_confirm_it_is_claimed() -> None:
    store = CountingPeers()
    # Nothing listens on this port.
    await store.register(Peer("other", "http://127.0.0.1:9"), MINUTE)
    await store.add_calls("other", [CALL], MINUTE)
    publisher = publisher_of(store, ME, lambda: [CALL])
    await publisher.publish()
    assert await publisher.claim(CALL)
    await publisher.client.close()
    assert [call.node for call in await store.held_calls("a", PageRequest(limit=9))] == ["me"]
    # The other server was only slow. Its publication does not take the call back.
    await store.add_calls("other", [CALL], MINUTE)
    await store.remove_calls("other", [("a", CALL.call_id)])
    assert [call.node for call in await store.held_calls("a", PageRequest(limit=9))] == ["me"]


async def test_a_server_that_rejects_commands_keeps_its_call_while_it_has_its_lease() -> None:
    async def reject(_request: Request) -> Response:
        return error_response(401, "UNAUTHENTICATED", "the clocks of the two servers differ by 90 s")

    store = CountingPeers()
    await store.add_calls("other", [CALL], MINUTE)
    publisher = publisher_of(store, ME, lambda: [CALL])
    async with open_wire(Starlette(routes=[Route(PATH, reject, methods=["POST"])])) as wire:
        await store.register(Peer("other", wire.url), MINUTE)
        assert not await publisher.claim(CALL)
        await store.register(Peer("other", wire.url), -MINUTE)
        assert await publisher.claim(CALL)
        await publisher.client.close()


async def test_a_server_without_a_url_keeps_its_call_while_it_has_its_lease() -> None:
    store = CountingPeers()
    await store.add_calls("other", [CALL], MINUTE)
    publisher = publisher_of(store, ME, lambda: [CALL])
    await store.register(Peer("other", ""), MINUTE)
    assert not await publisher.claim(CALL)
    await store.register(Peer("other", ""), -MINUTE)
    assert await publisher.claim(CALL)


async def test_a_call_is_recorded_here_if_the_store_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.presence_publisher.CLAIM_TIMEOUT", 0.01)

    class FrozenPeers(MemoryPeers):
        async def claim_call(self, *_: Any, **__: Any) -> str | None:
            await asyncio.Event().wait()
            return None

    assert await publisher_of(FrozenPeers(), ME, lambda: [CALL]).claim(CALL)


@pytest.mark.parametrize(("ahead", "words"), [(-40, "ahead of"), (40, "behind"), (29, None), (-29, None)])
async def test_a_clock_difference_is_measured_and_named(
    caplog: pytest.LogCaptureFixture, ahead: int, words: str | None
) -> None:
    store = MemoryPeers()
    store.ahead = ahead * 1_000
    publisher = publisher_of(store, ME, list)
    await publisher.publish()
    await publisher.publish()
    (found,) = await store.servers()
    assert found.peer.clock_difference == pytest.approx(-ahead * 1_000, abs=900)
    problem = await publisher.report_clock()
    lines = [record.message for record in caplog.records if "clock" in record.message]
    if words is None:
        assert (problem, lines) == (None, [])
    else:
        assert problem == f"this server's clock differs by 40 s: it is {words} the clock of the metadata store"
        assert len(lines) == 1
    store.ahead = 0
    await publisher.publish()
    assert await publisher.report_clock() is None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it reads test doubles
            await asyncio.sleep(0.005)


async def test_only_differences_are_written() -> None:
    store, live = CountingPeers(), [CALL]
    publisher = publisher_of(store, ME, lambda: live)
    await publisher.publish()
    live.append(replace(CALL, call_id="2"))
    await publisher.publish()
    await publisher.publish()
    # The call ended, and another call with the same id started. Its parties may differ.
    live[:] = [replace(CALL, started=2)]
    await publisher.publish()
    assert store.written == [(["1"], []), (["2"], []), ([], []), (["1"], ["2"])]
    assert [call.started for call in await store.held_calls("a", PageRequest(limit=9))] == [2]


async def test_a_server_removes_its_publications_at_start_and_stop() -> None:
    store = CountingPeers()
    for peer in (ME, OTHER):
        await store.register(peer, MINUTE)
        await store.add_calls(peer.node, [replace(CALL, call_id=f"left by {peer.node}")], MINUTE)
    publisher = publisher_of(store, ME, lambda: [CALL])
    await publisher.start()
    assert {call.node: call.call_id for call in await store.held_calls("a", PageRequest(limit=9))} == {
        "me": "1",
        "other": "left by other",
    }
    assert await store.peer("me") == ME
    await publisher.stop()
    assert (await store.peer("me"), await store.peer("other")) == (None, OTHER)
    assert [call.node for call in await store.held_calls("a", PageRequest(limit=9))] == ["other"]


async def test_a_change_is_published_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.presence_publisher.INTERVAL", 3_600)
    store: CountingPeers = CountingPeers()
    live: list[Call] = []
    publisher = publisher_of(store, ME, lambda: live)
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
    publisher = publisher_of(store, ME, lambda: live)
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

        async def end_lease(self, node: str) -> None:
            self.leaves += 1
            if self.leaves > 1:
                await asyncio.Event().wait()

    store = SilentPeers()
    publisher = publisher_of(store, ME, list)
    await publisher.start()
    await publisher.stop()
    assert store.leaves == 2
