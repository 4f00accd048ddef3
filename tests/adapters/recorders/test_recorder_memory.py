"""The memory of one upload and of one stream, store and threads included, with a sender as fast as possible."""

import asyncio
import gc
import json
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamdouble.protocol import MediaStreamEncoder  # type: ignore[import-untyped]
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.adapters.recorders.parts import ACCOUNT, ADDRESS, SECRET, World, eventually, live_call, take, tone, world

KIB = 1024


@contextmanager
def peak() -> Iterator[list[int]]:
    """Measure the peak memory (bytes) inside the block, above the level before it."""
    gc.collect()
    tracemalloc.start()
    found: list[int] = []
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


def upload(port: int, number: int, body: bytes) -> bytes:
    head = f"PUT /ingest/{ADDRESS}/{SECRET}/call_recording_{number}.wav HTTP/1.1\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        sender.sendall(body)
        return sender.recv(12)


async def test_an_upload_uses_at_most_256_kib(tmp_path: Path) -> None:
    body = bytes(20_000_000)
    async with world(tmp_path) as here:
        # The first upload creates objects that stay. They do not count as memory of an upload.
        await asyncio.to_thread(upload, here.port, 1, body)
        with peak() as found:
            assert await asyncio.to_thread(upload, here.port, 2, body) == b"HTTP/1.1 201"
    assert found[0] < 256 * KIB


def messages(count: int) -> bytes:
    """Return the bytes of many WebSocket frames with audio."""
    encoder = MediaStreamEncoder()
    texts = [json.dumps(encoder.connected()), json.dumps(encoder.start(custom_parameters={"call_id": "call-1"}))]
    texts += [json.dumps(encoder.media(tone(1))) for _ in range(count)]
    return b"".join(Frame(Opcode.TEXT, text.encode()).serialize(mask=True) for text in texts)


def flooding(here: World, flood: bytes) -> socket.socket:
    protocol = ClientProtocol(parse_uri(here.ws))
    protocol.send_request(protocol.connect())
    sender = socket.create_connection(("127.0.0.1", here.port), timeout=60)
    sender.sendall(b"".join(protocol.data_to_send()))
    while b"\r\n\r\n" not in sender.recv(4096):
        pass
    sender.sendall(flood)
    return sender


async def test_a_flooding_stream_uses_at_most_256_kib(tmp_path: Path) -> None:
    flood = messages(5_000)
    async with world(tmp_path, max_lead=1, resume_lead=0.5) as here:
        with peak() as found:
            sending = asyncio.create_task(asyncio.to_thread(flooding, here, flood))
            await eventually(lambda: here.recorder.find_call(ACCOUNT, live_call().call_id))
            await here.recorder.start(take())
            await here.until(lambda: len(here.track(take().recording_id)) > 8_000)
        (await sending).close()
    assert len(flood) > 1_000_000
    assert found[0] < 256 * KIB


def endless(here: World, frame: Frame) -> int:
    """Send one frame again and again and read nothing. Return the bytes sent until the server aborts the connection."""
    flood, count = frame.serialize(mask=True) * 100, 0
    with flooding(here, Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True)) as sender:
        try:
            while True:
                count += sender.send(flood)
        except (ConnectionError, TimeoutError) as end:
            assert isinstance(end, ConnectionError), "the server neither read nor aborted"  # noqa: PT017 - the result
            return count


@pytest.mark.parametrize(
    "frame", [Frame(Opcode.PING, bytes(125)), Frame(Opcode.CONT, b"", fin=False)], ids=["pings", "empty fragments"]
)
async def test_a_stream_that_fills_the_servers_buffers_is_aborted(tmp_path: Path, frame: Frame) -> None:
    async with world(tmp_path) as here, asyncio.timeout(120):
        with peak() as found:
            await asyncio.to_thread(endless, here, frame)
    assert found[0] < 512 * KIB
