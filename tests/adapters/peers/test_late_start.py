"""A server whose disk is slower than the other one's patience: what nobody waits for any more is not recorded."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from adapters.peers import Commands, PeerClient, PeerRecorder, peer_routes
from adapters.recorders.embedded import EmbeddedRecorder
from adapters.spool import FolderSpool
from graph.server.background_work import apply_events
from graph.server.system_clock import SystemClock
from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import RecorderFailed
from recordings.model.instants import MINUTE
from recordings.model.recording import Reason, State
from recordings.ports.peers import Peer
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.support.memory_audit import ListAudit
from tests.support.memory_installation import ACCOUNT, principal
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_store import MemoryStore

KEY = bytes(range(32))


class SlowSpool(FolderSpool):
    """Opens takes when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = asyncio.Event()

    async def open_tracks(self, *given: Any) -> Any:
        await self.gate.wait()
        return await super().open_tracks(*given)


async def test_a_take_that_opens_after_its_start_was_given_up_is_closed_again(tmp_path: Path) -> None:
    clock, store, peers, spool = SystemClock(), MemoryStore(), MemoryPeers(), SlowSpool(tmp_path)
    kept: Any = store
    holder, asked = (EmbeddedRecorder(spool=spool, clock=clock) for _ in range(2))
    routes = peer_routes(commands=Commands(KEY, "holder", clock), recorder=holder, recordings=kept, node="holder")
    # As a real connection: that one side hangs up does not end what the other one does.
    working: list[asyncio.Task[httpx.Response]] = []
    inside = httpx.ASGITransport(Starlette(routes=routes))

    class Wire(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            working.append(asyncio.create_task(inside.handle_async_request(request)))
            return await asyncio.shield(working[-1])

    client = PeerClient(Commands(KEY, "asked", clock), total=0.1, transport=Wire())
    recorder = PeerRecorder(asked, node="asked", peers=peers, recordings=kept, client=client)
    parts: Any = {"store": kept, "clock": clock, "audit": ListAudit(), "wake": lambda: None}
    at_holder = Recordings(recorder=holder, node="holder", **parts)
    doubted: list[str] = []
    listening = asyncio.create_task(apply_events(holder, at_holder, doubted.append))
    await store.add_account(Account(ACCOUNT, "Acme", clock.now()))
    await peers.greet(Peer("holder", "http://holder"), MINUTE)
    call = Call(account_id=ACCOUNT, call_id="call", started=clock.now())
    live = holder.open_call(call, lambda _: None)
    await peers.add_calls("holder", [call], MINUTE)

    with pytest.raises(RecorderFailed, match="did not answer in time"):
        await Recordings(recorder=recorder, node="asked", **parts).start(principal(), StartRequest(call_id="call"))
    (failed,) = store.recordings.values()
    assert (failed.state, failed.reason, failed.active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)
    spool.gate.set()
    assert (await working[0]).status_code == 200
    async with asyncio.timeout(20):
        while live.takes or await holder.is_open(failed.id):  # noqa: ASYNC110 - it asks the recorder
            await asyncio.sleep(0.005)
    assert await store.load(failed.id) == failed
    # The call goes on, and can be recorded.
    begun = await at_holder.start(principal(), StartRequest(call_id="call"))
    assert await holder.is_open(begun.id)
    await holder.close()
    await listening
    assert doubted == [failed.id]
    await client.close()
