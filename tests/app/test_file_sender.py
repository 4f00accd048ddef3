"""Parts of files as response bodies: the order of the bytes, slow clients, and clients that leave."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from adapters.http.streaming_response import FILE_PART
from adapters.media.file_reader import OpenFile
from graph.server import http_limits
from recordings.ports.audio import FilePart

HEAD, TAIL = bytes(3 << 20), b"tail"
DATA = bytes(range(256)) * (32 << 10)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LOOPS: Any = [asyncio.new_event_loop, uvloop.new_event_loop]


class App:
    """Sends bytes, a whole file, and bytes again. `ended` is the error of the last response, if it had one."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(DATA)
        self.path = path
        self.ended = asyncio.Event()
        self.part: FilePart | None = None

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        assert FILE_PART in scope["extensions"]
        file = await OpenFile.open(self.path)
        self.part = FilePart(file, 0, len(DATA))
        length = b"%d" % len(HEAD + DATA + TAIL)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
            await send({"type": "http.response.body", "body": HEAD, "more_body": True})
            await send({"type": FILE_PART, "part": self.part})
            await send({"type": "http.response.body", "body": TAIL})
        finally:
            file.close()
            self.ended.set()


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Run a server. Yield a connection to it."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", http=http_limits.LimitedHttpProtocol)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await task


def run(loop: Callable[[], asyncio.AbstractEventLoop], test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a kind of event loop."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(bounded())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_bytes_around_a_part_of_a_file_keep_their_order(loop: Any, tmp_path: Path) -> None:
    async def test() -> None:
        app = App(tmp_path / "audio")
        async with serving(app) as (reader, writer):
            # Two requests at once. The transport still has bytes when the part begins.
            writer.write(REQUEST * 2)
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(len(HEAD + DATA + TAIL)) == HEAD + DATA + TAIL
            assert app.part is not None
            assert app.part.sent == len(DATA)

    run(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_ends_the_response(loop: Any, tmp_path: Path) -> None:
    async def test() -> None:
        app = App(tmp_path / "audio")
        async with serving(app) as (reader, writer):
            writer.write(REQUEST)
            await reader.readexactly(len(HEAD) + 100_000)
            writer.transport.abort()
            await app.ended.wait()

    run(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_reads_nothing_is_disconnected(
    loop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr(http_limits, "RESPONSE_SECONDS", 0.2)
        app = App(tmp_path / "audio")
        async with serving(app) as (reader, writer):
            writer.write(REQUEST)
            await reader.readexactly(len(HEAD) + 100_000)
            await app.ended.wait()
            assert app.part is not None
            assert app.part.sent < len(DATA)

    run(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_file_that_becomes_shorter_breaks_the_response_off(loop: Any, tmp_path: Path) -> None:
    async def test() -> None:
        app = App(tmp_path / "audio")
        async with serving(app) as (reader, writer):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(HEAD))
            os.truncate(app.path, len(DATA) - 1)
            assert len(await reader.read()) < len(DATA + TAIL)

    run(loop, test)
