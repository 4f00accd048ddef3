"""HTTP on a connection: uvicorn's, with the bounds on what is around a request's body that it lacks on httptools."""

import asyncio
import resource
from typing import Any, Final

from adapters.recorders.embedded import HttpProtocol

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request's line and headers, to the precision of what is read from a socket at once; of a body in chunks
also those between two pieces of it, or behind the last one, where trailers and extensions are."""
HEAD_SECONDS: Final = 30.0
"""How long a head may take, from the connection or from its own first byte on."""
BODY_SECONDS: Final = 120.0
"""How long nothing of a body may come while it is waited for. Whoever takes files in is less patient, and says so."""
ANSWER_SECONDS: Final = 300.0
"""How long nothing of an answer may be taken while more than 64 KiB of it wait: what waits is kept in memory. A player
that is paused reads on later, from where it was, on another connection."""
MOST_CONNECTIONS: Final = 10_000


def take_files() -> None:
    """Have as many files open as it takes for that many connections, where the system lets us: it often says 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MOST_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many connections there may be: half of the files that may be open.

    The others are for the audio of those that are there: a stranger who connects must not be the end of a recording.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft // 2)


class BoundedHttp(HttpProtocol):
    """Closes connections whose request does not begin, does not come to the end of its head, or falls silent.

    And those whose answer nobody takes, and those that are too many.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._between = 0
        self._in_body = False
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected; a request has to follow."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of heads and bodies, as they come."""
        if self._in_body:
            self._between += len(data)
        else:
            self._head += len(data)
        super().data_received(data)
        if self._in_body:
            self._heard = self.loop.time()
            if self._between > MAX_HEAD:
                # Whatever was answered, if anything was, the rest of this is no request.
                self.transport.close()
            elif self._timer is None:
                self._expect_body()
            return
        if not self._head:
            return
        if self._head > MAX_HEAD:
            self._close()
        elif self._timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of a head. One behind a body (a trailer) is passed over: nobody asks for it, and it is no header."""
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        self._between = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """A head came to its end."""
        self._in_body, self._head, self._between = True, 0, 0
        self._forget_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request came to its end; another one may follow."""
        self._in_body = False
        self._forget_timer()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._forget_timer()
        self._forget_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """As much waits to be taken as may."""
        super().pause_writing()
        self._expect_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Most of it was taken."""
        super().resume_writing()
        self._forget_unread()

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _expect_body(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            # Over, or a WebSocket by now.
            return
        # What we do not read ourselves is not the sender's silence.
        silent = 0.0 if self.flow.read_paused else self.loop.time() - self._heard
        if silent < BODY_SECONDS:
            self._timer = self.loop.call_later(BODY_SECONDS - silent, self._expect_body)
        else:
            self.transport.close()

    def _expect_reader(self, waiting: int) -> None:
        self._unread = self.loop.call_later(ANSWER_SECONDS, self._check_reader, waiting)

    def _check_reader(self, before: int) -> None:
        # Nothing is written meanwhile, so it only gets less.
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._expect_reader(waiting)
        else:
            # A close would wait for them to be taken.
            self.transport.abort()

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response("The head of the request is too long, or took too long.")
