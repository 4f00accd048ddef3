"""Sending over HTTP: PUT or POST of the raw bytes, redirects followed with verb and body."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp
from yarl import URL

from adapters.delivery.delivery_file import DeliveryFile
from adapters.delivery.http_outcome import receipt_of, shown_text
from adapters.delivery.target_url import web_address
from adapters.net import Guard, Limits, Redirected, open_session
from adapters.net.redirects import FOLLOWED
from recordings.ports.courier import Receipt

_MOST_OF_AN_ANSWER: Final = 4_096
_ANSWER_SECONDS: Final = 10


class WebSender:
    """Sends to http and https URLs that a guard allows, at every hop. Belongs to one event loop; `close` it there."""

    def __init__(self, guard: Guard, limits: Limits) -> None:
        self._guard = guard
        self._limits = limits
        self._opened: aiohttp.ClientSession | None = None

    async def send(self, file: DeliveryFile, url: str) -> Receipt:
        """One attempt.

        Raises:
            AddressRefusedError: a host on the way may not be reached.
            RedirectRefusedError: a redirect leads nowhere.
            SourceError: the stored audio cannot be sent.
            OSError: the connection failed. Also `aiohttp.ClientError` and `TimeoutError`.
        """
        place = Redirected(web_address(url, file.name, file.query))
        while True:
            receipt, location = await self._attempt(file, url, place.url)
            if receipt is not None:
                return receipt
            place = place.follow(location)

    async def _attempt(self, file: DeliveryFile, url: str, target: str) -> tuple[Receipt | None, str | None]:
        """What came of it at one place, or the next place."""
        body = file.body()
        try:
            async with self._session().request(
                file.recording.options.method.upper(),
                URL(target, encoded=True),
                headers=file.headers(),
                data=body,
                allow_redirects=False,
            ) as response:
                location = response.headers.get("Location")
                if response.status in FOLLOWED and location is not None:
                    # What is left of its body does not matter.
                    response.close()
                    return None, location
                text = shown_text(await _beginning(response), url)
                return receipt_of(response.status, response.headers, text, datetime.now(UTC)), None
        finally:
            # One that is still being read from is cancelled with the request, and ends by itself.
            with suppress(RuntimeError):
                await body.aclose()

    async def close(self) -> None:
        """Let go of connections."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = open_session(self._guard, self._limits)
        return self._opened


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Some of an answer: it may be endless, or never come."""
    found = bytearray()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while len(found) < _MOST_OF_AN_ANSWER and (part := await response.content.read(_MOST_OF_AN_ANSWER)):
                found += part
    except (TimeoutError, aiohttp.ClientError):
        pass
    finally:
        if not response.content.at_eof():
            response.close()
    return bytes(found[:_MOST_OF_AN_ANSWER])
