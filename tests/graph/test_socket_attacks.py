"""Broken and hostile WebSocket clients, through a real server: one closed socket each, and no traceback."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.graph.api import Api
from tests.support.socket_client import SocketClient, serving, socket

ME = {"authorization": "Bearer me"}
INIT = json.dumps({"type": "connection_init", "payload": ME}).encode()
TEXT, BINARY, CONTINUED, CLOSE, PING = 1, 2, 0, 8, 9
VIEWER = "{ viewer { account { plainId } } }"
CHANGES = "subscription { recordingChanged { kind } }"


def frame(kind: int, payload: bytes, *, is_last: bool = True, is_masked: bool = True, reserved: int = 0) -> bytes:
    """Return a frame of RFC 6455, section 5.2. Its mask is zero."""
    first = (0x80 if is_last else 0) | reserved << 4 | kind
    mask_bit = 0x80 if is_masked else 0
    if len(payload) < 126:
        length = bytes([mask_bit | len(payload)])
    elif len(payload) < 1 << 16:
        length = bytes([mask_bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        length = bytes([mask_bit | 127]) + len(payload).to_bytes(8, "big")
    return bytes([first]) + length + (bytes(4) if is_masked else b"") + payload


@dataclass
class RawSocket:
    """A socket after its handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def receive(self) -> tuple[int, bytes]:
        """Return the kind and the payload of the next frame; `CLOSE` without a payload if there is none."""
        try:
            async with asyncio.timeout(20):
                first, length = await self.reader.readexactly(2)
                if length >= 126:
                    length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
                return first & 0x0F, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return CLOSE, b""

    async def closed(self) -> int | None:
        """Return the code with which the server closes the socket; `None` if it aborts the connection."""
        while True:
            kind, payload = await self.receive()
            if kind == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None


@asynccontextmanager
async def raw_socket(url: str) -> AsyncIterator[RawSocket]:
    host = url.split("/")[2]
    reader, writer = await asyncio.open_connection(*host.split(":"))
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    head = (
        f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    writer.write(head.encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    try:
        yield RawSocket(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def url(api: Api) -> AsyncIterator[str]:
    async with serving(api.app, ws_max_size=10_000) as url:
        yield url


BROKEN: Final[Sequence[tuple[Sequence[bytes], set[int | None]]]] = [
    ([frame(TEXT, b"\xff\xfe")], {1007}),
    ([frame(TEXT, b'{"type":"\xc3', is_last=False), frame(CONTINUED, b'"}')], {1007}),
    ([frame(TEXT, INIT, is_masked=False)], {1002}),
    ([frame(TEXT, INIT, reserved=4)], {1002}),
    ([frame(3, b"")], {1002}),
    ([frame(CONTINUED, INIT)], {1002}),
    ([frame(TEXT, b"{", is_last=False), frame(TEXT, INIT)], {1002}),
    ([frame(PING, bytes(126))], {1002}),
    ([frame(PING, b"", is_last=False)], {1002}),
    ([frame(TEXT, bytes(20_000))], {1009}),
    ([frame(TEXT, b" " * 9_000, is_last=False), frame(CONTINUED, b" " * 9_000)], {1009}),
    ([frame(TEXT, b"", is_last=False), *[frame(CONTINUED, b"", is_last=False)] * 2_000], {None}),
    ([b"\x81\xff" + b"\xff" * 8 + bytes(4)], {1002, 1009}),
    ([frame(TEXT, b"[" * 9_000)], {4400}),
    ([frame(TEXT, b'{"type":"connection_init","payload":' + b'{"a":' * 1_500)], {4400}),
    ([frame(TEXT, INIT), frame(TEXT, b'{"type":"ping","payload":1}')], {4400}),
    ([frame(TEXT, INIT), frame(TEXT, b'{"type":"subscribe","id":"\\ud800","payload":{"query":"{a}"}}')], {4400}),
    ([frame(TEXT, INIT), frame(TEXT, b'{"type":"subscribe","id":1,"payload":{"query":"{a}"}}')], {4400}),
    ([frame(TEXT, INIT), frame(TEXT, b'{"type":"subscribe","id":"","payload":{"query":"{a}"}}')], {4400}),
    ([frame(TEXT, INIT), frame(TEXT, b'{"type":"complete"}')], {4400}),
    ([frame(TEXT, INIT), *[frame(TEXT, b'{"type":"pong"}')] * 300], {4429}),
    ([frame(CLOSE, b"\x03")], {1002}),
    ([frame(CLOSE, b"\x03\xe7")], {1002}),
]
"""What a client sends, and the codes with which the server may close the socket."""


async def test_a_broken_client_gets_a_close_code(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for frames, codes in BROKEN:
        async with raw_socket(url) as client:
            client.writer.write(b"".join(frames))
            assert await client.closed() in codes, frames
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


async def test_a_message_may_come_in_fragments_and_single_bytes(url: str) -> None:
    async with raw_socket(url) as client:
        parts = [frame(TEXT, INIT[:7], is_last=False), frame(PING, b"x"), frame(CONTINUED, INIT[7:])]
        for byte in b"".join(parts):
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert await client.receive() == (10, b"x")
        assert await client.receive() == (TEXT, b'{"type":"connection_ack"}')


@asynccontextmanager
async def started(url: str) -> AsyncIterator[SocketClient]:
    async with socket(url) as client:
        await client.start(ME)
        yield client


async def test_operations_that_are_stopped_at_once_leave_nothing_behind(url: str, api: Api) -> None:
    async with started(url) as client:
        for number in range(60):
            await client.subscribe(CHANGES, str(number % 3))
            await client.send({"type": "complete", "id": str(number % 3)})
        await client.subscribe(VIEWER, "last")
        messages: list[Any] = []
        while not messages or messages[-1] != {"id": "last", "type": "complete"}:
            messages.append(await client.receive())
        assert {each["id"] for each in messages} == {"last"}
        async with asyncio.timeout(10):
            while api.streams.subscriptions or api.installation.hub.readers:  # noqa: ASYNC110 - they have no event
                await asyncio.sleep(0.01)


async def test_a_client_that_leaves_during_its_first_message_frees_its_place(url: str, api: Api) -> None:
    for _ in range(30):
        async with raw_socket(url) as client:
            client.writer.write(frame(TEXT, INIT) + frame(TEXT, b'{"type":"subscribe","id":"1","payload":{"query":"'))
            client.writer.transport.abort()
    async with asyncio.timeout(10):
        while api.streams.slots.open:  # noqa: ASYNC110 - the slots have no event for it
            await asyncio.sleep(0.01)
    slots = api.streams.slots
    async with started(url):
        assert slots.open == 1
