"""Send parts of files to a connection without a copy in this process."""

import asyncio
import os
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from adapters.http.streaming_response import FILE_PART
from recordings.ports.audio import FilePart

AT_ONCE: Final = 2 << 20
"""Maximum bytes in one call (about a millisecond). The event loop does nothing else until a fast client has them."""


class FileSender:
    """The `send` of one request, which also accepts the message `FILE_PART`.

    uvloop has no `sendfile`, so this class writes to the socket of the transport, after the transport's own buffer.
    """

    def __init__(self, cycle: RequestResponseCycle, seconds: float) -> None:
        """Abort the connection if the client reads nothing for `seconds`."""
        self._cycle = cycle
        self._seconds = seconds
        self._send = cycle.send

    async def send(self, message: Any) -> None:
        """Send one ASGI message."""
        if message["type"] != FILE_PART:
            await self._send(message)
            return
        part: FilePart = message["part"]
        self._cycle.expected_content_length -= len(part)
        await self._empty_buffer()
        if self._cycle.disconnected:
            return
        try:
            await _Transmission(self._cycle.transport, part).run(self._seconds)
        except (ConnectionError, TimeoutError):
            # The transport does not know it yet.
            self._cycle.transport.abort()

    async def _empty_buffer(self) -> None:
        transport = self._cycle.transport
        # uvloop writes at the end of a turn of the loop. The pause also lets other tasks run.
        await asyncio.sleep(0)
        if not transport.get_write_buffer_size():
            return
        transport.set_write_buffer_limits(0)
        try:
            await self._cycle.flow.drain()
        finally:
            transport.set_write_buffer_limits()


class _Transmission:
    """Sends one part from callbacks for a writable socket. A task for each piece would need more CPU time."""

    def __init__(self, transport: asyncio.Transport, part: FilePart) -> None:
        self._loop = asyncio.get_running_loop()
        self._part = part
        # An event loop does not watch the descriptor of a transport for others.
        self._socket = os.dup(transport.get_extra_info("socket").fileno())
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self, seconds: float) -> None:
        """Send the part. Raise `TimeoutError` if the client reads nothing for so long."""
        try:
            self._write()
            if not self._done.done():
                await self._wait(seconds)
            self._done.result()
        finally:
            os.close(self._socket)

    async def _wait(self, seconds: float) -> None:
        self._loop.add_writer(self._socket, self._write)
        self._timer = self._loop.call_later(seconds, self._check, seconds, self._part.sent)
        try:
            await self._done
        finally:
            self._timer.cancel()
            self._loop.remove_writer(self._socket)

    def _check(self, seconds: float, before: int) -> None:
        if self._part.sent == before:
            self._fail(TimeoutError())
        else:
            self._timer = self._loop.call_later(seconds, self._check, seconds, self._part.sent)

    def _write(self) -> None:
        part = self._part
        most = min(len(part) - part.sent, AT_ONCE)
        try:
            sent = os.sendfile(self._socket, part.file.fileno(), part.start + part.sent, most)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        part.sent += sent
        if not sent:
            self._fail(EOFError("the file became shorter while it was sent"))
        elif part.sent == len(part) and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)
