"""A peer store in memory: the running servers and their calls, implemented in the simplest way."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.ports.peers import Peer


class MemoryPeers:
    """A `PeerStore`."""

    def __init__(self) -> None:
        self.peers: dict[str, tuple[Peer, float]] = {}
        self.held: dict[tuple[str, str, str], Call] = {}

    async def greet(self, peer: Peer, lease: Millis) -> None:
        """Register a server."""
        self.peers[peer.node] = (peer, time.monotonic() + lease / 1_000)

    async def leave(self, node: str) -> None:
        """Remove a server and its calls."""
        self.peers.pop(node, None)
        self.held = {names: call for names, call in self.held.items() if names[0] != node}

    async def peer(self, node: str) -> Peer | None:
        """Return the server with a node name."""
        peer, until = self.peers.get(node, (None, 0.0))
        return peer if until > time.monotonic() else None

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        """Add live calls of a server."""
        for call in calls:
            self.held[node, call.account_id, call.call_id] = replace(call, node=node)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove calls of a server."""
        for names in calls:
            self.held.pop((node, *names), None)

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with an id."""
        found = [call for call in await self._running(account_id) if call.call_id == call_id]
        return min(found, key=lambda call: call.started, default=None)

    async def held_calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Return the live calls of an account, newest first."""
        return sorted(await self._running(account_id), key=lambda call: call.started, reverse=True)[:limit]

    async def _running(self, account_id: str) -> list[Call]:
        return [call for names, call in self.held.items() if names[1] == account_id and await self.peer(names[0])]
