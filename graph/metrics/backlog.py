"""The recordings that wait for a background step. The store is asked a few times a minute."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from graph.metrics.counters import count_store_error
from recordings.model.instants import SECOND
from recordings.ports.clock import Clock
from recordings.ports.recording_store import RecordingStore

INTERVAL: Final = 15.0
"""Seconds between two looks."""
LIMIT: Final = 10_000
"""Maximum number of recordings that are counted."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many recordings wait, and how long the first of them has waited, in seconds."""

    count: int
    late_seconds: float


class BacklogWatch:
    """Counts the recordings that wait, while `run` runs."""

    def __init__(self, store: RecordingStore, clock: Clock, node: str) -> None:
        self._store = store
        self._clock = clock
        self._node = node
        self.waiting: Mapping[str, Waiting] = {}
        """By state."""

    async def run(self) -> None:
        """Count until cancelled. While the store is unavailable, keep the last counts."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                count_store_error(error)
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Count once."""
        now = self._clock.now()
        found = await self._store.due_states(self._node, now, LIMIT)
        self.waiting = {each.state.value: Waiting(each.count, (now - each.first_due) / SECOND) for each in found}
