"""Media stores on real servers behind a faulty proxy: each fault is a clear error and leaves no partial object."""

import asyncio
import errno
import hashlib
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.media import AccessRefusedError, FolderMedia, HttpMedia, MediaFaultError
from adapters.media.s3_store import PART, S3Media
from adapters.net import Guard, Limits
from recordings.ports.audio import MediaMissing
from tests.servers.faulty_proxy import Act, Fault, FaultProxy, answer, breaking, s3_error
from tests.servers.free_ports import free_port
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address
from tests.support.full_disk import limited_file_size

DATA = os.urandom(PART + 700_000)
LOOPBACK = Guard(private=["127.0.0.1"])
IMPATIENT = {"read_timeout": 2.5, "connect_timeout": 2, "retries": {"total_max_attempts": 2, "mode": "standard"}}
Store = S3Media | HttpMedia


@dataclass
class FaultyStore:
    """One media store with two connections: through the faulty proxy, and direct."""

    kind: str
    proxy: FaultProxy
    faulty: Store
    direct: Store

    async def put(self, store: Store, folder: Path, key: str = "a/k.mp3") -> str:
        (folder / "source").write_bytes(DATA)
        return await store.put(key, str(folder / "source"), "audio/mpeg")

    def direct_url(self, url: str) -> str:
        """Return the URL of the same object without the proxy."""
        if self.kind == "s3":
            return url
        return f"http://127.0.0.1:{self.proxy.target}{urlsplit(url).path}"


def s3_options(server: Address, endpoint: str) -> dict[str, Any]:
    return {"endpoint_url": endpoint, "key": server["key"], "secret": server["secret"], "config_kwargs": IMPATIENT}


@pytest.fixture(params=["s3", "http"])
async def store(request: pytest.FixtureRequest, seaweedfs: Address) -> AsyncIterator[FaultyStore]:
    kind, folder = request.param, uuid.uuid4().hex
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(
            breaking(urlsplit(seaweedfs["s3" if kind == "s3" else "filer"]).port or 0)
        )

        def make(endpoint: str) -> Store:
            if kind == "s3":
                return S3Media(f"s3://{BUCKET}/{folder}", s3_options(seaweedfs, endpoint))
            return HttpMedia(LOOPBACK, f"{endpoint}/faults/{folder}", limits=Limits(idle=2.5, connect=4.0))

        made = FaultyStore(kind, proxy, make(proxy.url), make(f"http://127.0.0.1:{proxy.target}"))
        yield made
        await made.faulty.close()
        await made.direct.close()


async def read(store: Store, url: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(url, start, end)])


async def test_the_store_works_through_the_proxy_without_faults(store: FaultyStore, tmp_path: Path) -> None:
    url = await store.put(store.faulty, tmp_path)
    assert await read(store.faulty, url) == DATA
    assert await read(store.direct, store.direct_url(url), 5, 10) == DATA[5:10]


@pytest.mark.parametrize("act", [Act.RESET, Act.CUT, Act.STALL])
async def test_an_incomplete_response_is_an_error(store: FaultyStore, tmp_path: Path, act: Act) -> None:
    url = await store.put(store.faulty, tmp_path)
    store.proxy.faults = [Fault(act, b"GET ", at=1_000_000)]
    got: list[bytes] = []

    async def listen() -> None:
        async for chunk in store.faulty.read(url):
            got.append(chunk)  # noqa: PERF401 - the chunks before the error count, too

    with pytest.raises(MediaFaultError):
        await listen()
    assert store.proxy.hits == 1
    assert sum(map(len, got)) <= 1_000_000
    assert await read(store.faulty, url) == DATA


async def test_a_wrong_content_length_is_an_error(store: FaultyStore, tmp_path: Path) -> None:
    url = await store.put(store.faulty, tmp_path)
    store.proxy.faults = [Fault(Act.LONGER, b"GET ", times=9)]
    for span in ((0, None), (100, 200)):
        with pytest.raises(MediaFaultError):
            await read(store.faulty, url, *span)


async def test_wrong_bytes_are_found_only_by_the_hash_of_the_reader(store: FaultyStore, tmp_path: Path) -> None:
    url = await store.put(store.faulty, tmp_path)
    store.proxy.faults = [Fault(Act.SPOIL, b"GET ", at=500_000)]
    spoiled = await read(store.faulty, url)
    assert len(spoiled) == len(DATA)
    assert hashlib.sha256(spoiled).digest() != hashlib.sha256(DATA).digest()


