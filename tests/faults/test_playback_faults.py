"""Playback from a store that stalls, or that has other bytes than the stored ones."""

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http import verified_body
from adapters.http.audio_response import stream_part
from adapters.http.body_digests import BATCH, BodyDigests
from adapters.http.verified_body import verified
from adapters.media import AccessRefusedError, MediaFaultError, MediaRouter, media_router
from adapters.media.folder_store import FolderMedia
from adapters.media.s3_client import error_for
from adapters.media.verified_files import VerifiedFiles
from adapters.media.verified_versions import MAX_VERSIONS, VerifiedVersions
from recordings.model.recording import Media
from recordings.ports.audio import Chunk, FilePart, MediaArchived, MediaDamaged, MediaMissing, ObjectPart
from tests.support.disk import need_reads_without_waiting

DATA = bytes(range(256)) * 1_000


def media(data: bytes) -> Media:
    return Media("local:x", "audio/mpeg", len(data), 1_000, 8_000, 1, sha256(data).hexdigest(), 0)


async def read(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000])
@pytest.mark.parametrize("wrong", [changed(DATA), DATA[:-1], DATA + b"x", b"x" * len(DATA), b""])
async def test_a_whole_download_of_wrong_bytes_never_completes(size: int, wrong: bytes) -> None:
    received: list[bytes] = []
    with pytest.raises((MediaDamaged, MediaMissing)):
        await download(wrong, size, received)
    assert len(b"".join(received)) < len(DATA)


