"""What every store of audio does."""

import asyncio
import tracemalloc
from contextlib import aclosing
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


async def test_what_was_put_is_read(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    assert await read(store, url) == DATA
    assert await store.length(url) == len(DATA)


RANGES = (
    (0, 1), (0, 0), (1, 2), (255, 70_000), (len(DATA) - 1, len(DATA)), (len(DATA) - 1, None), (5, 4),
    (262_144, 524_288), (1_048_575, 1_048_577), (0, len(DATA) * 2), (len(DATA), None), (len(DATA) * 2, None),
)  # fmt: skip


async def test_ranges(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    for start, end in RANGES:
        assert await read(store, url, start, end) == DATA[start:end], (start, end)


async def test_an_empty_object_is_there(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"")
    assert await read(store, url) == b""
    assert await store.length(url) == 0


async def test_what_is_missing_is_said_to_be(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    other = url.replace("202611-", "202612-")
    assert await store.length(other) is None
    with pytest.raises(MediaMissing):
        await read(store, other)
    with pytest.raises(MediaMissing):
        await read(store, other, 5, 10)


async def test_a_folder_of_objects_is_no_object(
    store: MediaRouter, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["store"].startswith("http"):
        pytest.skip("to a web server the page of a folder is a thing like any other")
    url = (await put(store, tmp_path, DATA)).rpartition("/")[0]
    assert await store.length(url) is None
    with pytest.raises(MediaMissing):
        await read(store, url)


async def test_deleting_twice_is_fine_and_takes_nothing_else(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    other = await put(store, tmp_path, b"other", KEY.replace(".mp3", ".wav"))
    await store.delete(url)
    await store.delete(url)
    assert await store.length(url) is None
    assert await read(store, other) == b"other"
    await store.delete(other)
    assert await store.length(other) is None


async def test_putting_again_is_fine(store: MediaRouter, tmp_path: Path) -> None:
    first = await put(store, tmp_path, DATA)
    assert await put(store, tmp_path, DATA) == first
    assert await read(store, first) == DATA


async def test_an_object_is_a_copy(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"as it was")
    (tmp_path / "source").write_bytes(b"something else")
    assert await read(store, url) == b"as it was"


async def test_putting_what_is_not_there_leaves_nothing(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, b"x", "a/known.mp3")
    with pytest.raises(FileNotFoundError):
        await store.put("a/gone.mp3", str(tmp_path / "gone"), "audio/mpeg")
    assert await store.length(url.replace("known", "gone")) is None


ODD = ("a b", "a#b?c=d", "50%", "%2e%2e", "übung", "a+b", "~a", "...", "a:b", "-", "x" * 200)


async def test_odd_keys_are_kept_apart(store: MediaRouter, tmp_path: Path) -> None:
    urls = {name: await put(store, tmp_path, name.encode(), f"odd/{name}") for name in (*ODD, "other")}
    for name, url in urls.items():
        assert url.isascii(), name
        assert await read(store, url) == name.encode(), name
    for name in ODD:
        await store.delete(urls[name])
        assert await store.length(urls[name]) is None, name
    assert await read(store, urls["other"]) == b"other"


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "a/../b", "../a", "a//b", "a/", "./a", "a\\b", "a\0b", "a\nb", "x" * 201, "\ud800"],
)
async def test_a_key_never_leads_out(store: MediaRouter, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await put(store, tmp_path, b"x", key)


async def test_many_readers_at_once(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    spans = [(i * 1_000, len(DATA) - i * 2_000) for i in range(50)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(store, url, *span)) for span in spans]
    assert [task.result() for task in tasks] == [DATA[start:end] for start, end in spans]


async def test_readers_and_writers_of_one_folder_do_not_meet(store: MediaRouter, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")

    async def live_and_die(number: int) -> bytes:
        url = await store.put(f"shared/{number}", str(source), "audio/mpeg")
        data = await read(store, url)
        await store.delete(url)
        return data

    assert await asyncio.gather(*map(live_and_die, range(100))) == [b"data"] * 100


async def test_a_reader_that_stops_lets_go(store: MediaRouter, tmp_path: Path) -> None:
    url = await put(store, tmp_path, DATA)
    before = open_files()
    for _ in range(20):
        chunks = store.read(url)
        async with aclosing(chunks):  # type: ignore[type-var]
            assert await anext(chunks)
    # A connection that is kept may come or go meanwhile; what is not let go is there twenty times.
    assert open_files() < before + 10


async def test_memory_stays_flat(store: MediaRouter, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["store"]
    if kind == "memory":
        pytest.skip("this store is memory")
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
