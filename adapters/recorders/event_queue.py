"""A queue of the events of takes and calls, from the recorder to the consumer that stores them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from recordings.ports.recorder import CallEvent, TakeEvent

MAX_WAITING: Final = 10_000
"""Maximum number of waiting events at which new takes still start. Each open take adds at most
two more and its gaps (`take.MAX_GAPS`), and each live call three."""


class EventQueue:
    """A queue with a single consumer. It loses no event. It limits its length by delaying the start of new takes."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._queue: asyncio.Queue[TakeEvent | CallEvent | None] = asyncio.Queue()
        self._has_space = asyncio.Event()
        self._has_space.set()

    def add(self, event: TakeEvent | CallEvent) -> None:
        """Add an event. This never waits, because the event has already happened."""
        self._queue.put_nowait(event)
        if self._queue.qsize() >= self._max_waiting:
            self._has_space.clear()

    @property
    def has_space(self) -> bool:
        """True if the queue has space for the events of a new take."""
        return self._has_space.is_set()

    async def wait_for_space(self) -> None:
        """Wait until the queue has space for the events of a new take."""
        await self._has_space.wait()

    def close(self) -> None:
        """End the queue. The consumer still receives the waiting events."""
        self._queue.put_nowait(None)

    async def read(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Yield all events, in order, until the queue is closed and empty."""
        while (event := await self._queue.get()) is not None:
            if self._queue.qsize() < self._max_waiting:
                self._has_space.set()
            yield event