async def test_one_500_is_retried_and_a_permanent_500_is_an_error(store: FaultyStore, tmp_path: Path) -> None:
    url = await store.put(store.faulty, tmp_path)
    unwell = s3_error("500 Internal Server Error", "InternalError") if store.kind == "s3" else answer("500 Sorry")
    store.proxy.faults = [Fault(Act.ANSWER, b"GET ", answer=unwell)]
    assert await read(store.faulty, url) == DATA
    assert store.proxy.hits == 1
    store.proxy.faults = [Fault(Act.ANSWER, times=99, answer=unwell)]
    for request in (read(store.faulty, url), store.faulty.length(url), store.faulty.delete(url)):
        with pytest.raises(MediaFaultError):
            await request
    store.proxy.faults = []
    assert await read(store.faulty, url) == DATA


@pytest.mark.parametrize("at", [0, 200_000, PART + 200_000])
async def test_an_interrupted_upload_leaves_no_object(store: FaultyStore, tmp_path: Path, at: int) -> None:
    # The S3 client sends two parts and tries each of them twice.
    when = (b"partNumber=2" if at > PART else b"partNumber=1") if store.kind == "s3" else b"PUT "
    store.proxy.faults = [Fault(Act.RESET_REQUEST, when, at=at % PART, times=9)]
    with pytest.raises(MediaFaultError):
        await store.put(store.faulty, tmp_path)
    assert store.proxy.hits
    url = store.direct._base + "/a/k.mp3"  # type: ignore[operator]
    assert await store.direct.length(url) is None
    with pytest.raises(MediaMissing):
        await read(store.direct, url)
    assert await unfinished(store) == []


