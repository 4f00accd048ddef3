"""A connection to an S3 store. It opens at the first use, and opens again after the store rejected its credentials.

s3fs finds the endpoint and the credentials (options, environment, profiles, roles) and makes the client. All requests
go directly to that client.
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
from recordings.ports.audio import MediaArchived, MediaMissing

_DEFAULTS: Final[Mapping[str, Any]] = {
    # Without this, signed URLs use signature version 2, which most stores no longer support.
    "signature_version": "s3v4",
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
    # Each listener uses one connection. Further listeners would have to wait.
    "max_pool_connections": 512,
    # The finalizer reads stored audio back and hashes it, and older stores do not support these checksums.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_ARCHIVED: Final = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_DENIED: Final = frozenset({"403", "AccessDenied", "Forbidden", "AllAccessDisabled"})
_PERMISSIONS: Final[Mapping[str, str]] = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject, and s3:ListBucket to see that an object does not exist",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
}
_REFUSED: Final = frozenset({
    "401", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken",
    "RequestExpired", "SignatureDoesNotMatch", "TokenRefreshRequired",
})  # fmt: skip
_BROKEN: Final = (HTTPClientError, BotoCoreError, aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass(slots=True)
class _Opened:
    """A client, the number of its users, and whether new users must open another one."""

    client: Any
    users: int = 0
    retired: bool = False


class S3Client:
    """The shared client of an S3 store. It raises the errors of this package. It belongs to one event loop."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {**options, "config_kwargs": {**_DEFAULTS, **options.get("config_kwargs", {})}}
        self.upload_parameters: Mapping[str, Any] = dict(options.get("s3_additional_kwargs") or {})
        """Parameters of each upload, such as its encryption by the store. The name of the option is that of s3fs."""
        self._opened: _Opened | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def use(self, url: str) -> AsyncIterator[Any]:
        """Return the aiobotocore client for requests about a URL.

        Raises:
            MediaMissing: the store has no such object.
            MediaFaultError: the store returned another error, or no response.
        """
        opened = await self._open()
        opened.users += 1
        try:
            yield opened.client
        except ClientError as error:
            translated = error_for(url, error)
            if isinstance(translated, AccessRefusedError):
                self._retire(opened)
            raise translated from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise AccessRefusedError("the credentials for the S3 store are missing or incomplete") from error
        except _BROKEN as error:
            reason = type(error).__name__
            raise MediaFaultError(f"the S3 store is unreachable or closed the connection: {reason}") from error
        finally:
            opened.users -= 1
            if opened.retired and not opened.users:
                await opened.client.close()

    async def close(self) -> None:
        """Close all connections."""
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
        """Make the next user open a client with fresh credentials. Running streams keep this one."""
        opened.retired = True
        if self._opened is opened:
            self._opened = None


def error_for(url: str, error: ClientError) -> Exception:
    """Return this package's error for an error response of the store."""
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))[:200]
    if code in _MISSING:
        return MediaMissing(url)
    if code in _ARCHIVED:
        return MediaArchived(url)
    if code in _DENIED:
        permission = _PERMISSIONS.get(error.operation_name, "")
        advice = f"; the request {error.operation_name} needs the permission {permission}" if permission else ""
        return AccessRefusedError(f"the S3 store rejects the credentials or their permissions ({code}){advice}")
    if code in _REFUSED:
        return AccessRefusedError(f"the S3 store rejects the credentials ({code}): {message}")
    return MediaFaultError(f"the S3 store returned an error ({code}): {message}")


async def read_chunks(body: Any, length: int, chunk_size: int) -> AsyncIterator[bytes]:
    """Return the bytes of a response in chunks of at most `chunk_size`, and check that there are `length` bytes.

    The connection reads ahead at most twice its buffer of 64 KiB, and then waits for the reader.
    """
    missing = length
    while missing > 0 and (chunk := await body.read(min(chunk_size, missing))):
        missing -= len(chunk)
        yield chunk
    if missing:
        raise BrokenTransferError(f"the S3 store closed the connection {missing} bytes before the end")
    # An empty read returns the connection to the pool.
    with suppress(BotoCoreError, aiohttp.ClientError, TimeoutError):
        await body.read(1)
