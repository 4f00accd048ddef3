"""A TCP proxy that causes faults at a chosen byte of a chosen request or response."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.servers.tcp_server import TcpServer

_LENGTH = re.compile(rb"(?i)(content-length: )(\d+)")


class Act(Enum):
    """The kinds of faults."""

    ANSWER = auto()
    """The proxy itself sends the response `answer` and does not forward the request."""
    RESET = auto()
    """The connection is reset after `at` bytes of the response."""
    CUT = auto()
    """The connection is closed normally after `at` bytes of the response, which is too early."""
    STALL = auto()
    """After `at` bytes of the response, no more bytes are sent."""
    LONGER = auto()
    """The response announces more bytes than it has."""
    SPOIL = auto()
    """One byte of the response, after `at`, is changed."""
    RESET_REQUEST = auto()
    """The connection is reset after `at` bytes of the request."""
    STALL_REQUEST = auto()
    """After `at` bytes of the request, no more bytes are read."""


@dataclass
class Fault:
    """A fault for the next `times` requests that contain `when`."""

    act: Act
    when: bytes = b""
    at: int = 0
    times: int = 1
    answer: bytes = b""


def answer(status: str, body: bytes = b"", kind: str = "application/xml") -> bytes:
    """Return a complete HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def s3_error(status: str, code: str) -> bytes:
    """Return an error response of S3."""
    return answer(status, f"<Error><Code>{code}</Code><Message>said by the test</Message></Error>".encode())


@dataclass
class FaultProxy:
    """Forwards connections to a port and causes its faults. `hits` is the number of faults caused so far."""

    target: int
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    hits: int = 0

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def fault_for(self, data: bytes) -> Fault | None:
        """Return the fault for a request, and count it as used."""
        for fault in self.faults:
            if fault.when in data and fault.times > 0:
                fault.times -= 1
                self.hits += 1
                return fault
        return None

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        connection = _Connection(self, writer, back)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.forward_requests(reader))
                group.create_task(connection.forward_responses(there))
        except* (ConnectionError, _OverError):
            pass
        finally:
            back.transport.abort()


class _OverError(Exception):
    """The connection has ended."""


class _Connection:
    def __init__(self, proxy: FaultProxy, client: StreamWriter, server: StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault: Fault | None = None
        self._passed = 0
        self._sent = 0

    async def forward_requests(self, reader: StreamReader) -> None:
        while data := await reader.read(65_536):
            if self._fault is None and (fault := self._proxy.fault_for(data)) is not None:
                self._fault, self._passed, self._sent = fault, 0, 0
            if self._fault is not None and self._fault.act is Act.ANSWER:
                self._client.write(self._fault.answer)
                await self._client.drain()
                raise _OverError
            self._sent += len(data)
            if self._fault is not None and self._fault.act is Act.RESET_REQUEST and self._sent > self._fault.at:
                self._reset()
            if self._fault is not None and self._fault.act is Act.STALL_REQUEST and self._sent > self._fault.at:
                await asyncio.Event().wait()
            self._server.write(data)
            await self._server.drain()
        raise _OverError

    async def forward_responses(self, reader: StreamReader) -> None:
        while data := await reader.read(65_536):
            self._client.write(await self._changed(data) if self._fault else data)
            await self._client.drain()
        raise _OverError

    async def _changed(self, data: bytes) -> bytes:
        assert self._fault is not None
        act, at = self._fault.act, self._fault.at
        before, self._passed = self._passed, self._passed + len(data)
        if act is Act.LONGER:
            return _LENGTH.sub(lambda found: found[1] + str(int(found[2]) + 10).encode(), data, count=1)
        if self._passed <= at or act in {Act.RESET_REQUEST, Act.STALL_REQUEST}:
            return data
        if act is Act.SPOIL:
            return data if before > at else data[:-1] + bytes([data[-1] ^ 0xFF])
        self._client.write(data[: at - before])
        await self._client.drain()
        if act is Act.RESET:
            self._reset()
        if act is Act.CUT:
            self._client.write_eof()
        if act is Act.STALL:
            await asyncio.Event().wait()
        raise _OverError

    def _reset(self) -> None:
        self._client.transport.abort()
        self._server.transport.abort()
        raise _OverError


@asynccontextmanager
async def breaking(target: int, *faults: Fault) -> AsyncIterator[FaultProxy]:
    """Run a proxy in front of a port of this machine."""
    proxy = FaultProxy(target, faults=list(faults))
    server = TcpServer(proxy.serve)
    await server.start()
    proxy.port = server.port
    try:
        yield proxy
    finally:
        await server.stop()
