"""The checks of the media store, which the server can run without: it answers, and it belongs to this installation."""

import asyncio
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from graph.services import Services
from recordings.ports.audio import MediaAccessError, MediaStoreUnavailableError
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.media_owner import check_owner

_TIMEOUT_SECONDS: Final = 20.0
_REPEAT_SECONDS: Final = 60.0
_REPEAT_FAILING_SECONDS: Final = 10.0
_OWNER_LOG_SECONDS: Final = 3_600.0
_log: Final = logger("server")


class MediaCheck:
    """Reads the mark in the media store once a minute, and compares it with the metadata store."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._errors = ErrorLog(_log)
        self._owner_errors = ErrorLog(_log, _OWNER_LOG_SECONDS)
        self._owner: str | None = None
        self._fault: str | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(_REPEAT_SECONDS if self._fault is None else _REPEAT_FAILING_SECONDS)

    async def check(self) -> None:
        """Check once, and log a problem."""
        media = self._services.media
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                self._owner = await check_owner(media.default_location, self._services.store, media)
        except StoreUnavailableError:
            # The metadata store has a check of its own.
            return
        except Exception as error:  # noqa: BLE001 - each kind of store has its own errors
            self._fault = _in_words(error)
            self._errors.write("media store failing", error, store=media.default_location)
        else:
            self._fault = None
        if self._owner is not None:
            problem = MediaStoreUnavailableError(self._owner)
            self._owner_errors.write("media store of another installation", problem, store=media.default_location)

    async def claim(self, location: str) -> None:
        """Mark a store after this process first stored audio there, unless it belongs to another installation."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await check_owner(location, self._services.store, self._services.media)
        except Exception as error:  # noqa: BLE001 - the audio is stored, and the mark can be written later
            self._errors.write("media store not marked", error, store=location)

    async def owner_problem(self) -> str | None:
        """Return why the media store seems to belong to another installation, for `/readyz`."""
        return self._owner

    async def fault(self) -> str | None:
        """Return why the media store does not work, for `/readyz`. The log has the details."""
        return self._fault


def _in_words(error: Exception) -> str:
    if isinstance(error, MediaAccessError):
        return "the media store rejects the credentials of this server, or does not permit its requests"
    if isinstance(error, TimeoutError):
        return "the media store does not answer"
    return "the media store is unreachable or reports an error"
