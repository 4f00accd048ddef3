"""Audio in an S3 store, by ranged reads and streamed uploads; nothing of a listing or an object is ever cached."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from adapters.media.file_slice import Slice
from adapters.media.s3_client import S3Client, chunks_of
from adapters.media.store_errors import MediaFaultError
from adapters.media.store_keys import quoted
from recordings.ports.audio import MediaMissing
from recordings.use_cases.doctor import StoredObject

CHUNK: Final = 256 * 1024
"""Bytes that a reader gets at a time, at most."""
PART: Final = 5 << 20
"""Bytes of a part of an upload: the least that S3 takes, as signing one keeps the event loop for 10 milliseconds."""
MOST_PARTS: Final = 10_000
_ABORT_SECONDS: Final = 20
_PART_SECONDS: Final = 600.0
"""The longest that a store may take for a part. Where nothing is taken, or 100 never said, its client has no limit."""


class S3Media:
    """A `MediaStore` under `s3://bucket/folder`; a URL that it gives is that, `/` and the quoted key.

    `options` are those of s3fs (`endpoint_url`, `key`, `secret`, `profile`, `client_kwargs`, `config_kwargs`, ...).
    Also reads any other URL of that scheme. Belongs to one event loop; `close` it there.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any] | None = None, *, connection: S3Client | None = None
    ) -> None:
        self._base = url.rstrip("/")
        self._connection = connection or S3Client(options or {})

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Keep a copy of a file: all of it is there, or nothing. An object of that key is replaced.

        Raises:
            MediaFaultError: the store did not take it.
        """
        url = f"{self._base}/{quoted(key)}"
        named = _place(url) | {"ContentType": content_type}
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
        """The bytes from `start` up to (not with) `end`, by one request.

        Raises:
            MediaMissing: there is nothing at the URL.
            MediaFaultError: the store cannot, or broke off.
        """
        if end is not None and end <= start:
            await self._require(url)
            return
        async with self._connection.use(url) as client:
            response = await _get(client, url, start, end)
            if response is None:
                return
            body = response["Body"]
            try:
                async for chunk in chunks_of(body, _length_of(response, start, end), CHUNK):
                    yield chunk
            finally:
                body.close()

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing.

        Raises:
            MediaFaultError: the store cannot say, also for want of the bucket.
        """
        place = _place(url)
        async with self._connection.use(url) as client:
            try:
                return int((await client.head_object(**place))["ContentLength"])
            except ClientError as error:
                if _code(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
            # A bucket that is not there is no proof that the audio is lost.
            await _require_bucket(client, place["Bucket"])
            return None

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        with suppress(MediaMissing):
            async with self._connection.use(url) as client:
                await client.delete_object(**_place(url))

    async def presign(self, url: str, seconds: int, *, content_type: str, disposition: str) -> str:
        """A URL of the store's own by which anybody can read the object, for a time, with these headers."""
        shown = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        async with self._connection.use(url) as client:
            signed = await client.generate_presigned_url("get_object", Params=_place(url) | shown, ExpiresIn=seconds)
            return str(signed)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Everything that is stored under the store's URL, a thousand at a time."""
        place = _place(f"{self._base}/")
        async with self._connection.use(self._base) as client:
            pages = client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=place["Bucket"], Prefix=place["Key"]):
                for found in page.get("Contents", ()):
                    url = f"{self._base}/{found['Key'].removeprefix(place['Key'])}"
                    modified = round(found["LastModified"].timestamp() * 1_000)
                    yield StoredObject(url, int(found["Size"]), modified)

    async def close(self) -> None:
        """Let go of connections."""
        await self._connection.close()

    async def _require(self, url: str) -> None:
        if await self.length(url) is None:
            raise MediaMissing(url)


def _place(url: str) -> dict[str, str]:
    """Bucket and key. The key is what stands in the URL, as fsspec takes it too."""
    bucket, _, key = url.partition("://")[2].partition("/")
    return {"Bucket": bucket, "Key": key}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


async def _get(client: Any, url: str, start: int, end: int | None) -> dict[str, Any] | None:
    """The response with a part of an object; `None` for a part behind its end."""
    span = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    try:
        response: dict[str, Any] = await client.get_object(**_place(url), **span)
    except ClientError as error:
        if _code(error) in {"InvalidRange", "416"}:
            return None
        raise
    return response


def _length_of(response: Mapping[str, Any], start: int, end: int | None) -> int:
    """How many bytes the response has to have; checked to be the part that was asked for."""
    length = int(response["ContentLength"])
    if (start or end is not None) and "ContentRange" not in response:
        raise MediaFaultError("the S3 store ignores ranges")
    if "ContentRange" in response:
        span, _, total = response["ContentRange"].removeprefix("bytes ").partition("/")
        wanted = min(int(total), int(total) if end is None else end) - start
        if not span.startswith(f"{start}-") or length != wanted:
            raise MediaFaultError(f"the S3 store sent bytes {span} in place of {wanted} from {start}")
    return length


async def _require_bucket(client: Any, bucket: str) -> None:
    try:
        await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if _code(error) in {"404", "NoSuchBucket", "NotFound"}:
            raise MediaFaultError(f"the S3 store has no bucket {bucket!r}") from error
        raise


async def _put_parts(client: Any, named: dict[str, str], descriptor: int, size: int) -> None:
    """Upload part by part. What was sent is dropped if it goes wrong."""
    begun = await client.create_multipart_upload(**named)
    upload = {"Bucket": named["Bucket"], "Key": named["Key"], "UploadId": begun["UploadId"]}
    step = max(PART, -(-size // MOST_PARTS))
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
    # The store may be what is broken: then its own rule for abandoned uploads has to clear away.
    with suppress(Exception):
        async with asyncio.timeout(_ABORT_SECONDS):
            await client.abort_multipart_upload(**upload)
