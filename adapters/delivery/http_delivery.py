"""Delivery over HTTP: PUT or POST of the audio. Redirects are followed with the same method and body."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp
from yarl import URL

from adapters.delivery.delivery_file import DeliveryFile
from adapters.delivery.http_outcome import printable_text, result_of_response
from adapters.delivery.target_url import web_address
from adapters.net import Guard, Limits, RedirectChain, UnresolvedHostError, open_session
from adapters.net.redirects import FOLLOWED
from recordings.ports.courier import DeliveryResult

_MAX_RESPONSE: Final = 4_096
"""Bytes of a response body that are read."""
_RESPONSE_SECONDS: Final = 10


class WebSender:
    """Sends to http and https URLs. The guard checks each redirect. Belongs to one event loop; close it there."""

    def __init__(self, guard: Guard, limits: Limits) -> None:
        self._guard = guard
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def send(self, file: DeliveryFile, url: str, keys: Sequence[bytes] = ()) -> DeliveryResult:
        """Make one attempt, and follow redirects. With `keys`, sign the body (`recordings.rules.webhook_signature`).

        Raises:
            AddressRefusedError: the guard does not allow a host, or the host has no address.
            RedirectRefusedError: a redirect is not acceptable.
            SourceError: the stored audio cannot be sent.
            OSError: the connection failed. Also `aiohttp.ClientError` and `TimeoutError`.
        """
        chain = RedirectChain(web_address(url, file.name, file.query))
        headers = file.headers() | (await file.signature(keys, int(time.time())) if keys else {})
        while True:
            result, location = await self._request(file, url, chain.url, headers)
            if result is not None:
                return result
            chain = chain.follow(location)

    async def _request(
        self, file: DeliveryFile, url: str, target: str, headers: Mapping[str, str]
    ) -> tuple[DeliveryResult | None, str | None]:
        """Send one request. Return its result, or the location of a redirect."""
        body = file.body()
        try:
            async with self._opened().request(
                file.recording.options.method.upper(),
                URL(target, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
            ) as response:
                location = response.headers.get("Location")
                if response.status in FOLLOWED and location is not None:
                    # Skip the rest of the redirect's body.
                    response.close()
                    return None, location
                text = printable_text(await _beginning(response), url)
                return result_of_response(response.status, response.headers, text, datetime.now(UTC)), None
        except aiohttp.ClientConnectorDNSError as error:
            raise UnresolvedHostError.not_public(error.host) from error
        finally:
            # If aiohttp still reads the body, it cancels that together with the request.
            with suppress(RuntimeError):
                await body.aclose()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._guard, self._limits)
        return self._session


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read the beginning of a response body. The rest may be endless or never arrive."""
    body = bytearray()
    try:
        async with asyncio.timeout(_RESPONSE_SECONDS):
            while len(body) < _MAX_RESPONSE and (chunk := await response.content.read(_MAX_RESPONSE)):
                body += chunk
    except (TimeoutError, aiohttp.ClientError):
        pass
    finally:
        if not response.content.at_eof():
            response.close()
    return bytes(body[:_MAX_RESPONSE])
