"""Share a limited number of slots fairly between owners."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final


class FairQueue:
    """A queue with `at_once` slots. It belongs to one event loop.

    Owners take turns, and the requests of one owner keep their order. An owner with a hundred waiting requests delays
    every other owner by only one of them.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: Final[OrderedDict[str, deque[asyncio.Future[None]]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it until the block ends."""
        await self._wait(owner)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, owner: str) -> None:
        if self._free:
            # A slot is free only while no request waits.
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                # The slot was granted at the moment of the cancellation: the next request gets it.
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            owner, requests = self._waiting.popitem(last=False)
            granted = requests.popleft()
            if requests:
                # This owner goes to the end of the line.
                self._waiting[owner] = requests
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1
