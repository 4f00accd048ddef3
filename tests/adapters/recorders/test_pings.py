"""A WebSocket without data gets pings, and a connection whose client is gone ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from adapters.recorders.embedded import HttpProtocol, WebSocketProtocol

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
TEXT = b"\x81\x81\0\0\0\0x"
"""A frame of text from a client."""
PING = 0x89


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept a WebSocket and send each message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        echo, port=0, http=HttpProtocol, ws=WebSocketProtocol, ws_ping_interval=0.2, ws_ping_timeout=0.3,
        lifespan="off", log_config=None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def test_a_half_open_connection_ends(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    # The client never answers, as after a power cut.
    received = await asyncio.wait_for(reader.read(), 20)
    assert received[0] == PING
    writer.close()


async def test_a_silent_client_that_answers_pings_stays_connected(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}", compression=None, ping_interval=None) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 1.5)
        await connection.send("still here")
        assert await connection.recv() == "still here"


async def test_a_client_that_sends_but_never_answers_a_ping_stays_connected(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.3)
    for _ in range(12):
        writer.write(TEXT)
        await asyncio.sleep(0.1)
    received = await asyncio.wait_for(reader.read(4_096), 20)
    assert (PING in received, received.count(b"\x81\x01x")) == (True, 12)
    writer.close()


async def test_a_busy_client_gets_no_pings(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(20):
        writer.write(TEXT)
        await asyncio.sleep(0.05)
    assert PING not in await asyncio.wait_for(reader.read(4_096), 20)
    writer.close()
