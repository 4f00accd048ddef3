"""The servers of one installation, and which of them receives each live call's audio.

Each server registers itself in the shared metadata store, and renews its lease every few seconds. If a server dies, its
lease and its calls expire within seconds. Its entry remains, so that an operator can find it. An installation with one
server needs no such entries.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.query import PageRequest


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that receives calls.

    - `node`: its name, which is kept in its data folder.
    - `url`: where other servers reach it; empty if they cannot.
    - `version`: the release that it runs.
    - `clock_difference`: its clock minus the clock of the metadata store, in milliseconds.
    - `keys`: the ids of the installation's keys that it has.
    """

    node: str
    url: str
    version: str = ""
    clock_difference: Millis = 0
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredServer:
    """A registered server. `lease` is the time until its lease ends, in milliseconds; negative if it is over."""

    peer: Peer
    lease: Millis

    @property
    def is_alive(self) -> bool:
        """Whether the lease is valid."""
        return self.lease > 0


@runtime_checkable
class PeerStore(Protocol):
    """Stores the servers and their calls. The store's clock decides when a lease or an entry expires.

    Every method may raise `StoreUnavailableError`. The `node` of a returned `Call` is the server that receives it. A
    call with an id belongs to one server at a time.
    """

    async def register(self, peer: Peer, lease: Millis) -> Millis:
        """Register a server with a lease of `lease` milliseconds, or renew the lease. Return the store's time."""

    async def end_lease(self, node: str) -> None:
        """End the lease of a server, and remove all its calls."""

    async def forget(self, node: str) -> None:
        """Remove a server and all its calls."""

    async def peer(self, node: str) -> Peer | None:
        """Return the server with this node name; `None` if its lease is over."""

    async def servers(self, nodes: Collection[str] | None = None) -> Sequence[RegisteredServer]:
        """Return the registered servers, or those of these nodes, by name. Some may not be running."""

    async def hold_switch(self, switch: str, node: str, lease: Millis) -> str:
        """Lease a switch to a server, or renew its lease, unless another server has it. Return the holder's node."""

    async def release_switches(self, node: str) -> None:
        """End the leases of a server on switches."""

    async def call_counts(self) -> Mapping[str, int]:
        """Return the number of live calls of each server that has any."""

    async def claim_call(self, node: str, call: Call, keep: Millis, instead_of: str | None = None) -> str | None:
        """Add a live call of a server, unless another server has it. Return that server's node, else `None`.

        With `instead_of`, the call is taken from that server. The claim is atomic: one of two servers gets the call.
        """

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> Collection[tuple[str, str]]:
        """Add live calls of a server, or replace them. They expire after `keep` milliseconds at the latest.

        Return the account and the id of each call that was not added, because another server has it.
        """

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove ended calls of a server, by account and call id. Calls that it does not have are ignored."""

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in the account, on any running server that others can reach."""

    async def held_calls(
        self, account_id: str, request: PageRequest, *, owner_id: str | None = None, other_than: str = ""
    ) -> Sequence[Call]:
        """Return a page of the live calls on all running servers that others can reach, newest first.

        The calls are those of an account, or of one owner in it. The server `other_than` is left out.
        """

    def watch_calls(self) -> AsyncGenerator[Collection[str]]:
        """Yield the ids of accounts whose live calls changed on any server, soon after the change.

        The first batch is empty. Every change after it is yielded. An empty batch follows at least once a second. A
        server that dies is no change.
        """

    async def count_held_calls(self, account_id: str, *, owner_id: str | None = None, other_than: str = "") -> int:
        """Return the number of these calls."""
