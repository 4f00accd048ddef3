"""Two servers of one installation in one process: what one is asked, the other one's recorder does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from adapters.peers import Command, Commands, PeerClient, PeerRecorder, Verb, peer_routes
from adapters.peers.signed_commands import PATH
from graph.server.system_clock import SystemClock
from recordings.model.account import Account
from recordings.model.errors import AlreadyRecording, CallNotFound, RecorderFailed
from recordings.model.events import Begun
from recordings.model.instants import MINUTE
from recordings.model.options import RecordingOptions
from recordings.model.recording import Reason, Recording, State
from recordings.ports.peers import Peer
from recordings.ports.recorder import Take, TakeRefused
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.support.fake_recorder import ScriptedRecorder
from tests.support.memory_audit import ListAudit
from tests.support.memory_installation import ACCOUNT, SIBLING, principal
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_store import MemoryStore

KEY = bytes(range(32))
ME = principal()
HOLDER, ASKED = "holder", "asked"
URL = "http://holder.test:8000"


class Wire(httpx.AsyncBaseTransport):
    """The network between the two: `answer` may do other things than lead to the holder."""

    def __init__(self, app: Starlette) -> None:
        self.inner = httpx.ASGITransport(app)
        self.seen: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], Any] = self.inner.handle_async_request

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        response: httpx.Response = await self.answer(request)
        return response


@dataclass
class Two:
    """The holder's own recorder, and the use cases of the server that is asked."""

    store: MemoryStore
    peers: MemoryPeers
    holder: ScriptedRecorder
    asked: ScriptedRecorder
    routed: PeerRecorder
    service: Recordings
    wire: Wire

    async def ring(self, call_id: str = "call-1", owner_id: str | None = None) -> None:
        call = self.holder.ring(ACCOUNT, call_id, owner_id)
        await self.peers.add_calls(HOLDER, [call], MINUTE)

    async def start(self, **options: Any) -> Recording:
        return await self.service.start(ME, StartRequest(call_id="call-1", options=RecordingOptions(**options)))

    def kept(self) -> Recording:
        (recording,) = self.store.recordings.values()
        return recording


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    clock, store, peers = SystemClock(), MemoryStore(), MemoryPeers()
    recordings: Any = store
    holder, asked = ScriptedRecorder(clock), ScriptedRecorder(clock)
    routes = peer_routes(commands=Commands(KEY, HOLDER, clock), recorder=holder, recordings=recordings, node=HOLDER)
    wire = Wire(Starlette(routes=routes))
    client = PeerClient(Commands(KEY, ASKED, clock), total=0.5, transport=wire)
    routed = PeerRecorder(asked, node=ASKED, peers=peers, recordings=recordings, client=client)
    service = Recordings(
        store=recordings, recorder=routed, clock=clock, audit=ListAudit(), wake=lambda: None, node=ASKED
    )
    for account in (ACCOUNT, SIBLING):
        await store.add_account(Account(account, account, clock.now()))
    await peers.greet(Peer(HOLDER, URL), MINUTE)
    two = Two(store, peers, holder, asked, routed, service, wire)
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
    assert two.holder.asked == [(verb, begun.id) for verb in done]
    assert two.asked.asked == []
    assert {(request.method, str(request.url), request.content) for request in two.wire.seen} == {
        ("POST", URL + PATH, b"")
    }


async def test_one_that_waits_is_armed(two: Two) -> None:
    assert (await two.start(record_on_answer=True)).state is State.ARMED


async def test_its_own_calls_go_straight_to_its_own_recorder(two: Two) -> None:
    two.asked.ring(ACCOUNT, "here")
    begun = await two.service.start(ME, StartRequest(call_id="here"))
    assert begun.node == ASKED
    for act in (two.service.pause, two.service.resume, two.service.mask, two.service.unmask, two.service.stop):
        await act(ME, begun.id)
    assert [verb for verb, _ in two.asked.asked] == ["start", "pause", "resume", "mask", "unmask", "stop"]
    assert two.wire.seen == []
    assert not await two.routed.is_open(begun.id)


async def test_calls_of_all_servers_are_listed_newest_first(two: Two) -> None:
    here = two.asked.ring(ACCOUNT, "here")
    calls = [replace(here, call_id=name, started=here.started + ago) for name, ago in (("old", -9), ("new", 9))]
    # It knows its own calls best: what it told others of them may be a moment old.
    await two.peers.greet(Peer(ASKED, "http://asked"), MINUTE)
    await two.peers.add_calls(ASKED, [here, replace(here, call_id="ended")], MINUTE)
    await two.peers.add_calls(HOLDER, calls, MINUTE)
    await two.peers.remove_calls(HOLDER, [(ACCOUNT, "call-1")])
    assert [call.call_id for call in await two.service.calls(ME)] == ["new", "here", "old"]
    assert [call.call_id for call in await two.routed.calls(ACCOUNT, 2)] == ["new", "here"]
    assert (await two.service.call(ME, "old")).node == HOLDER
    assert await two.service.calls(principal(SIBLING)) == []
    assert two.wire.seen == []


