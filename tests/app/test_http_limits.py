"""Limits on the size and the time of heads, bodies, trailers and responses. All other requests are served."""

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

from adapters.recorders.embedded.uvicorn_protocols import MAX_BUFFERED_BODY
from graph.server import http_limits as protocol
from graph.subscriptions.stream_response import DEAD_PEER

LONG = 32_000_000
SENT = asyncio.Event()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Respond with the length of the body.

    `/unread` responds without reading, as soon as uvicorn stops receiving the body. `/headers` reads the body and
    responds with the number of headers. `/before-body` responds before any part of the body arrives. `/long` sends more
    than a socket accepts at once. `/unacknowledged` responds with the limits that it sets.
    """
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(LONG), "more_body": True})
        # Waits until the client has read most of it, or has disconnected.
        await send({"type": "http.response.body", "body": b""})
        SENT.set()
        return
    if scope["path"] == "/unacknowledged":
        connection = receive.__self__.transport.get_extra_info("socket")
        limits = []
        for seconds in (45.0, None):
            scope["extensions"][DEAD_PEER](seconds)
            limits.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(limits).encode()})
        return
    if scope["path"] == "/before-body":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    length, more = 0, scope["path"] != "/unread"
    while not more and len(receive.__self__.body) <= MAX_BUFFERED_BODY:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    body = str(len(scope["headers"]) if scope["path"] == "/headers" else length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        echo, port=0, http=protocol.LimitedHttpProtocol, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def responses(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Return everything that the server sends until it closes the connection."""
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


async def test_consecutive_and_split_requests_are_served(port: int) -> None:
    received = await responses(port, request(5, last=False) + request(3_000_000, last=False), request(7))
    assert [line for line in received.split(b"\r\n") if line.isdigit() or line[:1].isdigit()][-1:] == [b"7"]
    assert received.count(b"200 OK") == 3
    piecemeal = [request(10)[index : index + 7] for index in range(0, len(request(10)), 7)]
    assert (await responses(port, *piecemeal)).endswith(b"10")


async def test_a_head_of_the_maximum_size_is_served(port: int) -> None:
    assert b"200 OK" in await responses(port, request(1, padding=protocol.MAX_HEAD - 1_000))


async def test_an_endless_head_closes_the_connection(port: int) -> None:
    endless = [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 16_384] * 8]
    assert b"200 OK" not in await responses(port, *endless, pause=0.01)
    many = [b"GET / HTTP/1.1\r\n", *[b"X: y\r\n" * 3_000] * 8]
    assert b"200 OK" not in await responses(port, *many, pause=0.01)


