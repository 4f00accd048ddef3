"""Sends the requests of webhooks. Every attempt goes through the guard, follows no redirect, and has a time limit."""

import asyncio
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from adapters.delivery.http_outcome import printable_text, retry_after
from adapters.delivery.url_courier import result_of_error
from adapters.net import AddressRefusedError, Guard, Limits, UnresolvedHostError, open_session
from recordings.model.instants import SECOND, Millis
from recordings.model.webhook import MAX_ANSWER, WebhookAnswer, WebhookRequest

SECONDS: Final = 15.0
"""Time limit of an attempt, from the name of the host to the end of the response."""
MAX_BODY: Final = 1 << 20
"""Bytes that a response may have. A longer one is a failure."""
_CHUNK: Final = 65_536
_RESOLVERS: Final = 32
_SHOWN: Final = frozenset(
    {"content-length", "content-type", "date", "location", "request-id", "retry-after", "server", "via", "x-request-id"}
)
"""Headers of the response that an attempt keeps. Others may have secrets."""
_MAX_HEADER: Final = 200


class HttpWebhookSender:
    """A `WebhookSender`. Belongs to one event loop; close it there."""

    def __init__(self, guard: Guard, seconds: float = SECONDS) -> None:
        self._guard = guard
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    def problem_of(self, url: str) -> str | None:
        """Return why no request may be sent to a URL, as far as the URL alone tells it. `None` if it is allowed."""
        try:
            self._guard.check_host(urlsplit(url).hostname or "")
            URL(url)
        except AddressRefusedError as error:
            return str(error)
        except ValueError:
            return "the URL is malformed"
        return None

    async def send(self, request: WebhookRequest, limit: Millis | None = None) -> WebhookAnswer:
        """Make one attempt. Every failure is in the answer."""
        started = time.monotonic()
        status: int | None = None
        headers: dict[str, str] = {}
        wait, body, error = None, bytearray(), ""
        try:
            async with (
                asyncio.timeout(self._seconds if limit is None else limit / SECOND),
                self._opened().request(
                    request.method,
                    URL(request.url),
                    headers=request.headers,
                    data=request.body or None,
                    allow_redirects=False,
                ) as response,
            ):
                status, headers = response.status, _shown(response.headers)
                wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
                length = 0
                while chunk := await response.content.read(_CHUNK):
                    body += chunk[: MAX_ANSWER - len(body)]
                    length += len(chunk)
                    if length > MAX_BODY:
                        response.close()
                        error = f"the response has more than {MAX_BODY} bytes"
                        break
        except aiohttp.ClientConnectorDNSError as failed:
            error = str(UnresolvedHostError.not_public(failed.host))
        except Exception as failed:  # noqa: BLE001 - the attempt must show every error
            error = result_of_error(failed).error
        return WebhookAnswer(
            status=status,
            headers=headers,
            text=printable_text(bytes(body), request.url, MAX_ANSWER),
            retry_after=wait,
            error=error,
            duration_ms=round((time.monotonic() - started) * 1_000),
        )

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = Limits(idle=self._seconds, total=self._seconds)
            # The sender of webhooks limits the requests to each endpoint. Many endpoints may be on one host.
            self._session = open_session(self._guard, limits, resolver=PoolResolver(), connections=0, per_host=0)
        return self._session


class PoolResolver(AbstractResolver):
    """Resolves names in threads of its own: names that hang do not take the threads of other work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name once. Raises `OSError` if it has no address."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Stop the threads. A name that hangs does not delay this."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value[:_MAX_HEADER] for name, value in headers.items() if name.lower() in _SHOWN}
