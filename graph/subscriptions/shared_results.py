"""Results that several subscribers get: each is executed and encoded once.

Subscribers share a result if they have the same principal, document, variables and address of the service, and if they
get the same source: the same event with the same row and cursor.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

MAX_RESULTS: Final = 512
MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class StreamedResult:
    """One result: its JSON, and the cursor behind it. A result with errors is not shared."""

    body: bytes
    cursor: str | None = None
    has_errors: bool = False


Make = Callable[[], Awaitable[StreamedResult]]


@dataclass(slots=True)
class _Entry:
    # The source is kept, because its identity is valid only while it exists.
    source: Any
    task: "asyncio.Task[StreamedResult]"
    size: int = 0


class SharedResults:
    """The last results of a process."""

    def __init__(self, max_results: int = MAX_RESULTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_results = max_results
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes = 0

    async def get(self, group: Hashable, source: Any, make: Make) -> StreamedResult:
        """Return the result of a source for a group of subscribers. Make it, unless another subscriber did."""
        key = (group, source.identity)
        entry = self._entries.get(key)
        if entry is not None:
            found = await asyncio.shield(entry.task)
            return await make() if found.has_errors else found
        # A task of its own: the first subscriber may leave while others wait.
        entry = _Entry(source, asyncio.ensure_future(_awaited(make)))
        self._entries[key] = entry
        try:
            found = await asyncio.shield(entry.task)
        except BaseException:
            self._drop(key)
            raise
        if found.has_errors:
            self._drop(key)
        else:
            self._count(key, len(found.body))
        return found

    def _count(self, key: Hashable, size: int) -> None:
        if (entry := self._entries.get(key)) is not None:
            entry.size = size
            self._bytes += size
        while len(self._entries) > self._max_results or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= entry.size


async def _awaited(make: Make) -> StreamedResult:
    return await make()
