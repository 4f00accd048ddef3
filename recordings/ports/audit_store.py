"""The port for the stored audit trail."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from recordings.model.audit_entry import AuditFilter, ChainName, Link, Seal, StoredEntry
from recordings.model.query import Position

MAX_EXAMINED_ENTRIES: Final = 20_000
"""How many entries one page of the trail examines."""


class ChainMoved(Exception):  # noqa: N818 - a result, not a fault
    """Another process added an entry to the chain, or the entry is stored already."""


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Entries of a trail, newest first. With `rest`, older entries follow after this position.

    The page can be shorter than the limit, because it examines at most `MAX_EXAMINED_ENTRIES`.
    """

    entries: Sequence[StoredEntry]
    rest: Position | None


class AuditStore(Protocol):
    """Stores chains of audit entries. Only `prune_chain` changes or deletes an entry."""

    async def append_entries(self, entries: Sequence[StoredEntry]) -> None:
        """Add entries at the ends of their chains, in this order. Some may be stored when it fails.

        Raises:
            ChainMoved: a chain has an entry with this number, or there is an entry with this id.
        """

    async def chain_end(self, chain: ChainName) -> Link:
        """Return the last link of a chain."""

    async def entries_by_id(self, ids: Collection[str]) -> Sequence[StoredEntry]:
        """Return the entries that exist of these ids."""

    async def trail_page(self, filter: AuditFilter, limit: int, after: Position | None = None) -> TrailPage:
        """Return entries of one account by all writers, newest first, after a position of time and id.

        A filter without actions excludes the entries that complete others (`ENDS`).
        """

    async def chains(self, after: ChainName | None = None, limit: int = 1_000) -> Sequence[ChainName]:
        """Return the chains after this one, sorted."""

    async def chain_entries(self, chain: ChainName, after: int, limit: int = 1_000) -> Sequence[StoredEntry]:
        """Return the entries of a chain with a greater number, in order."""

    async def prune_chain(self, root: StoredEntry) -> None:
        """Delete the entries before the root, and the content of the root. Its number and its hash stay."""

    async def add_seal(self, seal: Seal) -> None:
        """Add a seal. A known id changes nothing."""

    async def seals(self, after: str = "", limit: int = 1_000) -> Sequence[Seal]:
        """Return the seals whose id is greater, sorted by id."""

    async def delete_seals(self, ids: Collection[str]) -> None:
        """Delete seals."""