async def download(data: bytes, size: int, received: list[bytes]) -> None:
    response: Any = await stream_part(media(DATA), None, {}, lambda *_: read(data, size))
    async for piece in response.body_iterator:
        received.append(piece)  # noqa: PERF401 - the pieces before an error must be kept


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000])
async def test_a_whole_download_of_right_bytes_completes(size: int) -> None:
    async def respond(_request: Request) -> Response:
        headers = {"content-length": str(len(DATA))}
        return await stream_part(media(DATA), None, headers, lambda *_: read(DATA, size))

    transport = httpx.ASGITransport(Starlette(routes=[Route("/", respond)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.get("/")).content == DATA


@pytest.mark.parametrize("length", [0, 1, BATCH - 1, BATCH, 5 * BATCH + 1])
async def test_digests_do_not_depend_on_the_pieces(length: int) -> None:
    data = os.urandom(length)
    for size in (1 << 16, 300_000, BATCH, 2 * BATCH):
        digests = BodyDigests(checksum=True)
        async for piece in read(data, size):
            await digests.add(piece)
        assert (await digests.sha256(), digests.checksum) == (sha256(data).hexdigest(), zlib.crc32(data))


class Stalled:
    """A store that sends a part, and then nothing."""

    async def length(self, _url: str) -> None:
        await asyncio.sleep(3_600)

    delete = length

    async def read(self, *_arguments: Any) -> AsyncIterator[bytes]:
        yield b"part"
        await asyncio.sleep(3_600)


async def test_each_request_to_a_stalled_store_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_router, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(MediaRouter, "_store_of", lambda *_: Stalled())
    router: Any = object.__new__(MediaRouter)
    received = []
    async with asyncio.timeout(10):
        chunks = router.read("s3://bucket/x")
        received.append(await anext(chunks))
        for request in (anext(chunks), router.length("s3://b/x"), router.delete("s3://b/x")):
            with pytest.raises(MediaFaultError, match=r"sent nothing for 0\.05 seconds"):
                await request
    assert received == [b"part"]


def response_error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def test_an_archived_object_is_not_a_temporary_error() -> None:
    error = error_for("s3://bucket/x", response_error("InvalidObjectState", "GetObject"))
    assert isinstance(error, MediaArchived)
    assert "archived" in error.message


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("HeadObject", "s3:ListBucket"),
        ("GetObject", "s3:GetObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("PutObject", "s3:PutObject"),
        ("DeleteObject", "s3:DeleteObject"),
    ],
)
@pytest.mark.parametrize("code", ["403", "AccessDenied"])
def test_a_missing_permission_is_named(code: str, operation: str, permission: str) -> None:
    error = error_for("s3://bucket/x", response_error(code, operation))
    assert isinstance(error, AccessRefusedError)
    assert permission in str(error)


class Watch:
    """The clocks of `VerifiedFiles`."""

    def __init__(self) -> None:
        self.seconds = 3_600.0

    def monotonic(self) -> float:
        return self.seconds

    def time_ns(self) -> int:
        return time.time_ns() + round(self.seconds * 1e9)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def folder(disk_path: Path, watch: Watch) -> FolderMedia:
    need_reads_without_waiting(disk_path)
    store = FolderMedia(disk_path, "local:")
    store._verified = VerifiedFiles(watch.monotonic, watch.time_ns)
    (disk_path / "x").write_bytes(DATA)
    # The first download computes the digest.
    assert await kinds(store) == {bytes}
    return store


async def kinds(store: FolderMedia) -> set[type]:
    """Download the whole audio and return the types of its chunks."""
    chunks = await verified(store.parts("local:x", 0, len(DATA)), media(DATA))
    return {type(chunk) async for chunk in chunks}


class TestVerifiedFile:
    """A file whose digest is known."""

    async def test_an_unchanged_file_is_sent_without_a_read(self, folder: FolderMedia) -> None:
        assert await kinds(folder) == {FilePart}

    async def test_a_digest_is_computed_again_after_an_hour(self, folder: FolderMedia, watch: Watch) -> None:
        watch.seconds += 3_601
        assert await kinds(folder) == {bytes}
        assert await kinds(folder) == {FilePart}

    async def test_a_file_that_was_just_written_is_read_each_time(self, folder: FolderMedia, watch: Watch) -> None:
        (folder.root / "x").write_bytes(DATA)
        watch.seconds = 0
        assert [await kinds(folder) for _ in range(2)] == [{bytes}, {bytes}]

    @pytest.mark.parametrize("is_replaced", [True, False])
    async def test_a_changed_file_never_completes(self, folder: FolderMedia, *, is_replaced: bool) -> None:
        path = folder.root / "x"
        before = path.stat()
        if is_replaced:
            path.rename(folder.root / "old")
        path.write_bytes(changed(DATA))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(MediaDamaged):
            await kinds(folder)

    async def test_a_file_that_changes_while_it_is_sent_never_completes(self, folder: FolderMedia) -> None:
        length = 3 << 20
        (folder.root / "x").write_bytes(bytes(length))
        wanted = media(bytes(length))
        async for _ in await verified(folder.parts("local:x", 0, length), wanted):
            pass
        chunks = await verified(folder.parts("local:x", 0, length), wanted)
        assert isinstance(await anext(chunks), FilePart)
        (folder.root / "x").write_bytes(bytes(length))
        with pytest.raises(MediaDamaged):
            await anext(chunks)


@dataclass(frozen=True)
class Version:
    """An `ObjectVersion` of a store that changes without notice."""

    verified: VerifiedVersions
    name: str

    def checksum(self, digest: str) -> int | None:
        return self.verified.checksum(self.name, digest)

    def note_verified(self, digest: str, checksum: int) -> None:
        self.verified.add(self.name, digest, checksum)


class Objects:
    """A store that sends its data with the names of versions."""

    def __init__(self, watch: Watch) -> None:
        self.verified = VerifiedVersions(watch.monotonic)
        self.data = DATA
        self.received = b""
        self.hashed = 0

    async def parts(self, *names: str) -> AsyncIterator[Chunk]:
        """Send the data in pieces. Each name belongs to one piece, and the last one to all others."""
        versions = [Version(self.verified, name) for name in names]
        async for piece in read(self.data, 10_000):
            yield ObjectPart(versions[0], piece)
            versions = versions[1:] or versions

    async def download(self, *names: str) -> None:
        self.received = b""
        async for chunk in await verified(self.parts(*names), media(DATA)):
            assert isinstance(chunk, bytes)
            self.received += chunk
        assert self.received == DATA


@pytest.fixture
def objects(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Objects:
    store = Objects(watch)

    class Counted(BodyDigests):
        async def sha256(self) -> str:
            store.hashed += 1
            return await super().sha256()

    monkeypatch.setattr(verified_body, "BodyDigests", Counted)
    return store


class TestVerifiedObject:
    """A version of an object whose digest is known."""

    async def test_the_digest_of_a_version_is_computed_once_an_hour(self, objects: Objects, watch: Watch) -> None:
        for _ in range(3):
            await objects.download("a")
        assert objects.hashed == 1
        watch.seconds += 3_601
        for _ in range(2):
            await objects.download("a")
        assert objects.hashed == 2

    async def test_another_version_is_hashed(self, objects: Objects) -> None:
        await objects.download("a")
        await objects.download("b")
        assert objects.hashed == 2
        objects.data = changed(DATA)
        with pytest.raises(MediaDamaged):
            await objects.download("c")

    @pytest.mark.parametrize("wrong", [changed(DATA), DATA[:-1], DATA + b"x", b"x" * len(DATA)])
    async def test_other_bytes_of_a_known_version_never_complete(self, objects: Objects, wrong: bytes) -> None:
        await objects.download("a")
        objects.data = wrong
        with pytest.raises(MediaDamaged):
            await objects.download("a")
        assert len(objects.received) < len(DATA)
        assert objects.hashed == 1

    async def test_a_download_of_two_versions_is_not_remembered(self, objects: Objects) -> None:
        await objects.download("a", "b")
        await objects.download("b")
        await objects.download("a")
        assert objects.hashed == 3

    def test_the_number_of_remembered_versions_is_bounded(self, objects: Objects) -> None:
        for number in range(MAX_VERSIONS + 1):
            objects.verified.add(number, "digest", number)
        assert [objects.verified.checksum(number, "digest") for number in (0, 1, MAX_VERSIONS)] == [
            None,
            1,
            MAX_VERSIONS,
        ]
