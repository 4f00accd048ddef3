"""Results that several subscribers get: each is executed and encoded once.

Subscribers share a result if they have the same principal, document and address of the service, the same variables of
the result, and if they get the same source: the same event with the same row and cursor. A result with signed URLs
names the credentials, so only subscribers with the same token share it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

MAX_RESULTS: Final = 512
MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class StreamedResult:
    """One result: its JSON, and the cursor behind it. Subscribers of a group share it if `is_shared`."""

    body: bytes
    cursor: str | None = None
    is_shared: bool = field(default=False, compare=False)


Make = Callable[[Any], StreamedResult | Awaitable[StreamedResult]]
"""Makes the result of a source."""


@dataclass(eq=False)
class Group:
    """Subscribers that share results. If `is_personal`, results name the credentials, and smaller groups share them."""

    key: Hashable
    is_personal: bool = False
    is_immediate: bool = False
    """True if the last result was made without waiting."""


@dataclass(slots=True)
class _Entry:
    # The source is kept, because its identity is valid only while it exists.
    source: Any
    result: StreamedResult | None = None
    task: "asyncio.Future[StreamedResult] | None" = None


@dataclass
class SharedResults:
    """The last results of a process."""

    max_results: int = MAX_RESULTS
    max_bytes: int = MAX_BYTES
    _entries: "OrderedDict[Hashable, _Entry]" = field(default_factory=OrderedDict)
    _groups: "WeakValueDictionary[Hashable, Group]" = field(default_factory=WeakValueDictionary)
    _bytes: int = 0

    def group(self, key: Hashable) -> Group:
        """Return the group of subscribers with this key."""
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = Group(key)
        return found

    async def get(self, group: Group, own: Group, source: Any, make: Make) -> StreamedResult:
        """Return the result of a source for a group. Make it, unless another subscriber did.

        `own` is the smaller group of the subscriber, for personal results.
        """
        key = (own if group.is_personal else group, source.identity)
        entry = self._entries.get(key)
        if entry is None:
            return await self._made(key, source, make)
        if entry.result is not None:
            return entry.result
        assert entry.task is not None  # noqa: S101 - an entry has one of the two
        found = await asyncio.shield(entry.task)
        if found.is_shared:
            return found
        if group.is_personal and key[0] is group:
            return await self.get(group, own, source, make)
        made = make(source)
        return made if isinstance(made, StreamedResult) else await made

    def get_now(self, group: Group, own: Group, source: Any, make: Make) -> StreamedResult | None:
        """Return the result of a source as `get` does; `None` if that needs to wait."""
        key = (own if group.is_personal else group, source.identity)
        entry = self._entries.get(key)
        if entry is not None:
            return entry.result
        made = make(source)
        if not isinstance(made, StreamedResult):
            if isinstance(made, Coroutine):
                made.close()
            return None
        self._keep(key, source, made)
        return made

    def _keep(self, key: Hashable, source: Any, made: StreamedResult) -> None:
        if made.is_shared:
            self._entries[key] = _Entry(source, made)
            self._count(len(made.body))

    async def _made(self, key: Hashable, source: Any, make: Make) -> StreamedResult:
        made = make(source)
        if isinstance(made, StreamedResult):
            self._keep(key, source, made)
            return made
        # A task of its own: the first subscriber may leave while others wait.
        task = asyncio.ensure_future(made)
        entry = self._entries[key] = _Entry(source, task=task)
        try:
            found = await asyncio.shield(task)
        except BaseException:
            self._entries.pop(key, None)
            raise
        if self._entries.get(key) is entry:
            if found.is_shared:
                entry.result, entry.task = found, None
                self._count(len(found.body))
            else:
                del self._entries[key]
        return found

    def _count(self, size: int) -> None:
        self._bytes += size
        while len(self._entries) > self.max_results or self._bytes > self.max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= len(dropped.result.body) if dropped.result is not None else 0
