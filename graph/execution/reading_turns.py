"""Turns for reading new documents: parsing and validating one takes milliseconds, in which nothing else runs."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from adapters.fair_queue import FairQueue

SHARE: Final = 0.25
"""The largest part of the time that reading may take, after a burst."""
BURST: Final = 0.5
"""Seconds of reading that need no pause: a client that starts sends all its documents for the first time."""
MOST: Final = 0.1
"""Seconds of overdrawn reading that are remembered: one pause takes at most four times as long."""
LATELY: Final = 1.0
"""Seconds for which another request counts as other work."""
Read = TypeVar("Read")


class ReadingTurns:
    """Lets one new document be read at a time. Callers take turns, and reading pauses while it takes too much time.

    Without this, a few clients that send new documents all the time would delay every other request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queue = FairQueue(1, clock)
        self._left = BURST
        self._at = clock()
        self._other_work = -LATELY

    def note_other_work(self) -> None:
        """Note that a request with a known document is served now. Only such requests need the pauses."""
        self._other_work = self._clock()

    async def read(self, caller: Hashable, read: Callable[[], Read]) -> Read:
        """Wait for a turn of this caller, and return what `read` returns."""
        async with self._queue.slot(repr(caller)):
            missing = self._missing()
            is_needed = missing > 0 and self._clock() - self._other_work < LATELY
            # Even without a pause, everything else that is ready runs between two documents.
            await asyncio.sleep(missing / SHARE if is_needed else 0)
            began = self._clock()
            try:
                return read()
            finally:
                self._left -= self._clock() - began

    def _missing(self) -> float:
        """Return the seconds of reading that are overdrawn."""
        now = self._clock()
        self._left = min(BURST, max(self._left, -MOST) + (now - self._at) * SHARE)
        self._at = now
        return -self._left
