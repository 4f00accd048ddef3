"""The contract that every media store fulfils."""

import asyncio
import tracemalloc
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.media import MediaRouter
from recordings.ports.audio import MediaMissing

KEY = "0123456789abcdef0123456789abcdef/202611/202611-0190f5fe3c5d7a1b8c2d3e4f5a6b7c8d.mp3"
DATA = bytes(range(256)) * 20_000


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def put(store: MediaRouter, folder: Path, data: bytes, key: str = KEY) -> str:
    source = folder / "source"
    source.write_bytes(data)
    return await store.put(key, str(source), "audio/mpeg")


async def read(store: MediaRouter, url: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(url, start, end)])


async def test_a_stored_object_is_read(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    assert await read(store, url) == DATA
    assert await store.length(url) == len(DATA)


async def test_a_kept_file_is_read_back(store: MediaRouter, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(DATA)
    (tmp_path / "kept").chmod(0o600)
    url, digest = await store.keep(KEY, str(tmp_path / "kept"), "audio/mpeg")
    assert digest == sha256(DATA).hexdigest()
    (tmp_path / "kept").unlink()
    assert await read(store, url) == DATA


RANGES = (
    (0, 1), (0, 0), (1, 2), (255, 70_000), (len(DATA) - 1, len(DATA)), (len(DATA) - 1, None), (5, 4),
    (262_144, 524_288), (1_048_575, 1_048_577), (0, len(DATA) * 2), (len(DATA), None), (len(DATA) * 2, None),
)  # fmt: skip


async def test_ranges(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    for start, end in RANGES:
        assert await read(store, url, start, end) == DATA[start:end], (start, end)


async def test_an_empty_object_exists(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"")
    assert await read(store, url) == b""
    assert await store.length(url) == 0


async def test_a_missing_object_has_no_length_and_cannot_be_read(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    other = url.replace("202611-", "202612-")
    assert await store.length(other) is None
    with pytest.raises(MediaMissing):
        await read(store, other)
    with pytest.raises(MediaMissing):
        await read(store, other, 5, 10)


async def test_a_folder_is_not_an_object(store: MediaRouter, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["store"].startswith("http"):
        pytest.skip("a web server serves the page of a folder as an object")
    url = (await put(store, tmp_path, DATA)).rpartition("/")[0]
    assert await store.length(url) is None
    with pytest.raises(MediaMissing):
        await read(store, url)


async def test_an_object_can_be_deleted_twice_and_others_stay(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    other = await put(store, tmp_path, b"other", KEY.replace(".mp3", ".wav"))
    await store.delete(url)
    await store.delete(url)
    assert await store.length(url) is None
    assert await read(store, other) == b"other"
    await store.delete(other)
    assert await store.length(other) is None


async def test_an_object_is_removed_by_its_key(store: MediaRouter, tmp_path: Path) -> None:
    other = KEY.replace(".mp3", ".wav")
    await store.remove(other)
    url, kept = await put(store, tmp_path, DATA), await put(store, tmp_path, b"other", other)
    await store.remove(KEY)
    assert await store.length(url) is None
    assert await read(store, kept) == b"other"


async def test_an_object_can_be_stored_twice(store: MediaRouter, tmp_path: Path) -> None:
    first = await put(store, tmp_path, DATA)
    assert await put(store, tmp_path, DATA) == first
    assert await read(store, first) == DATA


async def test_a_stored_object_is_a_copy_of_the_file(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"as it was")
    (tmp_path / "source").write_bytes(b"something else")
    assert await read(store, url) == b"as it was"


async def test_a_missing_source_file_stores_nothing(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"x", "a/known.mp3")
    with pytest.raises(FileNotFoundError):
        await store.put("a/gone.mp3", str(tmp_path / "gone"), "audio/mpeg")
    assert await store.length(url.replace("known", "gone")) is None


UNUSUAL = ("a b", "a#b?c=d", "50%", "%2e%2e", "übung", "a+b", "~a", "...", "a:b", "-", "x" * 200)


async def test_objects_with_unusual_keys_do_not_collide(store: MediaRouter, tmp_path: Path) -> None:
    urls = {name: await put(store, tmp_path, name.encode(), f"odd/{name}") for name in (*UNUSUAL, "other")}
    for name, url in urls.items():
        assert url.isascii(), name
        assert await read(store, url) == name.encode(), name
    for name in UNUSUAL:
        await store.delete(urls[name])
        assert await store.length(urls[name]) is None, name
    assert await read(store, urls["other"]) == b"other"


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "a/../b", "../a", "a//b", "a/", "./a", "a\\b", "a\0b", "a\nb", "x" * 201, "\ud800"],
)
async def test_a_key_cannot_leave_the_store(store: MediaRouter, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await put(store, tmp_path, b"x", key)


async def test_many_readers_read_in_parallel(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    spans = [(i * 1_000, len(DATA) - i * 2_000) for i in range(50)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(store, url, *span)) for span in spans]
    assert [task.result() for task in tasks] == [DATA[start:end] for start, end in spans]


async def test_parallel_reads_writes_and_deletions_in_one_folder(store: MediaRouter, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")

    async def store_read_and_delete(number: int) -> bytes:
        url = await store.put(f"shared/{number}", str(source), "audio/mpeg")
        data = await read(store, url)
        await store.delete(url)
        return data

    assert await asyncio.gather(*map(store_read_and_delete, range(100))) == [b"data"] * 100


async def test_a_reader_that_stops_early_closes_its_connection(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    before = open_files()
    for _ in range(20):
        chunks = store.read(url)
        async with aclosing(chunks):  # type: ignore[type-var]
            assert await anext(chunks)
    # The pool may open or close a connection at the same time; a leak would show up twenty times.
    assert open_files() < before + 10


async def test_memory_does_not_grow_with_the_object(
    store: MediaRouter, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["store"]
    if kind == "memory":
        pytest.skip("this store keeps its objects in memory")
    source, size = tmp_path / "source", (128 if kind in {"local", "file"} else 48) << 20
    with source.open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        url = await store.put(KEY, str(source), "audio/mpeg")
        total = 0
        async for chunk in store.read(url):
            assert len(chunk) <= 1 << 20
            total += len(chunk)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == size
    assert most < 24 << 20
