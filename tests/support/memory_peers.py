"""A peer store in memory: who is there and with which calls, in the plainest way."""

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
        """A server is there."""
        self.peers[peer.node] = (peer, time.monotonic() + lease / 1_000)

    async def leave(self, node: str) -> None:
        """Forget a server and its calls."""
        self.peers.pop(node, None)
        self.held = {names: call for names, call in self.held.items() if names[0] != node}

    async def peer(self, node: str) -> Peer | None:
        """The server that is a node."""
        peer, until = self.peers.get(node, (None, 0.0))
        return peer if until > time.monotonic() else None

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        """Live calls that a server has."""
        for call in calls:
            self.held[node, call.account_id, call.call_id] = replace(call, node=node)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Calls that ended."""
        for names in calls:
            self.held.pop((node, *names), None)

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """The live call of that id."""
        found = [call for call in await self._there(account_id) if call.call_id == call_id]
        return min(found, key=lambda call: call.started, default=None)

    async def held_calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Live calls of an account."""
        return sorted(await self._there(account_id), key=lambda call: call.started, reverse=True)[:limit]

    async def _there(self, account_id: str) -> list[Call]:
        return [call for names, call in self.held.items() if names[1] == account_id and await self.peer(names[0])]
