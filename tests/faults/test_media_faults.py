"""Stores on real servers behind a proxy that breaks things: every end is a clear error, and nothing half is left."""

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
from tests.servers.seaweedfs import BUCKET, free_ports
from tests.servers.shared import Answer
from tests.support.full_disk import limited_file_size

DATA = os.urandom(PART + 700_000)
LOOPBACK = Guard(private=["127.0.0.1"])
IMPATIENT = {"read_timeout": 2.5, "connect_timeout": 2, "retries": {"total_max_attempts": 2, "mode": "standard"}}
Store = S3Media | HttpMedia


@dataclass
class WorkerProcess:
    """One store seen twice: through the proxy, and directly."""

    kind: str
    proxy: FaultProxy
    broken: Store
    direct: Store

    async def put(self, store: Store, folder: Path, key: str = "a/k.mp3") -> str:
        (folder / "source").write_bytes(DATA)
        return await store.put(key, str(folder / "source"), "audio/mpeg")

    def seen_directly(self, url: str) -> str:
        """The URL of the same object without the proxy."""
        if self.kind == "s3":
            return url
        return f"http://127.0.0.1:{self.proxy.target}{urlsplit(url).path}"


def s3_options(server: Answer, endpoint: str) -> dict[str, Any]:
    return {"endpoint_url": endpoint, "key": server["key"], "secret": server["secret"], "config_kwargs": IMPATIENT}


@pytest.fixture(params=["s3", "http"])
async def bench(request: pytest.FixtureRequest, seaweedfs: Answer) -> AsyncIterator[WorkerProcess]:
    kind, folder = request.param, uuid.uuid4().hex
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(
            breaking(urlsplit(seaweedfs["s3" if kind == "s3" else "filer"]).port or 0)
        )

        def make(endpoint: str) -> Store:
            if kind == "s3":
                return S3Media(f"s3://{BUCKET}/{folder}", s3_options(seaweedfs, endpoint))
            return HttpMedia(LOOPBACK, f"{endpoint}/faults/{folder}", limits=Limits(idle=2.5, connect=4.0))

        made = WorkerProcess(kind, proxy, make(proxy.url), make(f"http://127.0.0.1:{proxy.target}"))
        yield made
        await made.broken.close()
        await made.direct.close()


async def read(store: Store, url: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(url, start, end)])


async def test_without_a_fault_the_proxy_is_not_noticed(bench: WorkerProcess, tmp_path: Path) -> None:
    url = await bench.put(bench.broken, tmp_path)
    assert await read(bench.broken, url) == DATA
    assert await read(bench.direct, bench.seen_directly(url), 5, 10) == DATA[5:10]


@pytest.mark.parametrize("act", [Act.RESET, Act.CUT, Act.STALL])
async def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    bench: WorkerProcess, tmp_path: Path, act: Act
) -> None:
    url = await bench.put(bench.broken, tmp_path)
    bench.proxy.faults = [Fault(act, b"GET ", at=1_000_000)]
    got: list[bytes] = []

    async def listen() -> None:
        async for chunk in bench.broken.read(url):
            got.append(chunk)  # noqa: PERF401 - what came before the end counts

    with pytest.raises(MediaFaultError):
        await listen()
    assert bench.proxy.befallen == 1
    assert sum(map(len, got)) <= 1_000_000
    assert await read(bench.broken, url) == DATA


async def test_an_announced_length_that_is_wrong_is_noticed(bench: WorkerProcess, tmp_path: Path) -> None:
    url = await bench.put(bench.broken, tmp_path)
    bench.proxy.faults = [Fault(Act.LONGER, b"GET ", times=9)]
    for span in ((0, None), (100, 200)):
        with pytest.raises(MediaFaultError):
            await read(bench.broken, url, *span)


async def test_wrong_bytes_are_left_to_the_hash_of_whoever_reads(bench: WorkerProcess, tmp_path: Path) -> None:
    url = await bench.put(bench.broken, tmp_path)
    bench.proxy.faults = [Fault(Act.SPOIL, b"GET ", at=500_000)]
    spoiled = await read(bench.broken, url)
    assert len(spoiled) == len(DATA)
    assert hashlib.sha256(spoiled).digest() != hashlib.sha256(DATA).digest()


