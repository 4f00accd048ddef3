"""The servers of an installation, for its operator: which are running, and which recordings wait for a dead one."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from recordings.model.errors import InvalidState, NotFound
from recordings.model.events import Lost
from recordings.model.fields import RecordingRow
from recordings.model.recording import IN_PROGRESS, Reason, Recording, State
from recordings.ports.clock import Clock
from recordings.ports.peers import PeerStore, RegisteredServer
from recordings.ports.recording_store import RecordingStore
from recordings.use_cases.clock_repair import ClockRepair
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.work_claims import LEASE

_PAGE: Final = 1_000
_UNFINISHED: Final = frozenset(state.value for state in IN_PROGRESS | {State.FINALIZING})
_FIELDS: Final = frozenset({"id", "node", "state"})


@dataclass(frozen=True, slots=True)
class ServerState:
    """A registered server and the number of its live calls."""

    server: RegisteredServer
    calls: int


class Servers:
    """Lists and forgets the servers that share a metadata store."""

    def __init__(self, peers: PeerStore, store: RecordingStore, clock: Clock) -> None:
        self._peers = peers
        self._store = store
        self._writer = RecordingWriter(store)
        self._clock = clock
        self._clock_repair = ClockRepair(store, clock, LEASE)

    async def all(self) -> Sequence[ServerState]:
        """Return all registered servers, by name. A server that did not return for 30 days is not registered."""
        counts = await self._peers.call_counts()
        return [ServerState(found, counts.get(found.peer.node, 0)) for found in await self._peers.servers()]

    async def recordings_of_gone_servers(self) -> AsyncIterator[RecordingRow]:
        """Return the unfinished recordings whose server is not running, with their id, node and state."""
        alive = {found.peer.node for found in await self._peers.servers() if found.is_alive}
        async for row in self._unfinished():
            if row["node"] not in alive:
                yield row

    async def forget(self, node: str) -> Sequence[Recording]:
        """Remove a server that does not return. Its unfinished recordings become `LOST`. Return them.

        Other servers continue its background steps, and if its clock was ahead, its due dates are brought forward. If
        the server returns with its data folder, it registers again and finalizes its recordings.

        Raises:
            NotFound: no server has this name.
            InvalidState: the server is running.
        """
        found = next(iter(await self._peers.servers([node])), None)
        if found is not None and found.is_alive:
            message = f"the server {node} is running: stop it first, and wait until its lease is over"
            raise InvalidState(message)
        lost = [
            done async for row in self._unfinished({node}) if (done := await self._mark_lost(row["id"])) is not None
        ]
        if found is None and not lost:
            message = f"there is no server {node!r}: `recordings node list` shows all servers"
            raise NotFound(message)
        await self._store.release_leases(node, self._clock.now())
        await self._clock_repair.repair(lambda: ())
        await self._peers.forget(node)
        return lost

    async def _mark_lost(self, recording_id: str) -> Recording | None:
        recording = await self._store.load(recording_id)
        if recording is None or recording.state.value not in _UNFINISHED:
            return None
        detail = f"an operator removed its server {recording.node}"
        event = Lost(at=self._clock.now(), reason=Reason.RECORDER_GONE, detail=detail)
        return await self._writer.save_event_once(recording, event)

    async def _unfinished(self, nodes: Collection[str] | None = None) -> AsyncIterator[RecordingRow]:
        """Return the unfinished recordings with audio on any server, or on these servers."""
        after = ""
        while rows := await self._store.scan(after, _PAGE, _FIELDS):
            after = rows[-1]["id"]
            for row in rows:
                node = row["node"]
                if row["state"] in _UNFINISHED and node is not None and (nodes is None or node in nodes):
                    yield row
