"""The background work that applies new retention rules to existing recordings."""

import asyncio
import time
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.use_cases.retention_runs import RetentionRuns

_WAIT_SECONDS: Final = 2.0
_log: Final = logger("background")


class RetentionWork:
    """Continues retention runs, until it is cancelled. It works for at most half of the time."""

    def __init__(self, runs: RetentionRuns) -> None:
        self._runs = runs
        self._errors = ErrorLog(_log)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            started = time.monotonic()
            try:
                pages = await self._runs.work()
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                self._errors.write("retention not applied", error)
                pages = 0
            await asyncio.sleep(time.monotonic() - started if pages else _WAIT_SECONDS)
