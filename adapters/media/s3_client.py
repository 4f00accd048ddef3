"""A connection to an S3 store: opened when first used, opened anew when its credentials are refused.

s3fs knows where endpoints and credentials come from (its options, the environment, profiles, roles), and makes the
client; all requests are made on the client itself.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from adapters.media.store_errors import AccessRefusedError, BrokenTransferError, MediaFaultError
from recordings.ports.audio import MediaMissing

_DEFAULTS: Final[Mapping[str, Any]] = {
    # Signed URLs would else be of version 2, which most stores have given up.
    "signature_version": "s3v4",
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
    # One connection for each listener: more would wait for others to hang up.
    "max_pool_connections": 512,
    # What is stored is read back and hashed; older stores know no checksums.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_REFUSED: Final = frozenset({
    "401", "403", "AccessDenied", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken",
    "RequestExpired", "SignatureDoesNotMatch", "TokenRefreshRequired",
})  # fmt: skip
_BROKEN: Final = (HTTPClientError, BotoCoreError, aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass(slots=True)
class _Opened:
    """A client, how many use it now, and whether nobody shall begin to any more."""

    client: Any
    users: int = 0
    retired: bool = False


class S3Client:
    """Gives the client to whoever asks, and turns its errors into ours. Belongs to one event loop."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {**options, "config_kwargs": {**_DEFAULTS, **options.get("config_kwargs", {})}}
        self._opened: _Opened | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def use(self, url: str) -> AsyncIterator[Any]:
        """The aiobotocore client, for requests about a URL.

        Raises:
            MediaMissing: the store says that there is nothing.
            MediaFaultError: it says something else, or nothing.
        """
        opened = await self._open()
        opened.users += 1
        try:
            yield opened.client
        except ClientError as error:
            fault = fault_of(url, error)
            if isinstance(fault, AccessRefusedError):
                self._retire(opened)
            raise fault from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise AccessRefusedError("there are no credentials for the S3 store, or not all of them") from error
        except _BROKEN as error:
            raise MediaFaultError(f"the S3 store broke off: {type(error).__name__}") from error
        finally:
            opened.users -= 1
            if opened.retired and not opened.users:
                await opened.client.close()

    async def close(self) -> None:
        """Let go of all connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.client.close()

    async def _open(self) -> _Opened:
        async with self._opening:
            if self._opened is None:
                from s3fs import S3FileSystem

                system = S3FileSystem(asynchronous=True, skip_instance_cache=True, **self._options)
                self._opened = _Opened(await system.set_session())
            return self._opened

    def _retire(self, opened: _Opened) -> None:
        """Let the next one read the credentials anew; streams that run go on to their end."""
        opened.retired = True
        if self._opened is opened:
            self._opened = None


def fault_of(url: str, error: ClientError) -> Exception:
    """What an answer of the store means."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))[:200]
    if code in _MISSING:
        return MediaMissing(url)
    if code in _REFUSED:
        return AccessRefusedError(f"the S3 store refuses the credentials or what they may do ({code}): {message}")
    return MediaFaultError(f"the S3 store cannot ({code}): {message}")


async def chunks_of(body: Any, length: int, most: int) -> AsyncIterator[bytes]:
    """The bytes of a response, at most so many at a time, checked to be as many as announced.

    The connection itself reads ahead, by twice its buffer of 64 KiB, and then stops until these are used.
    """
    left = length
    while left > 0 and (chunk := await body.read(min(most, left))):
        left -= len(chunk)
        yield chunk
    if left:
        raise BrokenTransferError(f"the S3 store broke off {left} bytes before the end")
    # An empty read gives the connection back to the pool.
    with suppress(BotoCoreError, aiohttp.ClientError, TimeoutError):
        await body.read(1)
