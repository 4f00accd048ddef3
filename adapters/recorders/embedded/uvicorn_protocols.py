"""uvicorn protocols that read little from a connection at a time.

An event loop passes up to 256 KiB of a connection to uvicorn at once. While one piece is being written, uvicorn buffers
64 KiB and one such piece: 1.2 MiB for an upload at its peak, measured. With these protocols it is 48 KiB being written,
48 KiB waiting and 64 KiB while a piece is added. A stream that is not read holds less than that. uvloop reads up to 256
KiB for these classes, too, because each is also an `asyncio.Protocol`: there, only the smaller body buffer has an
effect. Pass them to `uvicorn.Config(http=HttpProtocol, ws=WebSocketProtocol)`.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from adapters.recorders.embedded.frame_reader import OTHER, TEXT, FrameReader
from adapters.recorders.embedded.gathered_reads import READ_SIZE, GatheredReads, read_now

MAX_BUFFERED_BODY: Final = 32_768
"""When more bytes of a body wait for the app, reading stops. uvicorn's own value is twice as large."""
MAX_UNREAD: Final = 65_536
"""Maximum number of bytes in pongs that a client has not read. The buffer of a healthy client is often empty."""
ABORT_SECONDS: Final = 15.0
"""Seconds between the end of the app and that of the connection. uvicorn waits 10 s for the client's close frame."""
DIRECT_MESSAGES: Final = "recordings.direct_messages"
"""The name of the ASGI extension for messages that are read and written without a task."""
MAX_FRAGMENTS: Final = 1_024
"""Maximum number of fragments in a message. `ws_max_size` limits the bytes, but a fragment can be empty."""

OnMessages = Callable[[int, Sequence[bytes]], int]
"""Handles messages of an opcode, and returns how many of them."""

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

    The app can set `on_messages`. It gets the messages of one read at once, without a queue and a task, unless another
    message waits for the app. It returns how many of them it has handled; the others come to the app in the usual way.
    With `gathered_reads`, the kernel gathers messages for `on_messages` until the next common read.
    """

    _last_data = 0.0
    _unread_pongs = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_messages: OnMessages | None = None
        self.gathered_reads: GatheredReads | None = None
        self._gathered_file: int | None = None
        """The file descriptor while the event loop does not read the connection."""
        self._reader = FrameReader(self.config.ws_max_size)

    def data_received(self, data: bytes) -> None:
        """Handle the request, which is the first data, or frames."""
        self._last_data = self.loop.time()
        if not self.handshake_initiated:
            super().data_received(data)
            return
        for opcode, contents in self._reader.receive(data):
            if opcode == OTHER:
                super().data_received(contents[0])
            else:
                self._deliver(opcode, contents)
        if self._gathered_file is None and len(data) < READ_SIZE and self._may_gather:
            self._gather()

    @property
    def _may_gather(self) -> bool:
        """Whether the messages of this connection are handled without the app."""
        is_direct = self.on_messages is not None and self.gathered_reads is not None
        return is_direct and not self.read_paused and not self.transport.is_closing()

    def _gather(self) -> None:
        """Let `gathered_reads` read this connection in place of the event loop, which cannot gather messages."""
        if self.gathered_reads is not None and not is_ssl(self.transport):
            self.transport.pause_reading()
            self._gathered_file = self.transport.get_extra_info("socket").fileno()
            self.gathered_reads.add(self._gathered_file, self)

    def read_waiting(self) -> None:
        """Read the bytes that wait, if the event loop does not. After anything unusual, it does again."""
        if self._gathered_file is None:
            return
        data = read_now(self._gathered_file) if self._may_gather else b""
        if data is None:
            return
        if data:
            try:
                self.data_received(data)
            except Exception as error:  # noqa: BLE001 - as the event loop does
                # Otherwise the streams after this one would not be read.
                message = "Fatal error: a stream could not be read"
                self.loop.call_exception_handler({"message": message, "exception": error, "protocol": self})
                self.transport.abort()
                return
            # A sender that sends more is faster than real time.
            if self._may_gather and len(data) < READ_SIZE:
                return
        self._leave()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _leave(self) -> None:
        if self._gathered_file is not None and self.gathered_reads is not None:
            self.gathered_reads.remove(self._gathered_file)
            self._gathered_file = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop reading, because the event loop closes the file descriptor after this."""
        self._leave()
        super().connection_lost(exc)

    def _deliver(self, opcode: int, messages: Sequence[bytes]) -> None:
        handled = 0
        if self.on_messages is not None and self.queue.empty():
            handled = self.on_messages(opcode, messages)
        if handled == len(messages):
            return
        handle = self.handle_text if opcode == TEXT else self.handle_bytes
        for content in messages[handled:]:
            handle(Frame(Opcode(opcode), content))

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
        before = self.transport.get_write_buffer_size()
        super().handle_ping()
        # What the app sends has a limit of its own: it waits while the buffer is full.
        pong = self.transport.get_write_buffer_size() - before
        self._unread_pongs = self._unread_pongs + pong if before else pong
        if self._unread_pongs > MAX_UNREAD:
            self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake. The app gets this object, with which it needs no task for a message."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][DIRECT_MESSAGES] = self  # type: ignore[assignment]

    @property
    def is_writable(self) -> bool:
        """False if the client must read first, or if the socket is not open."""
        is_open = self.handshake_complete and not self.close_sent and not self.disconnected
        return is_open and self.writable.is_set() and not self.transport.is_closing()

    def write_text(self, message: bytes) -> None:
        """Write a text message. The socket must be writable."""
        self.conn.send_text(message)
        self.transport.write(b"".join(self.conn.data_to_send()))

    async def send(self, message: Any) -> None:
        """Send a message when there is space in the buffer; close the socket at once."""
        if message["type"] == "websocket.close":
            # Otherwise a client that does not read could not be disconnected.
            self.writable.set()
        await super().send(message)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Handle the end of the app: the client has `ABORT_SECONDS` to read the rest."""
        super().on_task_complete(task)
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to a message; abort the connection if the message has too many."""
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.transport.abort()
