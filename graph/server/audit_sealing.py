"""The background task that seals the audit trail every hour, and deletes its old entries every day."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from graph.server.log_setup import logger, scrub
from recordings.use_cases.seal_audit import AuditSealer

SEAL_SECONDS: Final = 3_600.0
RETRY_SECONDS: Final = 60.0
PRUNE_EVERY: Final = 24
"""Old entries are deleted after so many seals."""
LAST_SECONDS: Final = 5.0
"""Maximum time of the seal when the server stops."""
_log: Final = logger("audit")


class AuditSealing:
    """Seals the trail while the server runs, and when it stops."""

    def __init__(self, sealer: AuditSealer, close: Callable[[], Awaitable[None]]) -> None:
        self._sealer = sealer
        self._close = close

    async def run(self) -> None:
        """Seal at once, because an earlier process may have been killed. Then seal every hour."""
        number = 0
        while True:
            is_done = await self._do(self._sealer.prune if number % PRUNE_EVERY == 0 else self._sealer.seal)
            number += is_done
            await asyncio.sleep(SEAL_SECONDS if is_done else RETRY_SECONDS)

    async def stop(self) -> None:
        """Write the last entries, and seal them."""
        await self._close()
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._do(self._sealer.seal)
        except TimeoutError:
            _log.warning("audit trail not sealed", error="the stores are too slow")

    async def _do(self, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the trail goes on without a seal, and the next one covers it
            _log.warning("audit trail not sealed", error=scrub(str(error)) or type(error).__name__)
            return False
        return True