async def test_500_once_is_asked_again_and_500_always_is_an_error(bench: WorkerProcess, tmp_path: Path) -> None:
    url = await bench.put(bench.broken, tmp_path)
    unwell = s3_error("500 Internal Server Error", "InternalError") if bench.kind == "s3" else answer("500 Sorry")
    bench.proxy.faults = [Fault(Act.ANSWER, b"GET ", answer=unwell)]
    assert await read(bench.broken, url) == DATA
    assert bench.proxy.befallen == 1
    bench.proxy.faults = [Fault(Act.ANSWER, times=99, answer=unwell)]
    for ask in (read(bench.broken, url), bench.broken.length(url), bench.broken.delete(url)):
        with pytest.raises(MediaFaultError):
            await ask
    bench.proxy.faults = []
    assert await read(bench.broken, url) == DATA


@pytest.mark.parametrize("at", [0, 200_000, PART + 200_000])
async def test_an_upload_that_breaks_off_leaves_nothing(bench: WorkerProcess, tmp_path: Path, at: int) -> None:
    # S3 sends two parts, and asks twice.
    when = (b"partNumber=2" if at > PART else b"partNumber=1") if bench.kind == "s3" else b"PUT "
    bench.proxy.faults = [Fault(Act.RESET_REQUEST, when, at=at % PART, times=9)]
    with pytest.raises(MediaFaultError):
        await bench.put(bench.broken, tmp_path)
    assert bench.proxy.befallen
    url = bench.direct._base + "/a/k.mp3"  # type: ignore[operator]
    assert await bench.direct.length(url) is None
    with pytest.raises(MediaMissing):
        await read(bench.direct, url)
    assert await unfinished(bench) == []


