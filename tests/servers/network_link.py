"""The network between a server and its stores: TCP forwarders that a test can cut and repair."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

from tests.servers.tcp_server import TcpServer

_CHUNK = 65_536
_SECONDS = 10.0


class NetworkLink:
    """Forwards a port of its own to each target port of this machine, in a thread, until `close`.

    Responses that name a target are changed to name the link instead. A MongoDB driver learns the addresses of the
    members from their responses, so without this it would bypass the link.
    """

    def __init__(self, *targets: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._passing = asyncio.Event()
        self._is_refusing = False
        self._servers: list[TcpServer] = []
        self.ports: dict[int, int] = {}
        """The port of the link for each target."""
        self._run(self._listen(targets))

    def cut(self, *, refuse: bool = False) -> None:
        """Stop all traffic. Packets are lost; with `refuse`, connections are reset instead."""
        self._run(self._cut(refuse=refuse))

    def heal(self) -> None:
        """Let the traffic pass again. Connections that were only delayed continue."""
        self._loop.call_soon_threadsafe(self._heal)

    def close(self) -> None:
        """End all connections and the thread."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self, targets: Sequence[int]) -> None:
        self._passing.set()
        for target in targets:
            server = TcpServer(partial(self._connect, target))
            await server.start()
            self._servers.append(server)
            self.ports[target] = server.port

    async def _cut(self, *, refuse: bool) -> None:
        self._passing.clear()
        self._is_refusing = refuse
        if refuse:
            for server in self._servers:
                await server.cut()

    def _heal(self) -> None:
        self._is_refusing = False
        self._passing.set()

    async def _close(self) -> None:
        for server in self._servers:
            await server.stop()

    async def _connect(self, target: int, reader: StreamReader, writer: StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        await self._passing.wait()
        there, back = await asyncio.open_connection("127.0.0.1", target)
        try:
            tasks = {
                asyncio.create_task(self._forward(reader, back)),
                asyncio.create_task(self._forward(there, writer, is_response=True)),
            }
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            back.transport.abort()

    async def _forward(self, reader: StreamReader, writer: StreamWriter, *, is_response: bool = False) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                # Bytes that arrive during a cut are delivered after it, as by a resend of TCP.
                await self._passing.wait()
                writer.write(self._renamed(data) if is_response else data)
                await writer.drain()

    def _renamed(self, data: bytes) -> bytes:
        for target, port in self.ports.items():
            name, own_name = f"127.0.0.1:{target}".encode(), f"127.0.0.1:{port}".encode()
            if len(name) == len(own_name):
                data = data.replace(name, own_name)
        return data
