"""Behaviour of the folder media store that other stores do not have."""

import asyncio
import errno
import fcntl
import os
import shutil
import stat
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adapters.media import FolderMedia, MediaFaultError, file_reader, folder_store, open_media_store
from adapters.media.file_reader import OpenFile
from recordings.ports.audio import MediaMissing
from tests.support.disk import need_reads_without_waiting

DATA = os.urandom(3 << 20)


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return str(path)


async def test_local_audio_moves_with_the_data_folder(tmp_path: Path, source: str) -> None:
    url = await open_media_store(None, tmp_path / "here").put("a/b.mp3", source, "audio/mpeg")
    assert url == "local:a/b.mp3"
    (tmp_path / "here").rename(tmp_path / "there")
    moved = open_media_store(None, tmp_path / "there")
    assert b"".join([chunk async for chunk in moved.read(url)]) == DATA


async def test_audio_is_read_from_its_location_after_the_configuration_changed(tmp_path: Path, source: str) -> None:
    locations = [None, f"file://{tmp_path}/one", f"file://{tmp_path}/two/", "memory://three"]
    stores = [open_media_store(location, tmp_path / "data") for location in locations]
    urls = [await store.put("k", source, "audio/mpeg") for store in stores]
    assert urls == ["local:k", f"file://{tmp_path}/one/k", f"file://{tmp_path}/two/k", "memory://three/k"]
    for store in stores:
        assert [await store.length(url) for url in urls] == [len(DATA)] * 4
    for url in urls:
        await stores[0].delete(url)
        assert await stores[-1].length(url) is None


async def test_a_missing_folder_is_an_error_and_not_missing_audio(tmp_path: Path, source: str) -> None:
    location = f"file://{tmp_path}/disk"
    store = open_media_store(location, tmp_path / "data")
    url = await store.put("a/b.mp3", source, "audio/mpeg")
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    with pytest.raises(MediaFaultError, match="there is no folder"):
        await store.length(url)
    with pytest.raises(MediaFaultError, match="there is no folder"):
        await anext(aiter(store.read(url)))
    (tmp_path / "unmounted").rename(tmp_path / "disk")
    assert await store.length(url) == len(DATA)
    assert await store.length(f"{location}/a/c.mp3") is None


@pytest.mark.parametrize("url", ["/var/audio", "audio", "", "file://", "s3://", "file://server/share", "local:"])
def test_a_location_must_be_a_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="write"):
        open_media_store(url, tmp_path)


@pytest.mark.parametrize(
    "url",
    ["local:../secret", "local:%2e%2e/secret", "local:/etc/passwd", "local:", "file:///a/../etc/passwd", "file:///",
     "nothing", "", "local:%ff", "local:a%00b"],
)  # fmt: skip
async def test_a_url_cannot_leave_the_store(tmp_path: Path, url: str) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    store = open_media_store(None, tmp_path)
    with pytest.raises(MediaMissing):
        await anext(aiter(store.read(url)))


async def test_empty_folders_are_pruned_up_to_the_root(tmp_path: Path, source: str) -> None:
    store = open_media_store(None, tmp_path)
    first, second = [await store.put(key, source, "audio/mpeg") for key in ("a/b/c", "a/d")]
    await store.delete(first)
    assert names(tmp_path / "media/a") == ["d"]
    await store.delete(second)
    assert names(tmp_path / "media") == []


def private(folder: Path, data: bytes = DATA, permissions: int = 0o600) -> Path:
    path = folder / "private"
    path.write_bytes(data)
    path.chmod(permissions)
    return path


async def test_a_private_file_on_the_same_disk_is_shared(tmp_path: Path) -> None:
    store, path = FolderMedia(tmp_path / "media", "local:"), private(tmp_path)
    kept = await store.keep("a/b.mp3", str(path), "audio/mpeg")
    assert kept == ("local:a/b.mp3", sha256(DATA).hexdigest())
    assert (tmp_path / "media/a/b.mp3").samefile(path)
    # A repeated step stores the same file again.
    assert await store.keep("a/b.mp3", str(path), "audio/mpeg") == kept
    path.unlink()
    assert (tmp_path / "media/a/b.mp3").read_bytes() == DATA
    assert names(tmp_path / "media/a") == ["b.mp3"]


