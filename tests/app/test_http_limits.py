"""What is around the body of a request is bounded in length and in time; all else is served."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from adapters.recorders.embedded.uvicorn_protocols import WAITING
from graph.server import http_limits as protocol

LONG = 32_000_000
SENT = asyncio.Event()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Say how long the body was; at `/unread`, answer when no more of it is taken, without a look at it.

    At `/headers`, say how many there are once all of the body came, at `/deaf`, answer before any of it did, and at
    `/long`, answer with more than a socket takes at once.
    """
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(LONG), "more_body": True})
        # It waits until the most of that was taken, or nobody is there any more.
        await send({"type": "http.response.body", "body": b""})
        SENT.set()
        return
    if scope["path"] == "/deaf":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    length, more = 0, scope["path"] != "/unread"
    while not more and len(receive.__self__.body) <= WAITING:  # noqa: ASYNC110 - uvicorn tells nobody of it
        await asyncio.sleep(0)
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    body = str(len(scope["headers"]) if scope["path"] == "/headers" else length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(echo, port=0, http=protocol.BoundedHttp, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def answers(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def request(length: int = 0, *, last: bool = True, padding: int = 0) -> bytes:
    close = "Connection: close\r\n" if last else ""
    head = f"PUT / HTTP/1.1\r\nHost: x\r\nX: {'x' * padding}\r\n{close}Content-Length: {length}\r\n\r\n"
    return head.encode() + b"b" * length


async def test_requests_in_a_row_and_in_pieces_are_served(port: int) -> None:
    said = await answers(port, request(5, last=False) + request(3_000_000, last=False), request(7))
    assert [line for line in said.split(b"\r\n") if line.isdigit() or line[:1].isdigit()][-1:] == [b"7"]
    assert said.count(b"200 OK") == 3
    piecemeal = [request(10)[index : index + 7] for index in range(0, len(request(10)), 7)]
    assert (await answers(port, *piecemeal)).endswith(b"10")


async def test_a_long_head_is_served_up_to_the_bound(port: int) -> None:
    assert b"200 OK" in await answers(port, request(1, padding=protocol.MAX_HEAD - 1_000))


async def test_a_head_without_end_is_cut_off(port: int) -> None:
    endless = [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 16_384] * 8]
    assert b"200 OK" not in await answers(port, *endless, pause=0.01)
    many = [b"GET / HTTP/1.1\r\n", *[b"X: y\r\n" * 3_000] * 8]
    assert b"200 OK" not in await answers(port, *many, pause=0.01)


@pytest.mark.parametrize("parts", [[], [b"GET / HT"], [b"GET / HTTP/1.1\r\nHost: x\r\n"]])
async def test_a_head_that_takes_too_long_is_cut_off(
    port: int, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    assert b"400" in await answers(port, *parts)


@pytest.mark.parametrize("length", [140_000, 3_000_000])
async def test_what_follows_a_body_that_was_not_read_is_served(port: int, length: int) -> None:
    refused = request(length, last=False).replace(b"PUT / ", b"PUT /unread ")
    said = await answers(port, refused, request(7))
    assert said.count(b"200 OK") == 2
    assert said.endswith(b"7")


@pytest.mark.parametrize("path", ["/", "/unread"])
async def test_a_body_that_falls_silent_is_given_up(port: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    length = WAITING * 5
    unfinished = request(length, last=False)[:-1].replace(b"PUT / ", f"PUT {path} ".encode())
    assert str(length).encode() not in await answers(port, unfinished)


async def test_a_body_may_take_its_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    said = await answers(port, request(4)[:-4], b"b", b"bb", b"b", pause=0.1)
    assert said.endswith(b"4")


def chunked(path: str = "/", *parts: bytes) -> list[bytes]:
    """A request with a body in chunks, up to the beginning of the last of them."""
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head.encode(), *parts]


@pytest.mark.parametrize("path", ["/", "/deaf"])
@pytest.mark.parametrize("piece", [b"X: y\r\n" * 10_000, b"x" * 60_000], ids=["many", "long"])
@pytest.mark.parametrize("before", [b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n5;x="], ids=["trailers", "extension"])
async def test_what_is_no_body_and_has_no_end_is_cut_off(port: int, path: str, piece: bytes, before: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in chunked(path, before):
        writer.write(part)

    async def flood() -> None:
        # Nothing but the server's own end stops this.
        while True:
            writer.write(piece)
            await writer.drain()

    try:
        async with asyncio.timeout(60):
            with pytest.raises(ConnectionError):
                await asyncio.gather(flood(), reader.read())
    finally:
        writer.close()


async def test_trailers_are_no_headers(port: int) -> None:
    plain = await answers(port, *chunked("/headers", b"2\r\n{}\r\n0\r\n\r\n"))
    trailing = await answers(port, *chunked("/headers", b"2\r\n{}\r\n0\r\nX-Auth-Token: x\r\nY: z\r\n\r\n"))
    assert plain.endswith(b"3")
    assert trailing.endswith(b"3")


async def test_a_long_body_in_small_chunks_is_served(port: int) -> None:
    many = b"1;name=value\r\nx\r\n" * 20_000
    assert (await answers(port, *chunked("/", many, b"0\r\n\r\n"))).endswith(b"20000")


async def test_an_answer_that_nobody_takes_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(60):
            await SENT.wait()


async def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "most_connections", lambda: 2)
    first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    # It is there for the server, too: it answers.
    for reader, writer in (first, second):
        writer.write(request(7, last=False))
        assert (await reader.readuntil(b"\r\n\r\n7")).startswith(b"HTTP/1.1 200")
    assert await answers(port, request(7)) == b""
    first[1].write(request(8))
    assert (await first[0].read()).endswith(b"8")
    first[1].close()
    assert (await answers(port, request(9))).endswith(b"9")
    second[1].close()


@pytest.fixture
def files() -> Iterator[Callable[[int, int], None]]:
    """Sets how many files may be open; as before in the end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_half_of_the_files_are_for_audio(files: Callable[[int, int], None]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files(600, hard)
    assert protocol.most_connections() == 300
    protocol.take_files()
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft == (20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard))
    assert protocol.most_connections() == min(soft // 2, protocol.MOST_CONNECTIONS)


class Taking:
    """A transport whose other side takes what it is told to take; and a loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.waiting = 100
        self.aborted = False
        self.due: list[Callable[[], object]] = []

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, _seconds: float, callback: Callable[..., object], *arguments: Any) -> "Taking":
        self.due.append(partial(callback, *arguments))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def pass_by(self, waiting: int) -> None:
        self.waiting = waiting
        self.due.pop()()


def test_an_answer_that_is_taken_bit_by_bit_may_take_its_time() -> None:
    config = uvicorn.Config(echo, http=protocol.BoundedHttp, lifespan="off", log_config=None)
    config.load()
    other: Any = Taking()
    connection = protocol.BoundedHttp(config, ServerState(), {}, other)
    connection.transport, connection.flow = other, FlowControl(other)
    connection.pause_writing()
    for waiting in (99, 50, 49):
        other.pass_by(waiting)
    assert not other.aborted
    other.pass_by(49)
    assert other.aborted
    connection.pause_writing()
    connection.resume_writing()
    assert not other.due
