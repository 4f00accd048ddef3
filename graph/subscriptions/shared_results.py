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

Make = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Returns a result, and whether it may be shared."""


@dataclass(slots=True)
class _Entry:
    # The source is kept, because its identity is valid only while it exists.
    source: Any
    task: "asyncio.Task[tuple[bytes, bool]]"
    size: int = 0


class SharedResults:
    """The last results of a process."""

    def __init__(self, max_results: int = MAX_RESULTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_results = max_results
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes = 0

    async def get(self, group: Hashable, source: Any, make: Make) -> bytes:
        """Return the result of a source for a group of subscribers. Make it, unless another subscriber did."""
        key = (group, source.identity)
        entry = self._entries.get(key)
        if entry is not None:
            found, may_share = await asyncio.shield(entry.task)
            return found if may_share else (await make())[0]
        # A task of its own: the first subscriber may leave while others wait.
        entry = _Entry(source, asyncio.ensure_future(_awaited(make)))
        self._entries[key] = entry
        try:
            found, may_share = await asyncio.shield(entry.task)
        except BaseException:
            self._drop(key)
            raise
        if may_share:
            self._count(key, len(found))
        else:
            self._drop(key)
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


async def _awaited(make: Make) -> tuple[bytes, bool]:
    return await make()
