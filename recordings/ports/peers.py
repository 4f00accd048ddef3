"""The servers of one installation, and which of them receives each live call's audio.

Each server registers its URL in the shared metadata store, and renews that every few seconds. If a server dies, its
entry and its calls expire within seconds. An installation with one server needs no such entries.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from recordings.model.call import Call
from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that receives calls: its node name, and the URL where other servers reach it."""

    node: str
    url: str


@runtime_checkable
class PeerStore(Protocol):
    """Stores the running servers and their calls. The store's clock decides when an entry expires.

    Every method may raise `StoreUnavailableError`. The `node` of a returned `Call` is the server that receives it.
    """

    async def greet(self, peer: Peer, lease: Millis) -> None:
        """Register a server. The entry expires after `lease` milliseconds unless it is renewed."""

    async def leave(self, node: str) -> None:
        """Remove a server and all its calls."""

    async def peer(self, node: str) -> Peer | None:
        """Return the server with this node name; `None` if it is not running."""

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        """Add live calls of a server, or replace them. They expire after `keep` milliseconds at the latest."""

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove ended calls of a server, by account and call id. Unknown calls are ignored."""

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in the account, on any running server. The oldest one wins."""

    async def held_calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Return live calls of an account on all running servers, newest first."""