@pytest.mark.parametrize("parts", [[], [b"GET / HT"], [b"GET / HTTP/1.1\r\nHost: x\r\n"]])
async def test_a_slow_head_closes_the_connection(
    port: int, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    assert b"400" in await responses(port, *parts)


@pytest.mark.parametrize("length", [140_000, 3_000_000])
async def test_a_request_after_an_unread_body_is_served(port: int, length: int) -> None:
    unread = request(length, last=False).replace(b"PUT / ", b"PUT /unread ")
    received = await responses(port, unread, request(7))
    assert received.count(b"200 OK") == 2
    assert received.endswith(b"7")


@pytest.mark.parametrize("path", ["/", "/unread"])
async def test_a_body_that_stops_closes_the_connection(port: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    length = MAX_BUFFERED_BODY * 5
    unfinished = request(length, last=False)[:-1].replace(b"PUT / ", f"PUT {path} ".encode())
    assert str(length).encode() not in await responses(port, unfinished)


async def test_a_slow_body_is_served(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    received = await responses(port, request(4)[:-4], b"b", b"bb", b"b", pause=0.1)
    assert received.endswith(b"4")


def chunked(path: str = "/", *parts: bytes) -> list[bytes]:
    """Return a request with a chunked body, up to the beginning of the last chunk."""
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head.encode(), *parts]


@pytest.mark.parametrize("path", ["/", "/before-body"])
@pytest.mark.parametrize("piece", [b"X: y\r\n" * 10_000, b"x" * 60_000], ids=["many", "long"])
@pytest.mark.parametrize("before", [b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n5;x="], ids=["trailers", "extension"])
async def test_endless_trailers_and_chunk_extensions_close_the_connection(
    port: int, path: str, piece: bytes, before: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in chunked(path, before):
        writer.write(part)

    async def flood() -> None:
        # Only the server ends this loop, by closing the connection.
        while True:
            writer.write(piece)
            await writer.drain()

    try:
        async with asyncio.timeout(60):
            with pytest.raises(ConnectionError):
                await asyncio.gather(flood(), reader.read())
    finally:
        writer.close()


async def test_trailers_do_not_become_headers(port: int) -> None:
    plain = await responses(port, *chunked("/headers", b"2\r\n{}\r\n0\r\n\r\n"))
    trailing = await responses(port, *chunked("/headers", b"2\r\n{}\r\n0\r\nX-Auth-Token: x\r\nY: z\r\n\r\n"))
    assert plain.endswith(b"3")
    assert trailing.endswith(b"3")


async def test_a_long_body_in_small_chunks_is_served(port: int) -> None:
    many = b"1;name=value\r\nx\r\n" * 20_000
    assert (await responses(port, *chunked("/", many, b"0\r\n\r\n"))).endswith(b"20000")


async def test_a_response_that_the_client_does_not_read_is_aborted(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "RESPONSE_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(60):
            await SENT.wait()


@pytest.fixture
def files() -> Iterator[Callable[[int, int], None]]:
    """Return a function that sets the limits of open files. Restore them after the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_half_of_the_open_files_are_reserved_for_audio(files: Callable[[int, int], None]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files(600, hard)
    assert protocol.max_connections() == 300
    protocol.raise_file_limit()
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft == (20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard))
    assert protocol.max_connections() == min(soft // 2, protocol.MAX_CONNECTIONS)


class FakeTransport:
    """A transport and an event loop. The test sets the size of the write buffer and runs the timers."""

    def __init__(self) -> None:
        self.waiting = 100
        self.aborted = False
        self.due: list[Callable[[], object]] = []

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, _seconds: float, callback: Callable[..., object], *arguments: Any) -> "FakeTransport":
        self.due.append(partial(callback, *arguments))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def run_timer(self, waiting: int) -> None:
        self.waiting = waiting
        self.due.pop()()


def test_a_slow_reader_keeps_its_connection_while_it_makes_progress() -> None:
    config = uvicorn.Config(echo, http=protocol.LimitedHttpProtocol, lifespan="off", log_config=None)
    config.load()
    other: Any = FakeTransport()
    connection = protocol.LimitedHttpProtocol(config, ServerState(), {}, other)
    connection.transport, connection.flow = other, FlowControl(other)
    connection.pause_writing()
    for waiting in (99, 50, 49):
        other.run_timer(waiting)
    assert not other.aborted
    other.run_timer(49)
    assert other.aborted
    connection.pause_writing()
    connection.resume_writing()
    assert not other.due


async def test_connections_without_a_request_give_way_to_new_ones(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "max_connections", lambda: 4)
    # Two have not sent a head, and one waits for its next request.
    waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    waiting[1][1].write(b"GET / HTTP/1.1\r\n")
    waiting[2][1].write(request(1, last=False))
    assert await waiting[2][0].readuntil(b"\r\n\r\n1")
    # One has a request in progress, which nothing ends.
    busy, sender = await asyncio.open_connection("127.0.0.1", port)
    sender.write(request(9)[:-4])
    for _ in range(3):
        assert b"200 OK" in await responses(port, request(5))
    closed = [await asyncio.wait_for(reader.read(), 20) for reader, _writer in waiting[:1]]
    assert closed == [b""]
    sender.write(b"bbbb")
    assert b"200 OK" in await asyncio.wait_for(busy.read(), 20)
    for _reader, writer in [*waiting, (busy, sender)]:
        writer.close()


async def test_without_a_waiting_connection_a_further_one_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "max_connections", lambda: 1)
    busy, sender = await asyncio.open_connection("127.0.0.1", port)
    sender.write(request(9)[:-4])
    await asyncio.sleep(0.1)
    assert await responses(port, request(1)) == b""
    sender.write(b"bbbb")
    assert b"200 OK" in await asyncio.wait_for(busy.read(), 20)
    sender.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this limit")
async def test_an_app_can_limit_how_long_sent_bytes_stay_unacknowledged(port: int) -> None:
    head = b"GET /unacknowledged HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert b"[45000, 0]" in await responses(port, head)
