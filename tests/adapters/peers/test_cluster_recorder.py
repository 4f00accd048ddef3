"""Two servers of one installation in one process: one receives the request, the recorder of the other executes it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from aiohttp import web
from starlette.applications import Starlette

from adapters.peers import ClusterRecorder, Command, CommandSigner, PeerClient, Verb, peer_routes
from adapters.peers.signed_commands import PATH
from graph.server.system_clock import SystemClock
from recordings.model.account import Account
from recordings.model.errors import AlreadyRecording, CallNotFound, RecorderFailed
from recordings.model.events import Begun, Ended
from recordings.model.instants import MINUTE, SECOND
from recordings.model.options import RecordingOptions
from recordings.model.query import PageRequest
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.ports.peers import Peer
from recordings.ports.recorder import ServerUnreachable, Take, TakeRefused
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.adapters.peers.http_wire import Answer, Wire, break_off, hang, open_wire
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, SIBLING, principal
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_store import MemoryStore

KEY = bytes(range(32))
ME = principal()
HOLDER, ASKED = "holder", "asked"
TIMEOUT = 5.0


@dataclass
class Two:
    """The server that has the call (the holder), and the use cases of the server that receives the request."""

    store: MemoryStore
    peers: MemoryPeers
    holder: FakeRecorder
    asked: FakeRecorder
    routed: ClusterRecorder
    service: Recordings
    wire: Wire
    client: PeerClient

    async def ring(self, call_id: str = "call-1", owner_id: str | None = None) -> None:
        call = self.holder.ring(ACCOUNT, call_id, owner_id)
        await self.peers.add_calls(HOLDER, [call], MINUTE)

    async def start(self, **options: Any) -> Recording:
        return await self.service.start(ME, StartRequest(call_id="call-1", options=RecordingOptions(**options)))

    def disturb(self, answer: Answer | None) -> None:
        """Replace the answers of the holder; `None` restores them."""
        self.wire.answer = answer
        self.client._total = 0.2 if answer is hang else TIMEOUT

    def kept(self) -> Recording:
        (recording,) = self.store.recordings.values()
        return recording


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    clock, store, peers = SystemClock(), MemoryStore(), MemoryPeers()
    recordings: Any = store
    holder, asked = FakeRecorder(clock), FakeRecorder(clock)
    routes = peer_routes(signer=CommandSigner(KEY, HOLDER, clock), recorder=holder, recordings=recordings, node=HOLDER)
    client = PeerClient(CommandSigner(KEY, ASKED, clock), total=TIMEOUT)
    routed = ClusterRecorder(asked, node=ASKED, peers=peers, recordings=recordings, client=client)
    service = Recordings(
        store=recordings, recorder=routed, clock=clock, audit=MemoryAudit(), wake=lambda: None, node=ASKED
    )
    for account in (ACCOUNT, SIBLING):
        await store.add_account(Account(account, account, clock.now()))
    async with open_wire(Starlette(routes=routes)) as wire:
        await peers.register(Peer(HOLDER, wire.url), MINUTE)
        two = Two(store, peers, holder, asked, routed, service, wire, client)
        await two.ring()
        yield two
        await client.close()


async def test_a_call_at_another_server_is_recorded_there(two: Two) -> None:
    begun = await two.start(label="x")
    assert (begun.state, begun.node, begun.recorder) == (State.RECORDING, HOLDER, "scripted")
    assert (await two.service.pause(ME, begun.id)).spans[-1].at_ms == 1_000
    assert (await two.service.resume(ME, begun.id)).state is State.RECORDING
    assert (await two.service.mask(ME, begun.id)).spans[-1].at_ms == 1_000
    assert (await two.service.unmask(ME, begun.id)).state is State.RECORDING
    assert (await two.service.stop(ME, begun.id)).state is State.FINALIZING
    done = ["start", "pause", "resume", "mask", "unmask", "stop"]
    assert two.holder.commands == [(verb, begun.id) for verb in done]
    assert two.asked.commands == []
    assert set(two.wire.seen) == {("POST", PATH, b"")}


async def test_a_start_that_waits_for_the_answer_is_armed(two: Two) -> None:
    assert (await two.start(record_on_answer=True)).state is State.ARMED


async def test_own_calls_are_recorded_without_a_command(two: Two) -> None:
    two.asked.ring(ACCOUNT, "here")
    begun = await two.service.start(ME, StartRequest(call_id="here"))
    assert begun.node == ASKED
    for act in (two.service.pause, two.service.resume, two.service.mask, two.service.unmask, two.service.stop):
        await act(ME, begun.id)
    assert [verb for verb, _ in two.asked.commands] == ["start", "pause", "resume", "mask", "unmask", "stop"]
    assert two.wire.seen == []
    assert not await two.routed.is_open(begun.id)


async def test_calls_of_all_servers_are_listed_newest_first(two: Two) -> None:
    here = two.asked.ring(ACCOUNT, "here")
    calls = [replace(here, call_id=name, started=here.started + ago) for name, ago in (("old", -9), ("new", 9))]
    # The published calls of this server may be out of date. Its own recorder is right.
    await two.peers.register(Peer(ASKED, "http://asked"), MINUTE)
    await two.peers.add_calls(ASKED, [here, replace(here, call_id="ended")], MINUTE)
    await two.peers.add_calls(HOLDER, calls, MINUTE)
    await two.peers.remove_calls(HOLDER, [(ACCOUNT, "call-1")])
    assert [call.call_id for call in (await two.service.lists.calls(ME)).items] == ["new", "here", "old"]
    assert [call.call_id for call in await two.routed.calls(ACCOUNT, PageRequest(limit=2))] == ["new", "here"]
    assert (await two.service.call(ME, "old")).node == HOLDER
    assert await two.service.lists.count_calls(principal(SIBLING)) == 0
    assert two.wire.seen == []


async def test_a_start_is_authorized_before_a_command_is_sent(two: Two) -> None:
    await two.ring("call-1", "alice")
    for who in (principal(owner_id="bob"), principal(SIBLING)):
        with pytest.raises(CallNotFound):
            await two.service.start(who, StartRequest(call_id="call-1"))
    begun = await two.start()
    with pytest.raises(AlreadyRecording):
        await two.start()
    assert len(two.wire.seen) == 1
    assert begun.owner_id == "alice"


async def test_a_refusal_by_the_other_recorder_fails_the_recording(two: Two) -> None:
    two.holder.refusal = "no disk"
    with pytest.raises(RecorderFailed, match="no disk"):
        await two.start()
    assert (two.kept().state, two.kept().reason, two.kept().active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)


def answers(status: int, body: bytes, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return answer


INVALID = {
    "hangs": hang,
    "breaks off": break_off,
    "internal error": answers(500, b"{}"),
    "store unavailable": answers(503, b"{}"),
    "redirect": answers(307, b"", location="http://169.254.169.254/"),
    "not json": answers(200, b"<html>"),
    "no result": answers(200, b'{"begun": "now"}'),
    "endless": answers(200, b" " * 20_000),
    "no refusal": answers(409, b"[]"),
    "empty result": answers(200, b"{}"),
}


@pytest.mark.parametrize("answer", INVALID.values(), ids=INVALID)
async def test_an_invalid_response_leaves_no_recording_half_started(two: Two, answer: Any) -> None:
    two.disturb(answer)
    with pytest.raises(RecorderFailed) as refused:
        await two.start()
    assert two.wire.url not in str(refused.value)
    assert len(two.wire.seen) == 1
    assert (two.kept().state, two.kept().reason, two.kept().active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)
    # The call can be recorded as soon as the server responds again.
    two.disturb(None)
    assert (await two.start()).state is State.RECORDING


async def test_a_closed_port_leaves_no_recording_half_started(two: Two) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        await two.peers.register(Peer(HOLDER, f"http://127.0.0.1:{closed.getsockname()[1]}"), MINUTE)
        with pytest.raises(RecorderFailed, match="is unreachable"):
            await two.start()
    assert (two.kept().state, two.kept().active_call) == (State.FAILED, None)


@pytest.mark.parametrize("answer", [hang, break_off], ids=["hangs", "breaks off"])
async def test_nothing_changes_if_a_command_cannot_be_sent(two: Two, answer: Any) -> None:
    begun = await two.start()
    two.disturb(answer)
    for act in (two.service.stop, two.service.pause, two.service.mask):
        with pytest.raises(RecorderFailed, match="is unreachable"):
            await act(ME, begun.id)
    assert two.kept() == begun


async def test_a_command_is_sent_although_the_lease_is_over(two: Two) -> None:
    begun = await two.start()
    await two.peers.register(Peer(HOLDER, two.wire.url), -MINUTE)
    assert (await two.service.mask(ME, begun.id)).state is State.MASKED
    assert (await two.service.stop(ME, begun.id)).state is State.FINALIZING
    assert await two.service.lists.count_calls(ME) == 0
    with pytest.raises(CallNotFound):
        await two.start()


async def test_an_unregistered_server_is_unreachable(two: Two) -> None:
    begun = await two.start()
    await two.peers.forget(HOLDER)
    for act in (two.service.stop, two.service.mask):
        with pytest.raises(RecorderFailed, match=HOLDER) as refused:
            await act(ME, begun.id)
        assert refused.value.is_unreachable
    assert len(two.wire.seen) == 1


@pytest.mark.parametrize(("is_over", "answers", "is_superseded"), [(1, 0, True), (1, 1, False), (0, 0, False)])
async def test_a_start_supersedes_a_take_only_if_its_server_is_gone(
    two: Two, is_over: bool, answers: bool, is_superseded: bool
) -> None:
    old = await two.start()
    # The call has reconnected to the other server.
    two.asked.ring(ACCOUNT, "call-1")
    await two.peers.register(Peer(HOLDER, two.wire.url), -MINUTE if is_over else MINUTE)
    two.disturb(None if answers else break_off)
    if not is_superseded:
        with pytest.raises(AlreadyRecording):
            await two.start()
        assert two.kept() == old
        return
    new = await two.start()
    assert (new.state, new.node) == (State.RECORDING, ASKED)
    lost = await two.store.load(old.id)
    assert lost is not None
    assert (lost.state, lost.reason, lost.active_call) == (State.LOST, Reason.RECORDER_GONE, None)
    assert HOLDER in (lost.reason_detail or "")
    assert new.interaction_id == old.interaction_id
    # The server returns with its audio.
    ended = Ended(at=SystemClock().now(), cause=EndCause.SERVER_RESTART)
    finalized = await two.service.on_event(old.id, ended)
    assert finalized is not None
    assert finalized.state is State.FINALIZING


async def test_simultaneous_starts_supersede_a_take_once(two: Two) -> None:
    old = await two.start()
    two.asked.ring(ACCOUNT, "call-1")
    await two.peers.forget(HOLDER)
    answers = await asyncio.gather(*(two.start() for _ in range(6)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyRecording"] * 5 + ["Recording"]
    assert sorted(found.state for found in two.store.recordings.values()) == [State.LOST, State.RECORDING]
    assert two.store.recordings[old.id].state is State.LOST


@pytest.mark.parametrize("difference", [-40, 40])
async def test_a_start_is_refused_if_the_clocks_differ_too_much(two: Two, difference: int) -> None:
    await two.peers.register(Peer(ASKED, "http://asked", clock_difference=difference * SECOND // 2), MINUTE)
    await two.peers.register(Peer(HOLDER, two.wire.url, clock_difference=-difference * SECOND // 2), MINUTE)
    with pytest.raises(RecorderFailed, match=f"{HOLDER} differs by 40 s"):
        await two.start()
    assert (two.store.recordings, two.wire.seen) == ({}, [])
    await two.peers.register(Peer(HOLDER, two.wire.url, clock_difference=difference * SECOND // 4), MINUTE)
    assert (await two.start()).state is State.RECORDING


async def test_the_other_server_says_that_the_clocks_differ(two: Two) -> None:
    begun = await two.start()
    late = CommandSigner(KEY, ASKED, FakeClock(SystemClock().now() - 90 * SECOND))
    client = PeerClient(late, total=TIMEOUT)
    with pytest.raises(TakeRefused, match=r"the clocks of the two servers differ by (89|90|91) s"):
        await client.send(Command(Verb.STOP, begun.id), Peer(HOLDER, two.wire.url))
    await client.close()


async def test_a_call_with_two_streams_is_listed_once(two: Two) -> None:
    two.asked.ring(ACCOUNT, "call-1")
    assert [call.call_id for call in (await two.service.lists.calls(ME)).items] == ["call-1"]


async def test_a_start_with_a_lost_response_counts_if_the_recorder_reported_it(two: Two) -> None:
    async def lose(request: web.Request) -> web.StreamResponse:
        await two.wire.forward(request)
        # The holder processes the events of its own recorder.
        await two.service.on_event(two.kept().id, Begun(at=SystemClock().now()))
        return await break_off(request)

    two.disturb(lose)
    begun = await two.start()
    assert (begun.state, begun.active_call) == (State.RECORDING, "call-1")
    assert await two.holder.is_open(begun.id)


async def test_a_late_start_opens_no_take(two: Two) -> None:
    two.disturb(break_off)
    with pytest.raises(RecorderFailed):
        await two.start()
    two.disturb(None)
    take = Take(two.kept().id, ACCOUNT, "call-1", RecordingOptions(), HOLDER)
    for late in (take, replace(take, recording_id="unknown")):
        with pytest.raises(TakeRefused, match="does not wait"):
            await two.routed.start(late)
    assert two.holder.commands == []


async def test_commands_of_strangers_are_rejected(two: Two) -> None:
    begun = await two.start()
    stop = Command(Verb.STOP, begun.id)
    signed = CommandSigner(KEY, ASKED, SystemClock()).sign(stop, HOLDER)
    forged = CommandSigner(bytes(32), ASKED, SystemClock()).sign(stop, HOLDER)
    elsewhere = CommandSigner(KEY, ASKED, SystemClock()).sign(stop, ASKED)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(two.wire.app), base_url=two.wire.url) as stranger:
        for header in ("", "Bearer", "Bearer x", f"Bearer {forged}", f"Bearer {elsewhere}", f"Basic {signed}", signed):
            answer = await stranger.post(PATH, headers={"Authorization": header}, content=b"x" * 100_000)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await stranger.post(PATH)).status_code == 401
        assert (await stranger.get(PATH)).status_code == 405
        assert await two.holder.is_open(begun.id)
        answer = await stranger.post(PATH, headers={"Authorization": f"Bearer {signed}"})
        assert (answer.status_code, answer.json()) == (200, {})
        assert not await two.holder.is_open(begun.id)
        assert (await stranger.post(PATH, headers={"Authorization": f"Bearer {signed}"})).status_code == 401


async def test_a_worker_passes_a_command_to_the_worker_that_it_is_for(two: Two) -> None:
    begun = await two.start()
    clock = SystemClock()
    worker = CommandSigner(KEY, "worker", clock)
    # The URLs of the workers of one machine. The last one has died.
    urls = {"worker": "http://127.0.0.1:9", HOLDER: two.wire.url, "dead": "http://127.0.0.1:9"}
    client = PeerClient(worker, total=TIMEOUT, near=urls)
    stored: Any = two.store
    routes = peer_routes(signer=worker, recorder=two.asked, recordings=stored, node="worker", client=client)
    async with open_wire(Starlette(routes=routes)) as wire:
        # To the other machines, all workers have the same URL.
        await two.client.send(Command(Verb.STOP, begun.id), Peer(HOLDER, wire.url))
        assert not await two.holder.is_open(begun.id)
        with pytest.raises(ServerUnreachable):
            await two.client.send(Command(Verb.STOP, begun.id), Peer("dead", wire.url))
        for stranger in (
            "x",
            "a.b.c",
            CommandSigner(bytes(32), ASKED, clock).sign(Command(Verb.STOP, begun.id), HOLDER),
        ):
            async with httpx.AsyncClient() as http:
                answer = await http.post(wire.url + PATH, headers={"Authorization": f"Bearer {stranger}"})
            assert answer.status_code == 401
    await client.close()


async def test_a_worker_is_reached_at_its_own_address(two: Two) -> None:
    begun = await two.start()
    client = PeerClient(CommandSigner(KEY, ASKED, SystemClock()), near={HOLDER: two.wire.url})
    await client.send(Command(Verb.STOP, begun.id), Peer(HOLDER, "http://127.0.0.1:9"))
    assert not await two.holder.is_open(begun.id)
    await client.close()
