"""Turns at something of which there is not enough for all at once."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final


class FairQueue:
    """Lets `at_once` do something at the same time. Belongs to one event loop.

    Those who wait come in turn by whom they are of, and in their order among those of the same: whoever has a hundred
    waiting keeps nobody waiting for more than one of them.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lines: Final[OrderedDict[str, deque[asyncio.Future[None]]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        await self._wait(whose)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, whose: str) -> None:
        if self._free:
            # Where one is free, nobody waits.
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._lines.setdefault(whose, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # It came at the same moment, and is somebody else's now.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._lines:
            whose, line = self._lines.popitem(last=False)
            following = line.popleft()
            if line:
                # Behind all others.
                self._lines[whose] = line
            if not following.done():
                following.set_result(None)
                return
        self._free += 1
