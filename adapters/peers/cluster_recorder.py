"""A recorder for all live calls of an installation, on all its servers."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from adapters.peers.peer_client import PeerClient, describe, unreachable
from adapters.peers.signed_commands import Command, CommandResult, Verb
from recordings.model.call import Call, position_of_call
from recordings.model.events import Armed, Begun
from recordings.model.instants import CLOCK_TOLERANCE, SECOND, Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.ports.peers import Peer, PeerStore
from recordings.ports.recorder import CallEvent, Capability, Recorder, ServerUnreachable, Take, TakeEvent, TakeRefused
from recordings.ports.recording_store import RecordingStore

PROBE_SECONDS: Final = 2.0
"""Seconds that a server whose lease is over has to answer."""


class ClusterRecorder:
    """Records this server's calls with its own recorder, at no extra cost, and sends commands for all other calls.

    All servers of an installation have the same switches in their settings. `own` therefore knows the capabilities of
    all recorders.
    """

    def __init__(
        self, own: Recorder, *, node: str, peers: PeerStore, recordings: RecordingStore, client: PeerClient
    ) -> None:
        self._own = own
        self._node = node
        self._peers = peers
        self._recordings = recordings
        self._client = client

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return the capabilities of the recorder with this name."""
        return self._own.capabilities_of(recorder)

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return an account's live call: the call on this server, or else the one on another server."""
        return await self._own.find_call(account_id, call_id) or await self._peers.held_call(account_id, call_id)

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        # The published state of this server may be out of date, so its own calls come from its recorder.
        own = await self._own.calls(account_id, request, owner_id)
        held = await self._peers.held_calls(account_id, request, owner_id=owner_id, other_than=self._node)
        others = [call for call in held if await self._own.find_call(account_id, call.call_id) is None]
        return take_page([*own, *others], request, position_of_call, descending=True) if others else own

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account."""
        others = await self._peers.count_held_calls(account_id, owner_id=owner_id, other_than=self._node)
        return await self._own.count_calls(account_id, owner_id) + others

    async def check_server(self, node: str | None) -> None:
        """Raise `TakeRefused` if the clock of another server differs too much from this server's clock."""
        if node in {None, self._node}:
            return
        differences = {found.peer.node: found.peer for found in await self._peers.servers([node or "", self._node])}
        there, here = (differences.get(name or "") for name in (node, self._node))
        if there is None or here is None:
            return
        difference = there.clock_difference - here.clock_difference
        if abs(difference) > CLOCK_TOLERANCE:
            raise TakeRefused(
                f"the clock of {describe(there)} differs by {abs(difference) // SECOND} s from the clock of this "
                f"server: at most {CLOCK_TOLERANCE // SECOND} s are allowed"
            )

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """End a call of this server that came back on another server."""
        return await self._own.yield_call(account_id, call_id)

    async def is_gone(self, node: str) -> bool:
        """Return true if the lease of another server is over and the server does not answer."""
        if node == self._node:
            return False
        found = next(iter(await self._peers.servers([node])), None)
        if found is None:
            return True
        return not found.is_alive and not await self._answers(found.peer)

    async def _answers(self, peer: Peer) -> bool:
        # After an outage of the metadata store, the leases of all servers are over.
        if not peer.url:
            return False
        try:
            await self._client.send(Command(Verb.YIELD_CALL, "/"), peer, PROBE_SECONDS)
        except ServerUnreachable:
            return False
        except TakeRefused:
            return True
        return True

    async def start(self, take: Take) -> Armed | Begun:
        """Open a take on a live call, or arm it. Raises `TakeRefused`."""
        if take.node in {None, self._node}:
            return await self._own.start(take)
        result = await self._send(Verb.START, take.recording_id, take.node)
        if result.begun is not None:
            return Begun(at=result.begun)
        if result.armed is not None:
            return Armed(at=result.armed)
        raise TakeRefused("the server that has the call sent an invalid response")

    async def stop(self, recording_id: str) -> None:
        """Close a take. Raises `TakeRefused` if its server is unreachable."""
        if await self._send_elsewhere(Verb.STOP, recording_id) is None:
            await self._own.stop(recording_id)

    async def pause(self, recording_id: str) -> Millis:
        """Pause a take and return the offset in its audio. Raises `TakeRefused`."""
        result = await self._send_elsewhere(Verb.PAUSE, recording_id)
        return await self._own.pause(recording_id) if result is None else result.at_ms

    async def resume(self, recording_id: str) -> Millis | None:
        """Resume a paused take and return the length of the pause. Raises `TakeRefused`."""
        result = await self._send_elsewhere(Verb.RESUME, recording_id)
        return await self._own.resume(recording_id) if result is None else result.length_ms

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on, and return the offset in the audio. Raises `TakeRefused`."""
        result = await self._send_elsewhere(Verb.MASK, recording_id)
        return await self._own.mask(recording_id) if result is None else result.at_ms

    async def unmask(self, recording_id: str) -> Millis | None:
        """End the silence of `mask` and return its length. Raises `TakeRefused`."""
        result = await self._send_elsewhere(Verb.UNMASK, recording_id)
        return await self._own.unmask(recording_id) if result is None else result.length_ms

    async def is_open(self, recording_id: str) -> bool:
        """Return true if a take is open (or armed) on this server."""
        return await self._own.is_open(recording_id)

    def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Return the events of this server's takes and calls. Each server reads only its own events."""
        return self._own.events()

    async def _send_elsewhere(self, verb: Verb, recording_id: str) -> CommandResult | None:
        """Send a command to the server that has the take of a recording; return `None` if that is this server."""
        if await self._own.is_open(recording_id):
            return None
        row = (await self._recordings.rows([recording_id], frozenset({"node"}))).get(recording_id)
        node = None if row is None else row["node"]
        return None if node in {None, self._node} else await self._send(verb, recording_id, node)

    async def _send(self, verb: Verb, recording_id: str, node: str | None) -> CommandResult:
        found = next(iter(await self._peers.servers([node or ""])), None)
        peer = Peer(node or "", "") if found is None else found.peer
        if not peer.url:
            raise unreachable(peer)
        # The server may answer although its lease is over: the metadata store may have been unavailable.
        return await self._client.send(Command(verb, recording_id), peer)
