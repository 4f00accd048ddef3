"""What happened to takes, on its way to the one who notes it down."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from recordings.ports.recorder import TakeEvent

MAX_WAITING: Final = 10_000
"""Events that nobody took yet. No new take begins beyond; those that are open add two at most each."""


class EventQueue:
    """A queue for one consumer, which loses nothing and is bounded by letting no new take begin."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._queue: asyncio.Queue[TakeEvent | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    def add(self, event: TakeEvent) -> None:
        """One more; never waits, since it comes of what happened already."""
        self._queue.put_nowait(event)
        if self._queue.qsize() >= self._most:
            self._room.clear()

    async def room(self) -> None:
        """Wait until there is room for what a new take will say."""
        await self._room.wait()

    def close(self) -> None:
        """Nothing comes any more: the consumer ends when it has taken what is there."""
        self._queue.put_nowait(None)

    async def all(self) -> AsyncIterator[TakeEvent]:
        """Everything, in order, until closed."""
        while (event := await self._queue.get()) is not None:
            if self._queue.qsize() < self._most:
                self._room.set()
            yield event
