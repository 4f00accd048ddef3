"""Behaviour of the S3 media store that other stores do not have, on two real S3 servers."""

import os
import urllib.error
import urllib.request
import uuid
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from adapters.media.file_slice import Slice
from adapters.media.s3_store import PART, S3Media
from adapters.media.store_errors import MediaFaultError
from recordings.ports.audio import ObjectPart, ObjectVersion
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address


@pytest.fixture(params=["seaweedfs", "juicefs"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[S3Media]:
    server = request.getfixturevalue(request.param)
    options = {"endpoint_url": server["s3"], "key": server["key"], "secret": server["secret"]}
    opened = S3Media(f"s3://{BUCKET}/{uuid.uuid4().hex}", options)
    yield opened
    await opened.close()


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:  # noqa: S310
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


async def test_a_signed_url_returns_only_its_object_with_the_given_headers(store: S3Media, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    url = await store.put("a/k ü.mp3", str(tmp_path / "source"), "audio/mpeg")
    signed = await store.presign(url, 60, content_type="audio/mpeg", disposition='inline; filename="k.mp3"')
    status, headers, body = await to_thread(fetch, signed)
    assert (status, body) == (200, b"0123456789")
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["Content-Disposition"] == 'inline; filename="k.mp3"'
    assert (await to_thread(fetch, signed, Range="bytes=2-3"))[::2] == (206, b"23")
    assert (await to_thread(fetch, signed.replace("k%20", "x%20").replace("k%2520", "x%2520")))[0] == 403
    assert (await to_thread(fetch, signed.partition("?")[0]))[0] == 403


async def test_a_listing_is_complete_and_current(store: S3Media, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"data")
    assert [found async for found in store.objects()] == []
    urls = [await store.put(f"a/{number // 40}/{number}.mp3", str(tmp_path / "source"), "x/y") for number in range(120)]
    found = [each async for each in store.objects()]
    assert sorted(each.url for each in found) == sorted(urls)
    assert {each.length for each in found} == {4}
    assert all(each.modified and each.modified > 1_700_000_000_000 for each in found)
    await store.delete(urls[0])
    assert len([each async for each in store.objects()]) == 119


@pytest.mark.parametrize("size", [PART, PART + 1, 2 * PART])
async def test_uploads_around_the_part_size(store: S3Media, tmp_path: Path, size: int) -> None:
    data = os.urandom(1 << 16) * (size // (1 << 16)) + os.urandom(size % (1 << 16))
    (tmp_path / "source").write_bytes(data)
    url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    assert b"".join([chunk async for chunk in store.read(url)]) == data


async def versions(store: S3Media, url: str, start: int = 0, end: int | None = None) -> set[ObjectVersion | None]:
    """Read audio, and return the versions that its chunks name."""
    parts = [part async for part in store.parts(url, start, end)]
    return {part.version if isinstance(part, ObjectPart) else None for part in parts}


@pytest.mark.parametrize("store", ["seaweedfs"], indirect=True)
async def test_the_chunks_of_a_whole_object_name_its_version(store: S3Media, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(1 << 20))
    url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    (version,) = await versions(store, url)
    assert version is not None
    version.note_verified("digest", 7)
    for end in (None, 1 << 20, 2 << 20):
        (again,) = await versions(store, url, 0, end)
        assert again is not None
        assert (again.checksum("digest"), again.checksum("other")) == (7, None)
    assert await versions(store, url, 0, 1_000) == await versions(store, url, 1) == {None}


@pytest.mark.parametrize("store", ["juicefs"], indirect=True)
async def test_an_object_without_an_etag_has_no_version(store: S3Media, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1234")
    assert await versions(store, await store.put("k", str(tmp_path / "source"), "audio/mpeg")) == {None}


@pytest.mark.parametrize("store", ["seaweedfs"], indirect=True)
async def test_a_changed_object_has_another_version(store: S3Media, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1234")
    url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    (before,) = await versions(store, url)
    assert before is not None
    before.note_verified("digest", 7)
    (tmp_path / "source").write_bytes(b"1235")
    assert await store.put("k", str(tmp_path / "source"), "audio/mpeg") == url
    (after,) = await versions(store, url)
    assert after is not None
    assert after.checksum("digest") is None


KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/recordings"}


@pytest.mark.parametrize("parameters", [{"ServerSideEncryption": "AES256"}, KMS])
@pytest.mark.parametrize("size", [10, PART + 1])
async def test_uploads_ask_for_encryption_by_the_store(
    seaweedfs: Address, tmp_path: Path, parameters: dict[str, str], size: int
) -> None:
    options = {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}
    store = S3Media(f"s3://{BUCKET}/{uuid.uuid4().hex}", options | {"s3_additional_kwargs": parameters})
    (tmp_path / "source").write_bytes(os.urandom(size))
    sent: list[dict[str, str]] = []
    async with store._connection.use(BUCKET) as client:
        for operation in ("PutObject", "CreateMultipartUpload"):
            client.meta.events.register(
                f"before-call.s3.{operation}", lambda params, **_: sent.append(dict(params["headers"]))
            )
    # A server without a KMS rejects the upload.
    with nullcontext() if parameters is not KMS else suppress(MediaFaultError):
        url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
        assert b"".join([chunk async for chunk in store.read(url)]) == (tmp_path / "source").read_bytes()
    (headers,) = sent
    assert headers["x-amz-server-side-encryption"] == parameters["ServerSideEncryption"]
    assert headers.get("x-amz-server-side-encryption-aws-kms-key-id") == parameters.get("SSEKMSKeyId")
    await store.close()


async def test_the_store_encrypts_an_upload(seaweedfs: Address, tmp_path: Path) -> None:
    options = {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}
    encrypted = {"s3_additional_kwargs": {"ServerSideEncryption": "AES256"}}
    store = S3Media(f"s3://{BUCKET}/{uuid.uuid4().hex}", options | encrypted)
    (tmp_path / "source").write_bytes(b"data")
    url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    async with store._connection.use(url) as client:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        assert (await client.head_object(Bucket=bucket, Key=key))["ServerSideEncryption"] == "AES256"
    await store.close()


def test_a_slice_reads_and_seeks_within_its_part(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with (tmp_path / "source").open("rb") as file:
        part = Slice(file.fileno(), 3, 4)
        assert (part.read(2), part.tell(), part.read(), part.read()) == (b"34", 2, b"56", b"")
        assert (part.seek(0, os.SEEK_END), part.seek(-1, os.SEEK_CUR), part.read()) == (4, 3, b"6")
        assert (part.seek(1), part.read(), part.seekable(), part.readable()) == (1, b"456", True, True)
        assert file.tell() == 0
