"""uvicorn protocols that read little from a connection at a time.

An event loop passes up to 256 KiB of a connection to uvicorn at once. While one piece is being written, uvicorn buffers
64 KiB and one such piece: 1.2 MiB for an upload at its peak, measured. With these protocols it is 48 KiB being written,
48 KiB waiting and 64 KiB while a piece is added. A stream that is not read holds less than that. Pass them to
`uvicorn.Config(http=HttpProtocol, ws=WebSocketProtocol)`.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

READ_SIZE: Final = 16_384
"""Maximum number of bytes in one read."""
MAX_BUFFERED_BODY: Final = 32_768
"""When more bytes of a body wait for the app, reading stops. uvicorn's own value is twice as large."""
MAX_UNREAD: Final = 65_536
"""Maximum number of sent bytes that a stream's client has not read. The server sends only pongs and a close frame, so
the buffer of a healthy client stays empty."""
MAX_FRAGMENTS: Final = 1_024
"""Maximum number of fragments in a message. `ws_max_size` limits the bytes, but a fragment can be empty."""

# One buffer serves all connections: the loop has one thread, and each read is copied before the next read.
_BUFFER: Final = memoryview(bytearray(READ_SIZE))


class _SmallReads(asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_BUFFER[:nbytes]))

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError


class HttpProtocol(HttpToolsProtocol, _SmallReads):
    """uvicorn's HTTP/1.1 protocol with a smaller body buffer."""

    def on_body(self, body: bytes) -> None:
        """Buffer a piece of a body; stop reading if the buffer is full."""
        super().on_body(body)
        # After the response the app reads no more, so nothing would resume reading: the rest of the body is dropped.
        if not self.cycle.response_complete and len(self.cycle.body) > MAX_BUFFERED_BODY:
            self.flow.pause_reading()


class WebSocketProtocol(WebSocketsSansIOProtocol, _SmallReads):
    """uvicorn's WebSocket protocol. It aborts a connection that fills this server's memory.

    It sends a ping only after `ping_interval` seconds without data. A late pong is no fault while data arrives, or
    while this server does not read.
    """

    _last_data = 0.0

    def data_received(self, data: bytes) -> None:
        """Handle data."""
        self._last_data = self.loop.time()
        super().data_received(data)

    def send_keepalive_ping(self) -> None:
        """Send a ping if the client is silent."""
        assert self.ping_interval is not None  # noqa: S101 - uvicorn calls this only with an interval
        silence = self.loop.time() - self._last_data
        if self.read_paused or silence < self.ping_interval:
            wait = self.ping_interval - (0.0 if self.read_paused else silence)
            self.ping_timer = self.loop.call_later(wait, self.send_keepalive_ping)
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close the connection if the client has sent nothing since the ping."""
        if self.read_paused or self._last_data > self.ping_sent_at:
            self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def handle_ping(self) -> None:
        """Answer a ping; abort the connection if the client does not read the pongs."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to a message; abort the connection if the message has too many."""
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.transport.abort()