async def test_a_file_that_cannot_be_shared_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderMedia(tmp_path / "media", "local:")
    await store.keep("readable.mp3", str(private(tmp_path, permissions=0o644)), "audio/mpeg")
    path = str(private(tmp_path))

    def other_disk(*_arguments: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", other_disk)
        await store.keep("far.mp3", path, "audio/mpeg")
    # An earlier object with other bytes is replaced, and its own file does not change.
    other = private(tmp_path / "media", b"other")
    other.rename(tmp_path / "media/old.mp3")
    os.link(tmp_path / "media/old.mp3", tmp_path / "first")
    assert await store.keep("old.mp3", path, "audio/mpeg") == ("local:old.mp3", sha256(DATA).hexdigest())
    assert (tmp_path / "first").read_bytes() == b"other"
    for name in ("readable.mp3", "far.mp3", "old.mp3"):
        copy = tmp_path / "media" / name
        assert (copy.read_bytes(), mode(copy), copy.stat().st_nlink) == (DATA, 0o600, 1)
    assert names(tmp_path / "media") == ["far.mp3", "old.mp3", "readable.mp3"]


async def test_a_failed_write_leaves_existing_files_unchanged(tmp_path: Path, source: str) -> None:
    store = FolderMedia(tmp_path / "root", "local:")
    url = await store.put("a", source, "audio/mpeg")
    (tmp_path / "root" / "folder" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        await store.put("folder", source, "audio/mpeg")
    assert names(tmp_path / "root") == ["a", "folder"]
    assert await store.length(url) == len(DATA)


async def test_the_partial_file_of_a_dead_writer_is_reused(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "media" / "a"
    folder.mkdir(parents=True)
    (folder / ".b.mp3.part").write_bytes(DATA * 2)
    store = FolderMedia(tmp_path / "media", "local:")
    await store.put("a/b.mp3", source, "audio/mpeg")
    assert [(path.name, path.stat().st_size) for path in folder.iterdir()] == [("b.mp3", len(DATA))]


async def test_the_partial_file_of_a_living_writer_is_not_touched(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, begun, go_on = FolderMedia(tmp_path / "media", "local:"), threading.Event(), threading.Event()
    copy = shutil.copyfileobj

    def slow(*arguments: Any) -> None:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(20)
        copy(*arguments)

    monkeypatch.setattr(shutil, "copyfileobj", slow)
    first = asyncio.create_task(store.put("b.mp3", source, "audio/mpeg"))
    assert await asyncio.to_thread(begun.wait, 20)
    await store.put("b.mp3", source, "audio/mpeg")
    go_on.set()
    url = await first
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["b.mp3"]
    assert b"".join([chunk async for chunk in store.read(url)]) == DATA


@pytest.mark.parametrize("trouble", [errno.ENOLCK, errno.EOPNOTSUPP])
async def test_a_disk_without_locks_can_store_audio(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    def no_lock(*_arguments: Any) -> None:
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    await FolderMedia(tmp_path / "media", "local:").put("b.mp3", source, "audio/mpeg")
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["b.mp3"]


async def test_files_and_folders_are_private(tmp_path: Path, source: str) -> None:
    before = os.umask(0)
    try:
        await open_media_store(None, tmp_path).put("a/b", source, "audio/mpeg")
    finally:
        os.umask(before)
    assert mode(tmp_path / "media/a") == 0o700
    assert mode(tmp_path / "media/a/b") == 0o600


@pytest.mark.parametrize("nowait", [True, False])
async def test_reads_with_and_without_a_thread_return_the_same_bytes(source: str, nowait: bool) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    file = OpenFile(descriptor, os.fstat(descriptor), nowait=nowait)
    read = bytearray()
    while chunk := await file.read(len(read), len(DATA)):
        read += chunk
    file.close()
    assert read == DATA


async def test_bytes_in_memory_are_read_without_a_thread(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_reads_without_waiting(tmp_path)
    # Load the file into the page cache.
    await asyncio.to_thread(Path(source).read_bytes)
    file = await OpenFile.open(Path(source))
    try:
        first = await file.read(0, 100)
        monkeypatch.setattr(os, "pread", None)
        assert await file.read(0, 100) == first == DATA[:100]
    finally:
        file.close()


async def test_a_file_whose_path_is_in_memory_is_opened_without_a_thread(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_media_store(None, tmp_path / "data")
    url = await store.put("a/b.mp3", source, "audio/mpeg")
    assert b"".join([chunk async for chunk in store.read(url)]) == DATA
    opened = OpenFile.open_now(Path(source))
    if opened is None or not opened.is_on_disk:
        pytest.skip("this system has no openat2, or no local disk")
    opened.close()
    with monkeypatch.context() as patch:
        patch.setattr(file_reader, "_open", None)
        assert b"".join([chunk async for chunk in store.read(url)]) == DATA
    await store.delete(url)
    with pytest.raises(MediaMissing):
        await anext(aiter(store.read(url)))


def test_only_the_usual_call_fails_for_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert OpenFile.open_now(tmp_path / "missing") is None
    assert OpenFile.open_now(tmp_path) is None


def test_a_file_system_without_a_device_is_no_local_disk(source: str) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    try:
        found = list(os.fstat(descriptor))
        for device, is_on_disk in ((os.makedev(0, 40), False), (os.makedev(8, 1), True)):
            found[stat.ST_DEV] = device
            assert OpenFile(descriptor, os.stat_result(found)).is_on_disk is is_on_disk
    finally:
        os.close(descriptor)


async def test_other_tasks_run_while_a_long_file_is_read(source: str) -> None:
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    file = await OpenFile.open(Path(source))
    other, read, before = asyncio.create_task(count()), 0, steps
    while chunk := await file.read(read, len(DATA)):
        read += len(chunk)
        assert steps > before
        before = steps
    other.cancel()
    file.close()
    assert read == len(DATA)


async def test_a_cancelled_reader_closes_its_file_after_the_thread(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave, closed = threading.Event(), threading.Event(), asyncio.Event()
    pread, close = os.pread, os.close
    descriptor = os.open(source, os.O_RDONLY)
    order: list[str] = []

    def slow(file: int, size: int, offset: int) -> bytes:
        entered.set()
        leave.wait(30)
        data = pread(file, size, offset)
        order.append("read")
        return data

    def note(file: int) -> None:
        close(file)
        if file == descriptor:
            order.append("closed")
            closed.set()

    monkeypatch.setattr(os, "pread", slow)
    monkeypatch.setattr(os, "close", note)
    file = OpenFile(descriptor, os.fstat(descriptor), nowait=False)
    reading = asyncio.create_task(file.read(0, 100))
    assert await asyncio.to_thread(entered.wait, 30)
    reading.cancel()
    await asyncio.wait([reading])
    file.close()
    assert order == []
    leave.set()
    await asyncio.wait_for(closed.wait(), 30)
    assert order == ["read", "closed"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(("part_seconds", "lengths"), [(3_600.0, [2, 8, 6]), (0.0, [2] * 8)])
async def test_only_a_client_that_reads_fast_gets_long_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_seconds: float, lengths: list[int]
) -> None:
    need_reads_without_waiting(tmp_path)
    monkeypatch.setattr(folder_store, "_PART_SECONDS", part_seconds)
    (tmp_path / "x").write_bytes(bytes(16 << 20))
    parts = FolderMedia(tmp_path, "local:").parts("local:x")
    assert [len(part) >> 20 async for part in parts] == lengths


@pytest.mark.parametrize(
    ("length", "seconds", "expected"),
    [(2, 0.25, 2), (2, 10.0, 2), (2, 0.125, 4), (2, 0.0, 8), (16, 0.03, 64), (64, 0.25, 64), (64, 1.0, 16)],
)
def test_a_part_has_the_bytes_that_a_client_reads_in_a_quarter_of_a_second(
    length: int, seconds: float, expected: int
) -> None:
    assert folder_store.next_length(length << 20, seconds) == expected << 20
