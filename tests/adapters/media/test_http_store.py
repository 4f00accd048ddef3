"""Behaviour of the media store on a web server that other stores do not have."""

import gzip
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.media import AccessRefusedError, BrokenTransferError, HttpMedia, MediaFaultError
from adapters.media.http_store_responses import body_part
from adapters.net import Guard
from recordings.ports.audio import MediaMissing
from tests.adapters.delivery.receiver import Receiver, receiving
from tests.servers.shared_server import Address

DATA = os.urandom(700_000)
LOOPBACK = Guard(private=["127.0.0.1"])


@pytest.fixture
async def store() -> AsyncIterator[HttpMedia]:
    opened = HttpMedia(LOOPBACK, max_bytes=1_000_000)
    yield opened
    await opened.close()


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


async def read(store: HttpMedia, url: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(url, start, end)])


@pytest.fixture
def served(nginx: Address) -> tuple[str, str]:
    """Return two URLs of a file on nginx: with support for ranges, and without."""
    name = f"{uuid.uuid4().hex}.mp3"
    Path(nginx["root"], name).write_bytes(DATA)
    return f"{nginx['http']}/{name}", f"{nginx['http']}/whole/{name}"


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (0, 1), (5, 5), (100, 600_000), (len(DATA) - 1, None), (len(DATA), None), (0, len(DATA) + 9), (9, 4)],
)
async def test_ranges_are_read_from_servers_with_and_without_range_support(
    store: HttpMedia, served: tuple[str, str], start: int, end: int | None
) -> None:
    for url in served:
        assert await store.length(url) == len(DATA)
        assert await read(store, url, start, end) == DATA[start:end]


@pytest.fixture
def folder(nginx: Address) -> str:
    Path(nginx["root"], "folder").mkdir(exist_ok=True)
    return f"{nginx['http']}/folder"


async def test_missing_objects_and_folders_raise_media_missing(store: HttpMedia, nginx: Address, folder: str) -> None:
    for url in (f"{nginx['http']}/none.mp3", folder):
        assert await store.length(url) is None
        with pytest.raises(MediaMissing):
            await read(store, url)


async def test_writing_to_a_read_only_server_is_an_error(
    nginx: Address, served: tuple[str, str], tmp_path: Path
) -> None:
    store = HttpMedia(LOOPBACK, nginx["http"])
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(MediaFaultError, match="405"):
        await store.put("a/k", str(tmp_path / "source"), "audio/mpeg")
    with pytest.raises(MediaFaultError, match="405"):
        await store.delete(served[0])
    assert await store.length(served[0]) == len(DATA)
    await store.close()


async def test_a_redirect_is_followed_and_checked(store: HttpMedia, server: Receiver, served: tuple[str, str]) -> None:
    server.answers = [web.Response(status=302, headers={"Location": served[0]})]
    assert await read(store, f"{server.url}/x", 7, 9) == DATA[7:9]
    server.answers = [web.Response(status=302, headers={"Location": "http://127.0.0.2/latest/meta-data"})]
    with pytest.raises(AccessRefusedError, match="public"):
        await read(store, f"{server.url}/x")
    server.answers = [web.Response(status=302, headers={"Location": "/x"})]
    with pytest.raises(AccessRefusedError, match="loop"):
        await read(store, f"{server.url}/x")


async def test_credentials_are_sent_only_to_their_own_server(server: Receiver) -> None:
    async with receiving() as other:
        store = HttpMedia(LOOPBACK, f"{server.url}/audio", headers={"Authorization": "secret"})
        server.answers = [web.Response(status=307, headers={"Location": f"{other.url}/x"})]
        await read(store, f"{server.url}/audio/k")
        await read(store, f"{server.url}/audiobooks/k")
        await store.close()
        assert [heard.headers.get("Authorization") for heard in (*server.heard, *other.heard)] == ["secret", None, None]


async def test_an_object_that_is_too_large_is_rejected(store: HttpMedia, server: Receiver) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while not server.over.is_set():
                await response.write(b"x" * 100_000)
        except ConnectionError:
            pass
        return response

    server.answers = [web.Response(body=b"x" * 1_000_001), endless]
    for _ in range(2):
        with pytest.raises(MediaFaultError, match="more than 1000000"):
            await read(store, f"{server.url}/x")


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (web.Response(status=403), AccessRefusedError),
        (web.Response(status=401), AccessRefusedError),
        (web.Response(status=410), MediaMissing),
        (web.Response(status=418), MediaFaultError),
        (web.Response(status=206, body=b"abcde"), MediaFaultError),
        (web.Response(status=206, body=b"abcde", headers={"Content-Range": "bytes 6-10/100"}), MediaFaultError),
        (web.Response(status=206, body=b"abcde", headers={"Content-Range": "bytes 5-8/100"}), MediaFaultError),
        (web.Response(status=206, body=b"abc", headers={"Content-Range": "bytes 5-7/100"}), MediaFaultError),
        (web.Response(status=416, headers={"Content-Range": "bytes */100"}), MediaFaultError),
        (web.Response(body=gzip.compress(b"abc"), headers={"Content-Encoding": "gzip"}), MediaFaultError),
    ],
)
async def test_a_wrong_response_is_rejected(
    store: HttpMedia, server: Receiver, response: web.Response, kind: type[Exception]
) -> None:
    server.answers = [response] * 3
    with pytest.raises(kind):
        await read(store, f"{server.url}/x?token=hidden", 5, 10)


async def test_an_error_message_contains_no_secret(store: HttpMedia, server: Receiver) -> None:
    server.answers = [web.Response(status=403)]
    with pytest.raises(AccessRefusedError) as refused:
        await read(store, f"http://user:hidden@127.0.0.1:{server.port}/x?token=hidden")
    assert "hidden" not in str(refused.value)


async def test_without_head_the_length_comes_from_a_range_of_one_byte(store: HttpMedia, server: Receiver) -> None:
    part = web.Response(status=206, body=b"a", headers={"Content-Range": "bytes 0-0/4711"})
    server.answers = [web.Response(status=405), part]
    assert await store.length(f"{server.url}/x") == 4711


async def test_a_body_of_unknown_length_is_read_to_its_end(store: HttpMedia, server: Receiver) -> None:
    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"abcd")
        return response

    server.answers = [chunked] * 2
    assert await read(store, f"{server.url}/x", 2, 100) == b"cdabcdabcd"
    assert await read(store, f"{server.url}/x", 2, 5) == b"cda"


async def test_an_incomplete_chunked_body_is_an_error(store: HttpMedia, server: Receiver) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"abcd")
        assert request.transport is not None
        request.transport.close()
        return response

    server.answers = [broken]
    with pytest.raises(BrokenTransferError):
        await read(store, f"{server.url}/x")


def test_an_empty_object_has_length_0() -> None:
    response = web.Response(status=416, headers={"Content-Range": "bytes */0"})
    assert body_part("u", response, 0, 1).total == 0
