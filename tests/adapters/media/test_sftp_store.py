"""The media store on a real SFTP server, through fsspec."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.media import MediaRouter, open_media_store
from recordings.ports.audio import MediaMissing
from tests.servers.faulty_proxy import Act, Fault, breaking
from tests.servers.sftp_server import PASSWORD, USER, sftp_server

KEY = "ab/2026/11/take 1%.mp3"
DATA = bytes(range(256)) * 6_000
OPTIONS = {"username": USER, "password": PASSWORD, "look_for_keys": False, "allow_agent": False}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that the server serves."""
    root = tmp_path / "sftp"
    root.mkdir()
    return root


@pytest.fixture
def port(root: Path) -> Iterator[int]:
    """The port of the server."""
    with sftp_server(root) as port:
        yield port


@pytest.fixture
async def store(tmp_path: Path, port: int) -> AsyncIterator[MediaRouter]:
    """The media store on the server."""
    opened = open_media_store(f"sftp://127.0.0.1:{port}/audio", tmp_path / "data", OPTIONS)
    yield opened
    await opened.close()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with audio."""
    path = tmp_path / "take"
    path.write_bytes(DATA)
    return str(path)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def read(store: MediaRouter, url: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(url, start, end)])


async def test_an_object_is_stored_read_listed_and_deleted(
    store: MediaRouter, file: str, root: Path, port: int
) -> None:
    url = await store.put(KEY, file, "audio/mpeg")
    assert url.startswith(f"sftp://127.0.0.1:{port}/audio/ab/")
    assert await store.length(url) == len(DATA)
    assert await read(store, url) == DATA
    assert await read(store, url, 1_048_000, 1_049_000) == DATA[1_048_000:1_049_000]
    assert [found.url async for found in store.objects()] == [url]
    await store.delete(url)
    assert await store.length(url) is None
    with pytest.raises(MediaMissing):
        await read(store, url)
    await store.delete(url)
    assert files(root) == []


async def test_parallel_requests_do_not_mix_their_bytes(store: MediaRouter, file: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(DATA[::-1])
    urls = await asyncio.gather(*(store.put(f"a/{at}", (file, str(other))[at % 2], "audio/mpeg") for at in range(6)))
    for at, found in enumerate(await asyncio.gather(*(read(store, url) for url in urls))):
        assert found == (DATA, DATA[::-1])[at % 2]


async def test_urls_of_several_hosts_are_read_from_their_own_host(tmp_path: Path, file: str) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for each in roots:
        (each / "audio").mkdir(parents=True)
        (each / "audio" / "take").write_bytes(each.name.encode())
    with sftp_server(roots[0]) as one, sftp_server(roots[1]) as two:
        store = open_media_store(None, tmp_path / "data", options_by_url={"sftp://": OPTIONS})
        found = [await read(store, f"sftp://127.0.0.1:{port}/audio/take") for port in (one, two, one)]
        await store.close()
    assert found == [b"one", b"two", b"one"]


async def test_a_broken_connection_is_opened_again(tmp_path: Path, file: str, port: int, root: Path) -> None:
    async with breaking(port, Fault(Act.RESET_REQUEST, b"SSH-2.0", at=500_000)) as proxy:
        store = open_media_store(f"sftp://127.0.0.1:{proxy.port}/audio", tmp_path / "data", OPTIONS)
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the error depends on the library
            await store.put(KEY, file, "audio/mpeg")
        assert not isinstance(raised.value, MediaMissing)
        url = await store.put(KEY, file, "audio/mpeg")
        assert await read(store, url) == DATA
        await store.close()
