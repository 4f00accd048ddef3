"""The background work that counts figures in advance, and its progress in `/readyz`."""

import asyncio
import time
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.ports.recording_store import StoreUnavailableError
from recordings.ports.stats_store import StatsStore
from recordings.use_cases.count_slots import SlotCounter

_WAIT_SECONDS: Final = 5.0
_MANY: Final = 1_000
"""Quarter-hours. Up to so many are usual after an import or a purge."""
_log: Final = logger("background")


class SlotCounting:
    """Counts the slots that changed, until it is cancelled. It works for at most half of the time."""

    def __init__(self, counter: SlotCounter, store: StatsStore) -> None:
        self._counter = counter
        self._store = store
        self._errors = ErrorLog(_log)

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            started = time.monotonic()
            try:
                counted = await self._counter.count_some()
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                self._errors.write("figures not counted", error)
                counted = 0
            await asyncio.sleep(time.monotonic() - started if counted else _WAIT_SECONDS)

    async def report(self) -> str | None:
        """Return how much is not counted yet, if it is much."""
        try:
            marked = await self._store.marked_count()
        except StoreUnavailableError:
            # Another part reports this.
            return None
        if marked <= _MANY:
            return None
        return f"the figures of {marked} quarter-hours are being counted: until then, questions about them are slower"
