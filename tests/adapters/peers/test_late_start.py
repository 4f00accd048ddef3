"""A start that takes longer than the timeout of the other server: its take is closed again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from starlette.applications import Starlette

from adapters.peers import ClusterRecorder, CommandSigner, PeerClient, peer_routes
from adapters.recorders.embedded import EmbeddedRecorder
from adapters.spool import FolderSpool
from graph.server.recorder_events import RecorderEvents
from graph.server.system_clock import SystemClock
from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import RecorderFailed
from recordings.model.instants import MINUTE
from recordings.model.recording import Reason, State
from recordings.ports.peers import Peer
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.adapters.peers.http_wire import open_wire
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, principal
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_store import MemoryStore

KEY = bytes(range(32))


class SlowSpool(FolderSpool):
    """Opens takes only after `gate` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = asyncio.Event()

    async def open_tracks(self, *given: Any) -> Any:
        await self.gate.wait()
        return await super().open_tracks(*given)


async def test_a_take_that_opens_after_the_timeout_is_closed_again(tmp_path: Path) -> None:
    clock, store, peers, spool = SystemClock(), MemoryStore(), MemoryPeers(), SlowSpool(tmp_path)
    kept: Any = store
    holder, asked = (EmbeddedRecorder(spool=spool, clock=clock) for _ in range(2))
    routes = peer_routes(signer=CommandSigner(KEY, "holder", clock), recorder=holder, recordings=kept, node="holder")
    # A real connection: the holder keeps working on a request after the client has disconnected.
    done: list[int] = []
    client = PeerClient(CommandSigner(KEY, "asked", clock), total=0.5)
    recorder = ClusterRecorder(asked, node="asked", peers=peers, recordings=kept, client=client)
    parts: Any = {"store": kept, "clock": clock, "audit": MemoryAudit(), "wake": lambda: None}
    at_holder = Recordings(recorder=holder, node="holder", **parts)
    late_takes: list[str] = []
    listening = asyncio.create_task(RecorderEvents(holder, at_holder, late_takes.append).run())
    await store.add_account(Account(ACCOUNT, "Acme", clock.now()))
    call = Call(account_id=ACCOUNT, call_id="call", started=clock.now())
    live = holder.open_call(call, lambda _: None)
    await peers.add_calls("holder", [call], MINUTE)

    async with open_wire(Starlette(routes=routes)) as wire:

        async def forward(request: web.Request) -> web.StreamResponse:
            response = await wire.forward(request)
            done.append(response.status)
            return response

        wire.answer = forward
        await peers.register(Peer("holder", wire.url), MINUTE)
        with pytest.raises(RecorderFailed, match="did not answer in time"):
            await Recordings(recorder=recorder, node="asked", **parts).start(principal(), StartRequest(call_id="call"))
        (failed,) = store.recordings.values()
        assert (failed.state, failed.reason, failed.active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)
        spool.gate.set()
        async with asyncio.timeout(20):
            while not done or live.takes or await holder.is_open(failed.id):  # noqa: ASYNC110 - polls
                await asyncio.sleep(0.005)
        assert done == [200]
        assert await store.load(failed.id) == failed
        # The call is still live, and can be recorded.
        begun = await at_holder.start(principal(), StartRequest(call_id="call"))
        assert await holder.is_open(begun.id)
        await holder.close()
        await listening
        assert late_takes == [failed.id]
        await client.close()