async def test_whose_call_it_is_is_asked_before_anything_goes_out(two: Two) -> None:
    await two.ring("call-1", "alice")
    for who in (principal(owner_id="bob"), principal(SIBLING)):
        with pytest.raises(CallNotFound):
            await two.service.start(who, StartRequest(call_id="call-1"))
    begun = await two.start()
    with pytest.raises(AlreadyRecording):
        await two.start()
    assert len(two.wire.seen) == 1
    assert begun.owner_id == "alice"


async def test_a_recorder_that_refuses_there_has_refused(two: Two) -> None:
    two.holder.refuses = "no disk"
    with pytest.raises(RecorderFailed, match="no disk"):
        await two.start()
    assert (two.kept().state, two.kept().reason, two.kept().active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)


async def hang(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def refuse_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def answers(status: int, body: bytes, **headers: str) -> Callable[[httpx.Request], Any]:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers=headers)

    return answer


AWAY = {
    "hangs": hang,
    "refuses": refuse_connection,
    "fault": answers(500, b"{}"),
    "store away": answers(503, b"{}"),
    "redirect": answers(307, b"", location="http://169.254.169.254/"),
    "not json": answers(200, b"<html>"),
    "not ours": answers(200, b'{"begun": "now"}'),
    "endless": answers(200, b" " * 20_000),
    "no refusal": answers(409, b"[]"),
    "nothing": answers(200, b"{}"),
}


@pytest.mark.parametrize("answer", AWAY.values(), ids=AWAY)
async def test_a_server_that_does_not_answer_as_it_should_leaves_nothing_half_started(two: Two, answer: Any) -> None:
    two.wire.answer = answer
    with pytest.raises(RecorderFailed) as refused:
        await two.start()
    assert "holder" not in str(refused.value)
    assert len(two.wire.seen) == 1
    assert (two.kept().state, two.kept().reason, two.kept().active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)
    # The call can be recorded as soon as it is back.
    two.wire.answer = two.wire.inner.handle_async_request
    assert (await two.start()).state is State.RECORDING


@pytest.mark.parametrize("answer", [hang, refuse_connection], ids=["hangs", "refuses"])
async def test_nothing_changes_where_a_server_cannot_be_told(two: Two, answer: Any) -> None:
    begun = await two.start()
    two.wire.answer = answer
    for act in (two.service.stop, two.service.pause, two.service.mask):
        with pytest.raises(RecorderFailed, match="is away"):
            await act(ME, begun.id)
    assert two.kept() == begun


async def test_a_server_that_is_known_to_be_away_is_not_tried(two: Two) -> None:
    begun = await two.start()
    await two.peers.greet(Peer(HOLDER, URL), -MINUTE)
    with pytest.raises(RecorderFailed, match="is away"):
        await two.service.stop(ME, begun.id)
    assert await two.service.calls(ME) == []
    with pytest.raises(CallNotFound):
        await two.start()
    assert len(two.wire.seen) == 1


async def test_a_start_whose_answer_was_lost_did_happen_if_the_recorder_said_so(two: Two) -> None:
    async def lose(request: httpx.Request) -> httpx.Response:
        await two.wire.inner.handle_async_request(request)
        # The holder's own listener notes down what its recorder says.
        await two.service.on_event(two.kept().id, Begun(at=SystemClock().now()))
        raise httpx.ReadTimeout("lost", request=request)

    two.wire.answer = lose
    begun = await two.start()
    assert (begun.state, begun.active_call) == (State.RECORDING, "call-1")
    assert await two.holder.is_open(begun.id)


async def test_a_start_that_comes_too_late_opens_nothing(two: Two) -> None:
    two.wire.answer = refuse_connection
    with pytest.raises(RecorderFailed):
        await two.start()
    two.wire.answer = two.wire.inner.handle_async_request
    take = Take(two.kept().id, ACCOUNT, "call-1", RecordingOptions(), HOLDER)
    for late in (take, replace(take, recording_id="of nobody")):
        with pytest.raises(TakeRefused, match="nobody waits"):
            await two.routed.start(late)
    assert two.holder.asked == []


async def test_whoever_is_no_server_of_the_installation_is_refused(two: Two) -> None:
    begun = await two.start()
    stop = Command(Verb.STOP, begun.id)
    signed = Commands(KEY, ASKED, SystemClock()).sign(stop, HOLDER)
    forged = Commands(bytes(32), ASKED, SystemClock()).sign(stop, HOLDER)
    elsewhere = Commands(KEY, ASKED, SystemClock()).sign(stop, ASKED)
    async with httpx.AsyncClient(transport=two.wire, base_url=URL) as stranger:
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
