"""Audio on a web server: read wherever the guard allows, written where the server takes it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import aiohttp
from yarl import URL

from adapters.media.http_store_responses import Announced, announced, check_status
from adapters.media.store_errors import AccessRefusedError, BrokenTransferError, MediaFaultError
from adapters.media.store_keys import quoted
from adapters.net import AddressRefusedError, Guard, Limits, Redirected, RedirectRefusedError, open_session
from adapters.net.redirects import FOLLOWED
from recordings.ports.audio import MediaMissing

MAX_BYTES: Final = 8 << 30
"""The largest object that is read."""
_PART: Final = 1 << 18
_TRIES: Final = 3
_WAIT: Final = 0.2
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
_CLEANING_SECONDS: Final = 20


class HttpMedia:
    """A `MediaStore` that reads any http(s) URL that `guard` allows, and writes under `base` if it has one.

    It writes by `PUT`, or with `method="post"` by a form with a file in it. `headers` (an `Authorization`, say) go to
    URLs under `base` alone, and not along with a redirect. Belongs to one event loop; `close` it there.
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
        """Keep a copy of a file. What the server kept of a transfer that broke off is deleted again, if it is a part.

        Raises:
            MediaFaultError: the server did not take it.
        """
        if self._base is None:
            raise MediaFaultError("no web server is configured to keep audio on")
        url = f"{self._base}/{quoted(key)}"
        with await asyncio.to_thread(Path(path).open, "rb") as file:
            try:
                await self._send(url, file, content_type)
            except BaseException:
                await asyncio.shield(self._clean(url, os.fstat(file.fileno()).st_size))
                raise
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to (not with) `end`, by one request; also from a server that knows no ranges.

        Raises:
            MediaMissing: there is nothing at the URL.
            MediaFaultError: the server cannot, broke off, sent something else, or may not be reached.
        """
        if end is not None and end <= start:
            if await self.length(url) is None:
                raise MediaMissing(url)
            return
        span = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        async with self._ask("GET", url, span) as response:
            found = announced(url, response, start, end)
            if found.length is not None and found.length > self._max_bytes:
                raise MediaFaultError(f"the object has {found.length} bytes, more than {self._max_bytes}")
            async for chunk in self._body(response, found):
                yield chunk

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing.

        Raises:
            MediaFaultError: the server cannot say.
        """
        try:
            async with self._ask("HEAD", url) as response:
                if response.status == 200 and response.content_length is not None:  # noqa: PLR2004 - the plain answer
                    return response.content_length
                if response.status not in {200, 403, 405, 501}:
                    check_status(url, response)
            # Some servers answer no HEAD. One byte tells the length as well.
            async with self._ask("GET", url, {"Range": "bytes=0-0"}) as response:
                return announced(url, response, 0, 1).total
        except MediaMissing:
            return None

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine.

        Raises:
            MediaFaultError: the server deletes nothing.
        """
        with suppress(MediaMissing):
            async with self._ask("DELETE", url) as response:
                check_status(url, response)

    async def close(self) -> None:
        """Let go of connections."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request without a body, behind its redirects; asked again if the server is not well."""
        with _faults():
            response = await self._answer(method, url, headers or {})
            try:
                yield response
            finally:
                # A body that nobody wants any more is cut off and not read to its end.
                response.close()

    async def _answer(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        for attempt in range(1, _TRIES + 1):
            try:
                response = await self._follow(method, url, headers)
            except (aiohttp.ClientConnectionError, TimeoutError):
                if attempt == _TRIES:
                    raise
            else:
                if response.status not in _PASSING or attempt == _TRIES:
                    return response
                response.close()
            await asyncio.sleep(_WAIT * 2**attempt)
        raise AssertionError  # pragma: no cover - the last try returns or raises

    async def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        place = Redirected(url)
        while True:
            response = await self._request(method, place.url, {**headers, **self._own_headers(place.url)})
            if response.status not in FOLLOWED:
                return response
            response.close()
            place = place.follow(response.headers.get("Location"))
            if place.url == f"{place.seen[-1]}/":
                # How web servers say that this is a folder.
                raise MediaMissing(url)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: object = None
    ) -> aiohttp.ClientResponse:
        if self._opened is None:
            self._opened = open_session(self._guard, self._limits)
        # As it stands: nothing in it is decoded and encoded again.
        place = URL(url, encoded=True)
        return await self._opened.request(method, place, headers=headers, data=data, allow_redirects=False)

    def _own_headers(self, url: str) -> dict[str, str]:
        ours = self._base is not None and url.startswith(f"{self._base}/")
        return self._headers if ours else {}

    async def _body(self, response: aiohttp.ClientResponse, found: Announced) -> AsyncIterator[bytes]:
        """The bytes that are wanted of a body, counted."""
        skip, left, taken = found.skip, found.wanted, 0
        async for part in response.content.iter_any():
            taken += len(part)
            if taken > self._max_bytes:
                raise MediaFaultError(f"the object has more than {self._max_bytes} bytes")
            chunk = part[skip:] if left is None else part[skip : skip + left]
            skip = max(0, skip - len(part))
            if chunk:
                yield chunk
            left = None if left is None else left - len(chunk)
            if left == 0:
                return
        if left and found.length is not None:
            raise BrokenTransferError(f"the server broke off {left} bytes before the end")

    async def _send(self, url: str, file: BinaryIO, content_type: str) -> None:
        headers = self._own_headers(url)
        with _faults():
            if self._method == "POST":
                form = aiohttp.FormData()
                form.add_field("file", file, filename=url.rpartition("/")[2], content_type=content_type)
                response = await self._request("POST", url, headers, form)
            else:
                size = os.fstat(file.fileno()).st_size
                described = {"Content-Type": content_type, "Content-Length": str(size)}
                response = await self._put(url, headers | described, file)
            async with response:
                check_status(url, response)

    async def _put(self, url: str, headers: Mapping[str, str], file: BinaryIO) -> aiohttp.ClientResponse:
        """The answer to a `PUT`. A server that takes no more of the body is waited for as long as a silent one."""
        idle, now = self._limits.idle, asyncio.get_running_loop().time

        async def parts() -> AsyncIterator[bytes]:
            while part := await asyncio.to_thread(file.read, _PART):
                yield part
                # Asked for the next one: it was taken.
                waiting.reschedule(now() + idle)

        # The client's own limit on silence begins when all is sent.
        async with asyncio.timeout(idle) as waiting:
            return await self._request("PUT", url, headers, parts())

    async def _clean(self, url: str, whole: int) -> None:
        # The server may be what is broken: then there is nobody to ask.
        with suppress(MediaFaultError, TimeoutError):
            async with asyncio.timeout(_CLEANING_SECONDS):
                # What is there as a whole may be what another process put, and has noted down already.
                if await self.length(url) not in {None, whole}:
                    await self.delete(url)


class _faults:  # noqa: N801 - used like a function
    """Turns what can happen on the way into errors of ours."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        """Raise the error of ours in place of one of the library's."""
        if isinstance(error, AddressRefusedError | RedirectRefusedError):
            raise AccessRefusedError(str(error)) from error
        if isinstance(error, aiohttp.ClientPayloadError):
            raise BrokenTransferError("the server broke off in the middle") from error
        if isinstance(error, _BROKEN):
            raise MediaFaultError(f"the server could not be reached, or broke off: {type(error).__name__}") from error
