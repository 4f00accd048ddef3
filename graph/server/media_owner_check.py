"""The check, at the start of a server, whether its media store belongs to its metadata store."""

import asyncio
from typing import Final

from graph.server.log_setup import logger
from graph.services import Services
from recordings.use_cases.media_owner import check_owner

_TIMEOUT_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 300.0
_REPEAT_SECONDS: Final = 3_600.0
_log: Final = logger("server")


class MediaOwnerCheck:
    """Compares the mark in the media store with the metadata store, and reports a difference."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.warning: str | None = None

    async def run(self) -> None:
        """Check until the store belongs to this installation. Log a difference now and once an hour."""
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await self.check()
            except Exception as error:  # noqa: BLE001 - the store may be unreachable; the next attempt may succeed
                _log.warning("owner of the media store not checked", error=str(error) or type(error).__name__)
                wait = _RETRY_SECONDS
            else:
                if self.warning is None:
                    return
                wait = _REPEAT_SECONDS
            await asyncio.sleep(wait)

    async def claim(self, place: str) -> None:
        """Mark a store after this process first stored audio there, unless it belongs to another installation."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await check_owner(place, self._services.store, self._services.media)
        except Exception as error:  # noqa: BLE001 - the audio is stored, and the mark can be written later
            _log.warning("media store not marked", store=place, error=str(error) or type(error).__name__)

    async def check(self) -> None:
        """Check once."""
        media = self._services.media
        self.warning = await check_owner(media.default_place, self._services.store, media)
        if self.warning is not None:
            _log.error("media store of another installation", store=media.default_place, problem=self.warning)

    async def report(self) -> str | None:
        """Return the difference, for `/readyz`."""
        return self.warning
