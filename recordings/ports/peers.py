"""Servers that share one metadata store, and which live calls the audio of comes in at which of them.

A server tells the store where it is reached, again and again: one that died is forgotten within seconds, with its
calls. Where one server has the store for itself there is nothing to tell.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from recordings.model.call import Call
from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that takes in calls: the node that it is, and the URL at which other servers reach it."""

    node: str
    url: str


@runtime_checkable
class PeerStore(Protocol):
    """Knows the servers that are there, and their calls. Its own clock decides who still is.

    Every method may raise `StoreUnavailableError`. A `Call` that comes out of it says by `node` where it is.
    """

    async def greet(self, peer: Peer, lease: Millis) -> None:
        """A server is there, for so many milliseconds from now unless it says so again."""

    async def leave(self, node: str) -> None:
        """Forget a server, and all its calls."""

    async def peer(self, node: str) -> Peer | None:
        """The server that is a node; `None` where it is not there (any more)."""

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        """Live calls that a server has, in an order of no meaning; forgotten after so many milliseconds at the latest.

        One that is there already is replaced.
        """

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Calls of a server that ended, by account and call id; one that is not there is fine."""

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """The live call of that id in that account, on any server that is there: the one that came first."""

    async def held_calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Live calls of an account on all servers that are there, newest first."""
