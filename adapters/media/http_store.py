"""The media store on a web server. It reads from hosts that the guard allows, and writes if the server accepts it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import aiohttp
from yarl import URL

from adapters.media.http_store_responses import BodyPart, body_part, check_status
from adapters.media.store_errors import AccessRefusedError, BrokenTransferError, MediaFaultError
from adapters.media.store_keys import quoted
from adapters.net import AddressRefusedError, Guard, Limits, RedirectChain, RedirectRefusedError, open_session
from adapters.net.redirects import FOLLOWED
from recordings.ports.audio import MediaMissing

MAX_BYTES: Final = 8 << 30
"""The largest object that is read."""
_PART: Final = 1 << 18
_TRIES: Final = 3
_WAIT: Final = 0.2
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
_CLEANUP_SECONDS: Final = 20


class HttpMedia:
    """A `MediaStore` that reads any http(s) URL that `guard` allows, and writes under `base` if that is given.

    It writes with `PUT`, or with `method="post"` as a form that contains the file. `headers` (for example
    `Authorization`) are sent only to URLs under `base`; a redirect to another URL does not get them. It belongs to one
    event loop: `close` it there.
    """

    def __init__(
        self,
        guard: Guard,
        base: str | None = None,
        *,
        method: str = "put",
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._guard = guard
        self._base = base.rstrip("/") if base else None
        self._method = method.upper()
        self._headers = dict(headers or {})
        self._limits = limits or Limits()
        self._max_bytes = max_bytes
        self._opened: aiohttp.ClientSession | None = None

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Store a copy of a file. If the transfer fails, delete the partial object that the server may have stored.

        Raises:
            MediaFaultError: the server did not accept the file.
        """
        if self._base is None:
            raise MediaFaultError("no web server is configured to store audio on")
        url = f"{self._base}/{quoted(key)}"
        with await asyncio.to_thread(Path(path).open, "rb") as file:
            try:
                await self._upload(url, file, content_type)
            except BaseException:
                await asyncio.shield(self._delete_partial(url, os.fstat(file.fileno()).st_size))
                raise
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from `start` to `end` (exclusive), with one request, also from a server without ranges.

        Raises:
            MediaMissing: there is no object at the URL.
            MediaFaultError: the server failed, closed the connection, sent something else, or is not allowed.
        """
        if end is not None and end <= start:
            if await self.length(url) is None:
                raise MediaMissing(url)
            return
        span = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        async with self._request("GET", url, span) as response:
            part = body_part(url, response, start, end)
            if part.length is not None and part.length > self._max_bytes:
                raise MediaFaultError(f"the object has {part.length} bytes, more than {self._max_bytes}")
            async for chunk in self._body(response, part):
                yield chunk

    async def length(self, url: str) -> int | None:
        """Return the length in bytes, or `None` if there is no object.

        Raises:
            MediaFaultError: the server does not answer that.
        """
        try:
            async with self._request("HEAD", url) as response:
                if response.status == 200 and response.content_length is not None:  # noqa: PLR2004 - the plain answer
                    return response.content_length
                if response.status not in {200, 403, 405, 501}:
                    check_status(url, response)
            # Some servers do not support HEAD. The response to a range of one byte also has the length.
            async with self._request("GET", url, {"Range": "bytes=0-0"}) as response:
                return body_part(url, response, 0, 1).total
        except MediaMissing:
            return None

    async def delete(self, url: str) -> None:
        """Delete an object. It is no error if it does not exist.

        Raises:
            MediaFaultError: the server did not delete it.
        """
        with suppress(MediaMissing):
            async with self._request("DELETE", url) as response:
                check_status(url, response)

    async def close(self) -> None:
        """Close the connections."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Return the response to a request without a body. Follow redirects, and retry if the server fails."""
        with _translated_errors():
            response = await self._retry(method, url, headers or {})
            try:
                yield response
            finally:
                # If the reader stops early, the rest of the body is not read.
                response.close()

    async def _retry(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        for attempt in range(1, _TRIES + 1):
            try:
                response = await self._follow(method, url, headers)
            except (aiohttp.ClientConnectionError, TimeoutError):
                if attempt == _TRIES:
                    raise
            else:
                if response.status not in _RETRIED or attempt == _TRIES:
                    return response
                response.close()
            await asyncio.sleep(_WAIT * 2**attempt)
        raise AssertionError  # pragma: no cover - the last try returns or raises

    async def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        target = RedirectChain(url)
        while True:
            response = await self._send(method, target.url, {**headers, **self._own_headers(target.url)})
            if response.status not in FOLLOWED:
                return response
            response.close()
            target = target.follow(response.headers.get("Location"))
            if target.url == f"{target.previous[-1]}/":
                # Web servers redirect to this URL if the path is a folder.
                raise MediaMissing(url)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: object = None
    ) -> aiohttp.ClientResponse:
        if self._opened is None:
            self._opened = open_session(self._guard, self._limits)
        # The URL is already encoded: yarl must not decode and encode it again.
        target = URL(url, encoded=True)
        return await self._opened.request(method, target, headers=headers, data=data, allow_redirects=False)

    def _own_headers(self, url: str) -> dict[str, str]:
        is_under_base = self._base is not None and url.startswith(f"{self._base}/")
        return self._headers if is_under_base else {}

    async def _body(self, response: aiohttp.ClientResponse, part: BodyPart) -> AsyncIterator[bytes]:
        """Return the wanted bytes of a body, and check their number."""
        skip, missing, received = part.skip, part.wanted, 0
        async for data in response.content.iter_any():
            received += len(data)
            if received > self._max_bytes:
                raise MediaFaultError(f"the object has more than {self._max_bytes} bytes")
            chunk = data[skip:] if missing is None else data[skip : skip + missing]
            skip = max(0, skip - len(data))
            if chunk:
                yield chunk
            missing = None if missing is None else missing - len(chunk)
            if missing == 0:
                return
        if missing and part.length is not None:
            raise BrokenTransferError(f"the server closed the connection {missing} bytes before the end")

    async def _upload(self, url: str, file: BinaryIO, content_type: str) -> None:
        headers = self._own_headers(url)
        with _translated_errors():
            if self._method == "POST":
                form = aiohttp.FormData()
                form.add_field("file", file, filename=url.rpartition("/")[2], content_type=content_type)
                response = await self._send("POST", url, headers, form)
            else:
                size = os.fstat(file.fileno()).st_size
                described = {"Content-Type": content_type, "Content-Length": str(size)}
                response = await self._upload_body(url, headers | described, file)
            async with response:
                check_status(url, response)

    async def _upload_body(self, url: str, headers: Mapping[str, str], file: BinaryIO) -> aiohttp.ClientResponse:
        """Send a `PUT` and return the response. The idle limit also applies while the server reads the body."""
        idle, now = self._limits.idle, asyncio.get_running_loop().time

        async def parts() -> AsyncIterator[bytes]:
            while part := await asyncio.to_thread(file.read, _PART):
                yield part
                # The client asks for the next part only after the server read this one.
                waiting.reschedule(now() + idle)

        # The client's own idle limit starts only when the whole body is sent.
        async with asyncio.timeout(idle) as waiting:
            return await self._send("PUT", url, headers, parts())

    async def _delete_partial(self, url: str, size: int) -> None:
        # The server itself may have failed: then this fails, too.
        with suppress(MediaFaultError, TimeoutError):
            async with asyncio.timeout(_CLEANUP_SECONDS):
                # A complete object may come from another process that already recorded it: never delete that.
                if await self.length(url) not in {None, size}:
                    await self.delete(url)


class _translated_errors:  # noqa: N801 - used like a function
    """Raises the errors of this package instead of the HTTP library's."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        """Raise this package's error for a known error of the library."""
        if isinstance(error, AddressRefusedError | RedirectRefusedError):
            raise AccessRefusedError(str(error)) from error
        if isinstance(error, aiohttp.ClientPayloadError):
            raise BrokenTransferError("the server closed the connection in the middle of the response") from error
        if isinstance(error, _BROKEN):
            reason = type(error).__name__
            raise MediaFaultError(f"the server is unreachable or closed the connection: {reason}") from error
