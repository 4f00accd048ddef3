"""A peer store in memory: the running servers and their calls, implemented in the simplest way."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace

from recordings.model.call import Call, position_of_call
from recordings.model.instants import Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.ports.peers import Peer, RegisteredServer


class MemoryPeers:
    """A `PeerStore`. Its clock is `time.time` plus `ahead` milliseconds."""

    def __init__(self) -> None:
        self.peers: dict[str, tuple[Peer, float]] = {}
        self.held: dict[tuple[str, str], Call] = {}
        self.ahead: Millis = 0
        self.switches: dict[str, tuple[str, float]] = {}

    async def register(self, peer: Peer, lease: Millis) -> Millis:
        """Register a server."""
        self.peers[peer.node] = (peer, time.monotonic() + lease / 1_000)
        return round(time.time() * 1_000) + self.ahead

    async def end_lease(self, node: str) -> None:
        """End the lease of a server, and remove its calls."""
        if node in self.peers:
            self.peers[node] = (self.peers[node][0], time.monotonic())
        self.held = {names: call for names, call in self.held.items() if call.node != node}

    async def forget(self, node: str) -> None:
        """Remove a server and its calls."""
        await self.end_lease(node)
        self.peers.pop(node, None)

    async def peer(self, node: str) -> Peer | None:
        """Return the server with a node name."""
        peer, until = self.peers.get(node, (None, 0.0))
        return peer if until > time.monotonic() else None

    async def servers(self, nodes: Collection[str] | None = None) -> Sequence[RegisteredServer]:
        """Return registered servers."""
        found = sorted(self.peers.items())
        return [
            RegisteredServer(peer, round((until - time.monotonic()) * 1_000))
            for node, (peer, until) in found
            if nodes is None or node in nodes
        ]

    async def watch_calls(self) -> AsyncGenerator[Collection[str]]:
        """Yield the accounts whose calls changed."""
        before = self.held.copy()
        yield ()
        while True:
            await asyncio.sleep(0.01)
            now = self.held.copy()
            names = [name for name in before.keys() | now.keys() if before.get(name) is not now.get(name)]
            before = now
            yield {account_id for account_id, _ in names}

    async def hold_switch(self, switch: str, node: str, lease: Millis) -> str:
        """Lease a switch to a server, unless another server has it."""
        holder, until = self.switches.get(switch, (node, 0.0))
        if holder == node or until <= time.monotonic():
            self.switches[switch] = (node, time.monotonic() + lease / 1_000)
        return self.switches[switch][0]

    async def release_switches(self, node: str) -> None:
        """End the leases of a server on switches."""
        held = {switch: holder for switch, (holder, _) in self.switches.items() if holder == node}
        self.switches |= {switch: (holder, 0.0) for switch, holder in held.items()}

    async def call_counts(self) -> Mapping[str, int]:
        """Return the number of calls of each server."""
        return Counter(call.node or "" for call in self.held.values())

    async def claim_call(self, node: str, call: Call, keep: Millis, instead_of: str | None = None) -> str | None:
        """Add a live call of a server, unless another server has it."""
        found = self.held.get((call.account_id, call.call_id))
        if found is not None and found.node not in {node, instead_of}:
            return found.node
        self.held[call.account_id, call.call_id] = replace(call, node=node)
        return None

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> Collection[tuple[str, str]]:
        """Add live calls of a server. Return those that another server has."""
        refused = [call for call in calls if await self.claim_call(node, call, keep) is not None]
        return [(call.account_id, call.call_id) for call in refused]

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove calls of a server."""
        for names in calls:
            if names in self.held and self.held[names].node == node:
                del self.held[names]

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with an id."""
        found = [call for call in await self._running(account_id) if call.call_id == call_id]
        return next(iter(found), None)

    async def held_calls(
        self, account_id: str, request: PageRequest, *, owner_id: str | None = None, other_than: str = ""
    ) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        found = await self._held(account_id, owner_id, other_than)
        return take_page(found, request, position_of_call, descending=True)

    async def count_held_calls(self, account_id: str, *, owner_id: str | None = None, other_than: str = "") -> int:
        """Return the number of these calls."""
        return len(await self._held(account_id, owner_id, other_than))

    async def _held(self, account_id: str, owner_id: str | None, other_than: str) -> list[Call]:
        running = await self._running(account_id)
        return [call for call in running if owner_id in {None, call.owner_id} and call.node != other_than]

    async def _running(self, account_id: str) -> list[Call]:
        of_account = [call for names, call in self.held.items() if names[0] == account_id]
        return [call for call in of_account if (peer := await self.peer(call.node or "")) is not None and peer.url]
