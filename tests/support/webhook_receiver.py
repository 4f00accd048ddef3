"""A web server that receives webhooks. The path of a URL says how it behaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.servers.tcp_server import TcpServer

_ANSWERS: Final = {
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "fail": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nX-Token: abc\r\nServer: test\r\n\r\noops",
    "gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "busy": b"HTTP/1.1 429 Busy\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    "broken": b"HTTP/1.1 200 OK\r\nContent-Le",
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    "drip": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx",
}


@dataclass(frozen=True, slots=True)
class Received:
    """A request. `path` is its first part."""

    path: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Receiver(TcpServer):
    """The server. `ok`, `fail`, `gone`, `busy`, `redirect`, `broken`, `endless`, `drip` and `hang` are its behaviours.

    `down` has paths that answer as `fail` does.
    """

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.received: list[Received] = []
        self.down: set[str] = set()
        self.open = 0
        """How many requests are not answered yet."""

    def url(self, path: str) -> str:
        """Return a URL of the server."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def paths(self) -> list[str]:
        """Return the paths of all requests so far."""
        return [each.path for each in self.received]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await _read(reader)
            self.received.append(request)
            behaviour = "fail" if request.target in self.down else request.path
            if behaviour == "hang":
                self.open += 1
                try:
                    await reader.read()
                finally:
                    self.open -= 1
                return
            writer.write(_ANSWERS[behaviour])
            await writer.drain()
            while behaviour == "endless":
                writer.write(bytes(65_536))
                await writer.drain()
            if behaviour == "drip":
                await reader.read()
            if behaviour in {"broken", "drip"}:
                return


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    target = head[0].split()[1]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(target.split("/")[1], target, headers, body)


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    await receiver.start(backlog=1_024)
    try:
        yield receiver
    finally:
        await receiver.stop()
