"""The delay of the event loop: how much later than planned it runs a task."""

import asyncio
import time
from typing import Final

INTERVAL: Final = 0.1
"""Seconds between two looks."""


class LoopLag:
    """Measures the delay of the event loop while `run` runs."""

    def __init__(self) -> None:
        self._longest = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            planned = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._longest = max(self._longest, time.monotonic() - planned)

    def take(self) -> float:
        """Return the longest delay since the last call, in seconds."""
        longest, self._longest = self._longest, 0.0
        return longest
