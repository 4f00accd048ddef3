"""A recorder for all live calls of an installation, whichever of its servers they come in at."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from adapters.peers.peer_client import PeerClient
from adapters.peers.signed_commands import Command, Done, Verb
from recordings.model.call import Call
from recordings.model.events import Armed, Begun
from recordings.model.instants import Millis
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import Capability, Recorder, Take, TakeEvent, TakeRefused
from recordings.ports.recording_store import RecordingStore

_AWAY: Final = "the server that has the call is away"


class PeerRecorder:
    """Does to this server's own calls what `own` does, at no cost, and has the other servers do it to theirs.

    All servers of an installation have recorders of the same kind, so `own` speaks for what they can do.
    """

    def __init__(
        self, own: Recorder, *, node: str, peers: PeerStore, recordings: RecordingStore, client: PeerClient
    ) -> None:
        self._own = own
        self._node = node
        self._peers = peers
        self._recordings = recordings
        self._client = client

    @property
    def name(self) -> str:
        """Its name in a recording's `recorder`."""
        return self._own.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        return self._own.capabilities

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """The live call of that id in that account: the one here, or else the one that came first."""
        return await self._own.find_call(account_id, call_id) or await self._peers.held_call(account_id, call_id)

    async def calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Live calls of an account, newest first."""
        own = await self._own.calls(account_id, limit)
        # What this server told of itself may be a moment old.
        others = [call for call in await self._peers.held_calls(account_id, limit) if call.node != self._node]
        return sorted([*own, *others], key=lambda call: call.started, reverse=True)[:limit] if others else own

    async def start(self, take: Take) -> Armed | Begun:
        """Open a take on a live call, or arm it. Raises `TakeRefused`."""
        if take.node in {None, self._node}:
            return await self._own.start(take)
        done = await self._give(Verb.START, take.recording_id, take.node)
        if done.begun is not None:
            return Begun(at=done.begun)
        if done.armed is not None:
            return Armed(at=done.armed)
        raise TakeRefused("the server that has the call gave no answer that makes sense")

    async def stop(self, recording_id: str) -> None:
        """Close a take. Raises `TakeRefused` where its server is away."""
        if await self._elsewhere(Verb.STOP, recording_id) is None:
            await self._own.stop(recording_id)

    async def pause(self, recording_id: str) -> Millis:
        """Cut out what follows; the offset in the audio. Raises `TakeRefused`."""
        done = await self._elsewhere(Verb.PAUSE, recording_id)
        return await self._own.pause(recording_id) if done is None else done.at_ms

    async def resume(self, recording_id: str) -> None:
        """Go on after a pause. Raises `TakeRefused`."""
        if await self._elsewhere(Verb.RESUME, recording_id) is None:
            await self._own.resume(recording_id)

    async def mask(self, recording_id: str) -> Millis:
        """Record silence for what follows; the offset in the audio. Raises `TakeRefused`."""
        done = await self._elsewhere(Verb.MASK, recording_id)
        return await self._own.mask(recording_id) if done is None else done.at_ms

    async def unmask(self, recording_id: str) -> None:
        """Record what is said again. Raises `TakeRefused`."""
        if await self._elsewhere(Verb.UNMASK, recording_id) is None:
            await self._own.unmask(recording_id)

    async def is_open(self, recording_id: str) -> bool:
        """Whether a take is open (or armed) on this server."""
        return await self._own.is_open(recording_id)

    def events(self) -> AsyncIterator[TakeEvent]:
        """What happens to this server's takes; each server listens to its own."""
        return self._own.events()

    async def _elsewhere(self, verb: Verb, recording_id: str) -> Done | None:
        """What the server answered that has the take of a recording; `None` if that is this one."""
        if await self._own.is_open(recording_id):
            return None
        row = (await self._recordings.rows([recording_id], frozenset({"node"}))).get(recording_id)
        node = None if row is None else row["node"]
        return None if node in {None, self._node} else await self._give(verb, recording_id, node)

    async def _give(self, verb: Verb, recording_id: str, node: str | None) -> Done:
        peer = await self._peers.peer(node or "")
        if peer is None:
            raise TakeRefused(_AWAY)
        return await self._client.give(Command(verb, recording_id), peer)