async def test_an_upload_that_the_server_stops_taking_is_given_up(
    bench: WorkerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.media.s3_store._PART_SECONDS", 4.0)
    when = b"partNumber=1" if bench.kind == "s3" else b"PUT "
    bench.proxy.faults = [Fault(Act.STALL_REQUEST, when, at=100_000, times=9)]
    # More than the buffers between hold.
    (tmp_path / "long").write_bytes(DATA * 4)
    with pytest.raises(MediaFaultError):
        await bench.broken.put("a/k.mp3", str(tmp_path / "long"), "audio/mpeg")
    assert bench.proxy.befallen
    assert await bench.direct.length(bench.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    assert await unfinished(bench) == []


async def test_an_upload_that_is_never_answered_is_given_up(
    bench: WorkerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It waits to be told to continue, and its client has no limit for that.
    monkeypatch.setattr("adapters.media.s3_store._PART_SECONDS", 4.0)
    when = b"partNumber=2" if bench.kind == "s3" else b"PUT "
    bench.proxy.faults = [Fault(Act.STALL, when, times=9)]
    with pytest.raises(MediaFaultError):
        await bench.put(bench.broken, tmp_path)
    assert bench.proxy.befallen
    # A web server has all of it by then. Whoever else put the same may have noted that down: it is not taken away.
    left = None if bench.kind == "s3" else len(DATA)
    assert await bench.direct.length(bench.direct._base + "/a/k.mp3") == left  # type: ignore[operator]
    assert await unfinished(bench) == []


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Slow Down", "507 Insufficient Storage"])
async def test_a_server_that_cannot_take_an_upload_now_takes_the_next_one(
    bench: WorkerProcess, tmp_path: Path, status: str
) -> None:
    # S3 asks again by itself; a web server is asked again by whoever keeps the recording.
    unwell = s3_error(status, "InternalError") if bench.kind == "s3" else answer(status)
    bench.proxy.faults = [Fault(Act.ANSWER, b"PUT ", answer=unwell, times=9)]
    with pytest.raises(MediaFaultError):
        await bench.put(bench.broken, tmp_path)
    assert await bench.direct.length(bench.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    bench.proxy.faults = []
    url = await bench.put(bench.broken, tmp_path)
    assert await read(bench.broken, url) == DATA


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_credentials_that_ended_are_no_missing_audio(bench: WorkerProcess, tmp_path: Path, status: str) -> None:
    url = await bench.put(bench.broken, tmp_path)
    refusal = s3_error(status, "ExpiredToken") if bench.kind == "s3" else answer(status)
    bare = Fault(Act.ANSWER, b"HEAD ", answer=answer(status), times=99)
    bench.proxy.faults = [bare, Fault(Act.ANSWER, b"/", answer=refusal, times=99)]
    asks: list[Callable[[], Awaitable[Any]]] = [
        lambda: read(bench.broken, url),
        lambda: bench.broken.length(url),
        lambda: bench.broken.delete(url),
        lambda: bench.put(bench.broken, tmp_path, "a/other.mp3"),
    ]
    for ask in asks:
        with pytest.raises(AccessRefusedError):
            await ask()
    bench.proxy.faults = []
    assert await read(bench.broken, url) == DATA


async def test_an_upload_that_is_cancelled_leaves_nothing(bench: WorkerProcess, tmp_path: Path) -> None:
    bench.proxy.faults = [Fault(Act.STALL, b"partNumber=2" if bench.kind == "s3" else b"PUT ")]
    uploading = asyncio.create_task(bench.put(bench.broken, tmp_path))
    async with asyncio.timeout(30):
        while not bench.proxy.befallen:  # noqa: ASYNC110 - the proxy counts, and tells nobody
            await asyncio.sleep(0.01)
    uploading.cancel()
    await asyncio.wait([uploading])
    assert uploading.cancelled()
    assert await bench.direct.length(bench.direct._base + "/a/k.mp3") is None  # type: ignore[operator]
    assert await unfinished(bench) == []


async def unfinished(bench: WorkerProcess) -> list[Any]:
    """Uploads that were begun and neither completed nor dropped."""
    if not isinstance(bench.direct, S3Media):
        return []
    async with bench.direct._connection.use(bench.direct._base) as client:
        prefix = bench.direct._base.removeprefix(f"s3://{BUCKET}/")
        return list((await client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)).get("Uploads", []))


async def test_a_server_that_is_not_there_is_an_error_for_everything(seaweedfs: Answer, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "source").write_bytes(b"x")
    stores: list[Store] = [
        S3Media(f"s3://{BUCKET}/x", s3_options(seaweedfs, nowhere)), HttpMedia(LOOPBACK, f"{nowhere}/x"),
    ]  # fmt: skip
    for store in stores:
        url = f"{store._base}/k"
        asks: list[Callable[[], Awaitable[Any]]] = [
            lambda store=store, url=url: read(store, url),  # type: ignore[misc]
            lambda store=store, url=url: store.length(url),  # type: ignore[misc]
            lambda store=store, url=url: store.delete(url),  # type: ignore[misc]
            lambda store=store: store.put("k", str(tmp_path / "source"), "audio/mpeg"),  # type: ignore[misc]
        ]
        for ask in asks:
            with pytest.raises(MediaFaultError):
                await ask()
        await store.close()


async def test_expired_credentials_are_said_to_be_and_read_anew(
    seaweedfs: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


async def test_a_session_that_expires_while_others_listen_breaks_nobody_off(
    bench: WorkerProcess, tmp_path: Path
) -> None:
    if bench.kind != "s3":
        pytest.skip("a web server has no sessions")
    url = await bench.put(bench.broken, tmp_path)
    chunks = bench.broken.read(url)
    first = await anext(chunks)
    bench.proxy.faults = [Fault(Act.ANSWER, b"HEAD ", answer=answer("403 Forbidden"))]
    with pytest.raises(AccessRefusedError):
        await bench.broken.length(url)
    assert await bench.broken.length(url) == len(DATA)
    assert first + b"".join([chunk async for chunk in chunks]) == DATA


async def test_a_bucket_that_is_not_there_is_no_missing_audio(seaweedfs: Answer) -> None:
    store = S3Media("s3://no-such-bucket/x", s3_options(seaweedfs, seaweedfs["s3"]))
    for ask in (store.length("s3://no-such-bucket/x/k"), read(store, "s3://no-such-bucket/x/k")):
        with pytest.raises(MediaFaultError, match="bucket"):
            await ask
    await store.close()


# Full disks


async def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
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
        pytest.skip("nobody may mount here; a limit on the size of files stands for it above")
    yield root
    subprocess.run(["umount", root], check=True)


async def test_a_full_disk_keeps_nothing_half(tmp_path: Path, small_disk: Path) -> None:
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