async def test_an_upload_ends_with_an_error_if_the_server_stops_reading(
    store: FaultyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.media.s3_store._PART_SECONDS", 4.0)
    when = b"partNumber=1" if store.kind == "s3" else b"PUT "
    store.proxy.faults = [Fault(Act.STALL_REQUEST, when, at=100_000, times=9)]
    # More data than the buffers on the way can hold.
    (tmp_path / "long").write_bytes(DATA * 4)
    with pytest.raises(MediaFaultError):
        await store.faulty.put("a/k.mp3", str(tmp_path / "long"), "audio/mpeg")
    assert store.proxy.hits
    assert await store.direct.length(store.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    assert await unfinished(store) == []


async def test_an_upload_ends_with_an_error_if_the_server_never_responds(
    store: FaultyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client waits for `100 Continue`, and has no time limit of its own for that.
    monkeypatch.setattr("adapters.media.s3_store._PART_SECONDS", 4.0)
    when = b"partNumber=2" if store.kind == "s3" else b"PUT "
    store.proxy.faults = [Fault(Act.STALL, when, times=9)]
    with pytest.raises(MediaFaultError):
        await store.put(store.faulty, tmp_path)
    assert store.proxy.hits
    # A web server has the whole object by then. It is not deleted, because another process may have recorded it.
    length = None if store.kind == "s3" else len(DATA)
    assert await store.direct.length(store.direct._base + "/a/k.mp3") == length  # type: ignore[operator]
    assert await unfinished(store) == []


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Slow Down", "507 Insufficient Storage"])
async def test_an_upload_succeeds_after_a_rejected_one(store: FaultyStore, tmp_path: Path, status: str) -> None:
    # The S3 client retries by itself. For a web server the finalizer retries.
    unwell = s3_error(status, "InternalError") if store.kind == "s3" else answer(status)
    store.proxy.faults = [Fault(Act.ANSWER, b"PUT ", answer=unwell, times=9)]
    with pytest.raises(MediaFaultError):
        await store.put(store.faulty, tmp_path)
    assert await store.direct.length(store.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    store.proxy.faults = []
    url = await store.put(store.faulty, tmp_path)
    assert await read(store.faulty, url) == DATA


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_expired_credentials_are_an_error_and_not_missing_audio(
    store: FaultyStore, tmp_path: Path, status: str
) -> None:
    url = await store.put(store.faulty, tmp_path)
    refusal = s3_error(status, "ExpiredToken") if store.kind == "s3" else answer(status)
    bare = Fault(Act.ANSWER, b"HEAD ", answer=answer(status), times=99)
    store.proxy.faults = [bare, Fault(Act.ANSWER, b"/", answer=refusal, times=99)]
    requests: list[Callable[[], Awaitable[Any]]] = [
        lambda: read(store.faulty, url),
        lambda: store.faulty.length(url),
        lambda: store.faulty.delete(url),
        lambda: store.put(store.faulty, tmp_path, "a/other.mp3"),
    ]
    for request in requests:
        with pytest.raises(AccessRefusedError):
            await request()
    store.proxy.faults = []
    assert await read(store.faulty, url) == DATA


async def test_a_cancelled_upload_leaves_no_object(store: FaultyStore, tmp_path: Path) -> None:
    store.proxy.faults = [Fault(Act.STALL, b"partNumber=2" if store.kind == "s3" else b"PUT ")]
    uploading = asyncio.create_task(store.put(store.faulty, tmp_path))
    async with asyncio.timeout(30):
        while not store.proxy.hits:  # noqa: ASYNC110 - the proxy only counts
            await asyncio.sleep(0.01)
    uploading.cancel()
    await asyncio.wait([uploading])
    assert uploading.cancelled()
    assert await store.direct.length(store.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    assert await unfinished(store) == []


async def unfinished(store: FaultyStore) -> list[Any]:
    """Return the multipart uploads that were neither completed nor aborted."""
    if not isinstance(store.direct, S3Media):
        return []
    async with store.direct._connection.use(store.direct._base) as client:
        prefix = store.direct._base.removeprefix(f"s3://{BUCKET}/")
        return list((await client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)).get("Uploads", []))


async def test_every_request_to_an_unreachable_server_is_an_error(seaweedfs: Address, tmp_path: Path) -> None:
    unreachable = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "source").write_bytes(b"x")
    stores: list[Store] = [
        S3Media(f"s3://{BUCKET}/x", s3_options(seaweedfs, unreachable)), HttpMedia(LOOPBACK, f"{unreachable}/x"),
    ]  # fmt: skip
    for store in stores:
        url = f"{store._base}/k"
        requests: list[Callable[[], Awaitable[Any]]] = [
            lambda store=store, url=url: read(store, url),  # type: ignore[misc]
            lambda store=store, url=url: store.length(url),  # type: ignore[misc]
            lambda store=store, url=url: store.delete(url),  # type: ignore[misc]
            lambda store=store: store.put("k", str(tmp_path / "source"), "audio/mpeg"),  # type: ignore[misc]
        ]
        for request in requests:
            with pytest.raises(MediaFaultError):
                await request()
        await store.close()


async def test_rejected_credentials_are_reported_and_read_again(
    seaweedfs: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "credentials"

    def write(secret: str) -> None:
        profile.write_text(f"[default]\naws_access_key_id={seaweedfs['key']}\naws_secret_access_key={secret}\n")

    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    options = {"endpoint_url": seaweedfs["s3"], "config_kwargs": IMPATIENT}
    store = S3Media(f"s3://{BUCKET}/{uuid.uuid4().hex}", options)
    (tmp_path / "source").write_bytes(b"x")
    write("an old secret")
    with pytest.raises(AccessRefusedError, match="rejects the credentials") as refused:
        await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    assert "an old secret" not in str(refused.value)
    write(seaweedfs["secret"])
    url = await store.put("k", str(tmp_path / "source"), "audio/mpeg")
    assert await read(store, url) == b"x"
    await store.close()


async def test_an_expired_session_does_not_interrupt_running_streams(store: FaultyStore, tmp_path: Path) -> None:
    if store.kind != "s3":
        pytest.skip("a web server has no sessions")
    url = await store.put(store.faulty, tmp_path)
    chunks = store.faulty.read(url)
    first = await anext(chunks)
    store.proxy.faults = [Fault(Act.ANSWER, b"HEAD ", answer=answer("403 Forbidden"))]
    with pytest.raises(AccessRefusedError):
        await store.faulty.length(url)
    assert await store.faulty.length(url) == len(DATA)
    assert first + b"".join([chunk async for chunk in chunks]) == DATA


async def test_a_missing_bucket_is_an_error_and_not_missing_audio(seaweedfs: Address) -> None:
    store = S3Media("s3://no-such-bucket/x", s3_options(seaweedfs, seaweedfs["s3"]))
    for request in (store.length("s3://no-such-bucket/x/k"), read(store, "s3://no-such-bucket/x/k")):
        with pytest.raises(MediaFaultError, match="bucket"):
            await request
    await store.close()


# Full disks


async def test_a_file_that_cannot_be_written_completely_is_not_stored(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    store = FolderMedia(tmp_path / "store", "local:")
    with limited_file_size(1 << 20), pytest.raises(OSError, match="large") as full:
        await store.put("a/k.mp3", str(source), "audio/mpeg")
    assert full.value.errno == errno.EFBIG
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", root], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount; the test above uses a limit on the file size instead")
    yield root
    subprocess.run(["umount", root], check=True)


async def test_a_full_disk_keeps_no_partial_file(tmp_path: Path, small_disk: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    store = FolderMedia(small_disk / "store", "local:")
    with pytest.raises(OSError, match="space") as full:
        await store.put("a/k.mp3", str(source), "audio/mpeg")
    assert full.value.errno == errno.ENOSPC
    assert not [path for path in (small_disk / "store").rglob("*") if path.is_file()]
    source.write_bytes(DATA[:1_000])
    url = await store.put("a/k.mp3", str(source), "audio/mpeg")
    assert await store.length(url) == 1_000
