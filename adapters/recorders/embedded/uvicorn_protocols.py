"""Protocols for uvicorn that take little from a connection at a time.

An event loop hands over up to 256 KiB of a connection at once, and uvicorn collects 64 KiB and one such piece while the
one before is being written: 1.2 MiB for an upload at its peak, measured. With these it is 48 KiB being written, 48 KiB
waiting and 64 KiB while a piece is added; a stream that is not read holds less than that. Give them to
`uvicorn.Config(http=HttpProtocol, ws=WebSocketProtocol)`.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

READ: Final = 16_384
"""Bytes that are taken at once."""
WAITING: Final = 32_768
"""Bytes of a body that wait to be written before no more of it are taken; uvicorn has twice as many."""
UNREAD: Final = 65_536
"""Bytes that a stream may leave unread: it is told nothing but pongs and why it ends, so whoever reads has none."""
PIECES: Final = 1_024
"""Pieces of a message. Its bytes are bounded by `ws_max_size`, but a piece can have none."""

# What is read is copied out before anything else is read, in the one thread of the loop: one buffer serves all.
_BUFFER: Final = memoryview(bytearray(READ))


class _SmallReads(asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_BUFFER[:nbytes]))

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError


class HttpProtocol(HttpToolsProtocol, _SmallReads):
    """HTTP/1.1 as uvicorn has it, with less of a body waiting."""

    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        super().on_body(body)
        # After the answer nobody takes any more of it, so nobody would read on, either: what is left just passes.
        if not self.cycle.response_complete and len(self.cycle.body) > WAITING:
            self.flow.pause_reading()


class WebSocketProtocol(WebSocketsSansIOProtocol, _SmallReads):
    """WebSockets as uvicorn has them, cut off where they pile up here what the other side does not take."""

    def handle_ping(self) -> None:
        """A ping came, and is answered."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > UNREAD:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """One more piece of a message came."""
        super().handle_cont(event)
        if len(self.frames) > PIECES:
            self.transport.abort()
