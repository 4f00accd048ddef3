"""A TCP server of a test, which leaves no connection open."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

HOST: Final = "127.0.0.1"


class TcpServer:
    """Serves each connection by a coroutine, and closes it then. `port` stays the same after a stop.

    `asyncio.start_server` leaves a connection open if its coroutine is cancelled, also before it begins, as at the end
    of a test. The garbage collector finds it later, and another test fails.
    """

    def __init__(self, serve: Callable[[StreamReader, StreamWriter], Awaitable[None]]) -> None:
        self._handle = serve
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, *, backlog: int = 100) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port, backlog=backlog)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop to listen, and end all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Reset all connections."""
        connections = tuple(self._connections)
        for each in connections:
            each.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._serve_and_close(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve_and_close(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._handle(reader, writer)
            writer.close()
            await writer.wait_closed()
