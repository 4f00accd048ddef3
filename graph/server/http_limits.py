"""An HTTP protocol for uvicorn that adds the limits for headers, trailers and time that httptools lacks."""

import asyncio
import resource
import socket
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final

from adapters.http.streaming_response import FILE_PART
from adapters.recorders.embedded import HttpProtocol
from graph.server.file_sender import FileSender
from graph.subscriptions.stream_response import DEAD_PEER

MAX_HEAD: Final = 64 * 1024
"""Maximum size of a request line with headers, in bytes; exact up to the size of one read from the socket.

In a chunked body, the same limit applies to the bytes between two chunks and after the last one (chunk extensions and
trailers)."""
HEAD_SECONDS: Final = 10.0
"""Maximum time for a head (request line and headers), from the connection or from the head's first byte."""
BODY_SECONDS: Final = 120.0
"""Maximum time without any byte of an expected body. The upload endpoint has a shorter timeout of its own."""
RESPONSE_SECONDS: Final = 300.0
"""Maximum time without progress while more than 64 KiB of a response wait to be sent.

Waiting bytes are kept in memory. A paused player can continue later, from the same position, on another connection."""
MAX_CONNECTIONS: Final = 10_000
_IDLE: Final = "idle connections"


def raise_file_limit() -> None:
    """Raise the soft limit of open files as far as the maximum of connections needs. The default is often only 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = 2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MAX_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def max_connections() -> int:
    """Return the maximum number of connections: half of the files that the process may open.

    The other half is for audio, so that many new connections cannot stop a recording.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)


class LimitedHttpProtocol(HttpProtocol):
    """Closes a connection if its request or its client is too slow, or if there are too many connections.

    If there are too many, the connection that waits longest for a request is closed. So a client that only opens
    connections keeps no other client out. A connection with a request in progress is never closed for another one.

    Too slow means: the head does not arrive in time, the body stops, or the client does not read the response.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._bytes_outside_chunks = 0
        self._in_body = False
        self._last_read = 0.0
        self._request_timer: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Handle a new connection: expect the head of a request."""
        super().connection_made(transport)
        self._idle_connections()[self] = None
        self._expect_head()
        if len(self.connections) > max_connections():
            # If all others have a request, this is the connection itself.
            next(iter(self._idle_connections())).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count and parse received bytes, and check the limits."""
        if self._in_body:
            self._bytes_outside_chunks += len(data)
        else:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_body:
            self._last_read = self.loop.time()
            if self._bytes_outside_chunks > MAX_HEAD:
                # The rest is not a valid request, whether or not a response was sent.
                self.transport.close()
            elif self._request_timer is None:
                self._expect_body()
            return
        if not self._head_bytes:
            return
        if self._head_bytes > MAX_HEAD:
            self._close()
        elif self._request_timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Handle a header. Ignore trailers: no endpoint reads them, and they must not become headers."""
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Handle a part of a body."""
        self._bytes_outside_chunks = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Handle the end of a head."""
        self._in_body, self._head_bytes, self._bytes_outside_chunks = True, 0, 0
        self.scope["extensions"] = {DEAD_PEER: self._limit_unacknowledged}  # type: ignore[dict-item]
        if self.scheme == "http":
            self.scope["extensions"][FILE_PART] = {}
        self._idle_connections().pop(self, None)
        self._cancel_request_timer()
        super().on_headers_complete()
        # The head of a WebSocket begins no cycle.
        if FILE_PART in self.scope["extensions"] and getattr(self.cycle, "scope", None) is self.scope:
            # The task of the request has not started yet.
            self.cycle.send = FileSender(self.cycle, RESPONSE_SECONDS).send  # type: ignore[method-assign]

    def on_message_complete(self) -> None:
        """Handle the end of a request. Another one may follow on this connection."""
        self._in_body = False
        self._cancel_request_timer()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection."""
        self._idle_connections().pop(self, None)
        self._cancel_request_timer()
        self._cancel_response_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Handle the end of a response. The connection waits for the next request."""
        self._idle_connections()[self] = None
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            self._idle_connections().pop(self, None)

    def _idle_connections(self) -> "OrderedDict[LimitedHttpProtocol, None]":
        """Return this server's connections without a request, in the order in which they began to wait."""
        idle: OrderedDict[LimitedHttpProtocol, None] = self.app_state.setdefault(_IDLE, OrderedDict())
        return idle

    def pause_writing(self) -> None:
        """Handle a full write buffer: expect the client to read."""
        super().pause_writing()
        self._expect_progress(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Handle a write buffer that has space again."""
        super().resume_writing()
        self._cancel_response_timer()

    def _limit_unacknowledged(self, seconds: float | None) -> None:
        """Close the connection if the client acknowledges no sent bytes for so long; `None` for the system's limit.

        The system's limit is about a quarter of an hour: so long a vanished client would keep its stream.
        """
        connection = self.transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family in {socket.AF_INET, socket.AF_INET6}:
            with suppress(OSError, ValueError):  # the connection is closed
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int((seconds or 0) * 1_000))

    def _expect_head(self) -> None:
        self._request_timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _expect_body(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            # The connection is closed, or has become a WebSocket.
            return
        # While reading is paused on our side, the client is not at fault.
        silence = 0.0 if self.flow.read_paused else self.loop.time() - self._last_read
        if silence < BODY_SECONDS:
            self._request_timer = self.loop.call_later(BODY_SECONDS - silence, self._expect_body)
        else:
            self.transport.close()

    def _expect_progress(self, waiting: int) -> None:
        self._response_timer = self.loop.call_later(RESPONSE_SECONDS, self._check_progress, waiting)

    def _check_progress(self, before: int) -> None:
        # Writing is paused, so the buffer can only shrink.
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._expect_progress(waiting)
        else:
            # A normal close would wait until the client has read the buffer.
            self.transport.abort()

    def _cancel_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def _cancel_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response("The head of the request is too long, or took too long.")
