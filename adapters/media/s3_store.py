"""The media store in S3, with ranged reads and streamed uploads. It never caches listings or objects."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from adapters.media.file_slice import Slice
from adapters.media.s3_client import S3Client, error_for, read_chunks
from adapters.media.store_errors import AccessRefusedError, MediaFaultError
from adapters.media.store_keys import quoted
from adapters.media.verified_versions import VerifiedVersions
from recordings.ports.audio import MediaMissing, ObjectPart, StoredObject

CHUNK: Final = 256 * 1024
"""Maximum bytes in one chunk for a reader."""
PART: Final = 5 << 20
"""Bytes in one part of an upload: the minimum of S3. Signing such a part blocks the event loop for 10 milliseconds."""
MAX_PARTS: Final = 10_000
_ABORT_SECONDS: Final = 20
_PART_SECONDS: Final = 600.0
"""Time limit for one part. The client itself has none if the store stops reading or never sends `100 Continue`."""


class S3Media:
    """A `MediaStore` under `s3://bucket/folder`. Its URLs are that URL, `/` and the quoted key.

    `options` are those of s3fs (`endpoint_url`, `key`, `secret`, `profile`, `client_kwargs`, `config_kwargs`,
    `s3_additional_kwargs`, ...). It also reads other URLs with this scheme. It belongs to one event loop: `close` it
    there.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any] | None = None, *, connection: S3Client | None = None
    ) -> None:
        self._base = url.rstrip("/")
        self._connection = connection or S3Client(options or {})
        self._verified = VerifiedVersions()

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Store a copy of a file: the whole file or nothing. An object with the same key is replaced.

        Raises:
            MediaFaultError: the store did not accept the file.
        """
        url = f"{self._base}/{quoted(key)}"
        named = {**self._connection.upload_parameters, **_bucket_and_key(url), "ContentType": content_type}
        with await asyncio.to_thread(Path(path).open, "rb") as file:
            descriptor = file.fileno()
            size = os.fstat(descriptor).st_size
            async with self._connection.use(url) as client:
                if size <= PART:
                    async with asyncio.timeout(_PART_SECONDS):
                        await client.put_object(**named, Body=Slice(descriptor, 0, size))
                else:
                    await _put_parts(client, named, descriptor, size)
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from `start` to `end` (exclusive), with one request.

        Raises:
            MediaMissing: there is no object at the URL.
            MediaFaultError: the store returned an error or closed the connection.
        """
        async with aclosing(self.parts(url, start, end)) as chunks:
            async for chunk in chunks:
                yield chunk.data if isinstance(chunk, ObjectPart) else chunk

    async def parts(self, url: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes | ObjectPart]:
        """Return the same as `read`. The chunks of a whole object name its version."""
        if end is not None and end <= start:
            await self._require(url)
            return
        async with self._connection.use(url) as client:
            response = await _get(client, url, start, end)
            if response is None:
                return
            body = response["Body"]
            try:
                length = _checked_length(response, start, end)
                version = _version(self._verified, url, response, length)
                async for chunk in read_chunks(body, length, CHUNK):
                    yield chunk if version is None else ObjectPart(version, chunk)
            finally:
                body.close()

    async def length(self, url: str) -> int | None:
        """Return the length in bytes, or `None` if there is no object.

        Raises:
            MediaFaultError: the store returned an error, or the bucket does not exist.
        """
        target = _bucket_and_key(url)
        async with self._connection.use(url) as client:
            try:
                return int((await client.head_object(**target))["ContentLength"])
            except ClientError as error:
                if _code(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
            # If the whole bucket is missing, the configuration is wrong and the audio is not lost.
            with suppress(AccessRefusedError):
                # Without the permission to see the bucket, the store's answer about the object must be enough.
                await _require_bucket(client, target["Bucket"])
            return None

    async def delete(self, url: str) -> None:
        """Delete an object. It is no error if it does not exist."""
        with suppress(MediaMissing):
            async with self._connection.use(url) as client:
                await client.delete_object(**_bucket_and_key(url))

    async def presign(self, url: str, seconds: int, *, content_type: str, disposition: str) -> str:
        """Return a signed URL of the store itself, valid for `seconds`, whose response has these headers."""
        params = _bucket_and_key(url) | {
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        async with self._connection.use(url) as client:
            return str(await client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Return all objects under the store's URL, in pages of a thousand."""
        base = _bucket_and_key(f"{self._base}/")
        async with self._connection.use(self._base) as client:
            pages = client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=base["Bucket"], Prefix=base["Key"]):
                for found in page.get("Contents", ()):
                    url = f"{self._base}/{found['Key'].removeprefix(base['Key'])}"
                    modified = round(found["LastModified"].timestamp() * 1_000)
                    yield StoredObject(url, int(found["Size"]), modified)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def _require(self, url: str) -> None:
        if await self.length(url) is None:
            raise MediaMissing(url)


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of an object, as the response with its bytes names it."""

    verified: VerifiedVersions
    name: tuple[object, ...]

    def checksum(self, sha256: str) -> int | None:
        """Return the CRC-32 of the object if it is known to have this SHA-256."""
        return self.verified.checksum(self.name, sha256)

    def note_verified(self, sha256: str, checksum: int) -> None:
        """Remember the digests of the object."""
        self.verified.add(self.name, sha256, checksum)


def _bucket_and_key(url: str) -> dict[str, str]:
    """Return the bucket and the key of a URL. The key is the text in the URL, not decoded, as in fsspec."""
    bucket, _, key = url.partition("://")[2].partition("/")
    return {"Bucket": bucket, "Key": key}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


async def _get(client: Any, url: str, start: int, end: int | None) -> dict[str, Any] | None:
    """Return the response with a part of an object, or `None` if the part starts after the end."""
    span = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    try:
        response: dict[str, Any] = await client.get_object(**_bucket_and_key(url), **span)
    except ClientError as error:
        if _code(error) in {"InvalidRange", "416"}:
            return None
        raise
    return response


def _checked_length(response: Mapping[str, Any], start: int, end: int | None) -> int:
    """Return the length of the response's body, after a check that it is the requested part."""
    length = int(response["ContentLength"])
    if (start or end is not None) and "ContentRange" not in response:
        raise MediaFaultError("the S3 store ignores ranges")
    if "ContentRange" in response:
        span, _, total = response["ContentRange"].removeprefix("bytes ").partition("/")
        wanted = min(int(total), int(total) if end is None else end) - start
        if not span.startswith(f"{start}-") or length != wanted:
            raise MediaFaultError(f"the S3 store sent bytes {span} instead of {wanted} bytes from {start}")
    return length


def _version(verified: VerifiedVersions, url: str, response: Mapping[str, Any], length: int) -> _Version | None:
    """Return the version of the object in a response, or `None` for a part of one, or without a strong ETag."""
    tag, total = str(response.get("ETag", "")), response.get("ContentRange", f"/{length}").rpartition("/")[2]
    if not tag.startswith('"') or total != str(length):
        return None
    return _Version(verified, (url, tag, length, response.get("LastModified"), response.get("VersionId")))


async def _require_bucket(client: Any, bucket: str) -> None:
    try:
        await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if _code(error) in {"404", "NoSuchBucket", "NotFound"}:
            raise MediaFaultError(f"the S3 store has no bucket {bucket!r}") from error
        raise error_for(bucket, error) from error


async def _put_parts(client: Any, named: dict[str, str], descriptor: int, size: int) -> None:
    """Upload part by part. If it fails, delete the parts."""
    created = await client.create_multipart_upload(**named)
    upload = {"Bucket": named["Bucket"], "Key": named["Key"], "UploadId": created["UploadId"]}
    step = max(PART, -(-size // MAX_PARTS))
    try:
        parts: list[dict[str, Any]] = []
        for number, start in enumerate(range(0, size, step), 1):
            body = Slice(descriptor, start, min(step, size - start))
            async with asyncio.timeout(_PART_SECONDS):
                sent = await client.upload_part(**upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        await client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except BaseException:
        await asyncio.shield(_abort(client, upload))
        raise


async def _abort(client: Any, upload: dict[str, str]) -> None:
    # If the store itself failed, its own rule for abandoned uploads has to delete the parts.
    with suppress(Exception):
        async with asyncio.timeout(_ABORT_SECONDS):
            await client.abort_multipart_upload(**upload)
