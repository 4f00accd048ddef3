"""Sealing the audit trail, and deleting its old entries.

A server seals the chains of its node: its own and those of the commands beside it. A seal is first put into the archive
and then into the metadata store. If the server dies in between, the next one finds it in the archive. One process seals
at a time: two would give the same number to two seals, and one of them would overwrite the other in the archive.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from recordings.model.audit_entry import ChainName, Link, Seal, StoredEntry
from recordings.model.instants import DAY
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.audit_seals import SealArchive, SealSigner
from recordings.ports.audit_store import AuditStore
from recordings.ports.clock import Clock
from recordings.use_cases.audit_seal import SealContent, digest_of, number_of, seal_id, write_seal

PAGE: Final = 1_000


class AuditSealer:
    """Seals the chains of one node.

    Args:
        store: the trail.
        archive: where seals are kept, too.
        signer: signs them.
        clock: the clock.
        node: the node.
        days: how long entries are kept.
        turn: waits until no other process of the node seals.
    """

    def __init__(
        self,
        *,
        store: AuditStore,
        archive: SealArchive,
        signer: SealSigner,
        clock: Clock,
        node: str,
        days: int,
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._store = store
        self._archive = archive
        self._signer = signer
        self._clock = clock
        self._node = node
        self._days = days
        self._turn = turn
        self._sealed: dict[ChainName, int] = {}

    async def seal(self) -> Seal | None:
        """Seal the chains that changed since the last seal of this process. `None` if none did."""
        ends = {name: await self._store.chain_end(name) async for name in self._chains()}
        changed = {name: end for name, end in ends.items() if self._sealed.get(name, 0) < end.seq}
        if not changed:
            return None
        made = await self._write(changed, {})
        self._sealed |= {name: end.seq for name, end in changed.items()}
        return made

    async def prune(self) -> int:
        """Delete the entries that are older than the retention. Return the number of chains that have a new root.

        A seal with the new roots comes first, so the trail can be verified at every moment.
        """
        await self.seal()
        cutoff = self._clock.now() - self._days * DAY
        roots = [root async for name in self._chains() if (root := await self._new_root(name, cutoff)) is not None]
        if roots:
            await self._write({}, {root.chain: root.link for root in roots})
        for root in roots:
            await self._store.prune_chain(root)
        return len(roots)

    async def _chains(self) -> AsyncIterator[ChainName]:
        after: ChainName | None = None
        while names := await self._store.chains(after, PAGE):
            for name in names:
                if name.writer.removesuffix("-cli") == self._node:
                    yield name
            after = names[-1]

    async def _new_root(self, chain: ChainName, cutoff: int) -> StoredEntry | None:
        """Return the last entry that may be deleted, with all entries before it."""
        last, root = 0, None
        while entries := await self._store.chain_entries(chain, last, PAGE):
            for entry in entries:
                if entry.at >= cutoff:
                    return root
                # The root of an earlier time has no content, and no time.
                root = entry if entry.body else None
            last = entries[-1].seq
        return root

    async def _write(self, ends: dict[ChainName, Link], roots: dict[ChainName, Link]) -> Seal:
        async with self._turn():
            return await self._write_next(ends, roots)

    async def _write_next(self, ends: dict[ChainName, Link], roots: dict[ChainName, Link]) -> Seal:
        last = await self._last()
        seal = write_seal(
            SealContent(
                writer=self._node,
                number=1 if last is None else number_of(last) + 1,
                at=self._clock.now(),
                prev="" if last is None else digest_of(last.text),
                keys=tuple(self._signer.keys()),
                ends=ends,
                roots=roots,
            ),
            self._signer,
        )
        await self._archive.put(seal.writer, number_of(seal), seal.text)
        await self._store.add_seal(seal)
        return seal

    async def _last(self) -> Seal | None:
        """Return the last seal of the node. Add the seals that a dead process put into the archive only."""
        after = last = await last_seal(self._store, self._node)
        number = 0 if after is None else number_of(after)
        while (text := await self._archived(number + 1)) is not None:
            number += 1
            last = Seal(id=seal_id(self._node, number), writer=self._node, at=self._clock.now(), text=text)
            await self._store.add_seal(last)
        return last

    async def _archived(self, number: int) -> str | None:
        try:
            return await self._archive.get(self._node, number)
        except MediaStoreUnavailableError:
            # The first seal may be the first object of a new media store.
            if number > 1:
                raise
            return None


async def last_seal(store: AuditStore, writer: str) -> Seal | None:
    """Return the last seal of a writer in the metadata store."""
    last, after = None, f"{writer}:"
    while found := [each for each in await store.seals(after, PAGE) if each.writer == writer]:
        last = found[-1]
        after = last.id
    return last
