"""Receives calls by AudioSocket: connects a TCP connection, its decoder and the recorder.

A connection is closed without a word if its first frame does not come in time or has no expected UUID, and while the
server drains or has too many streams.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from adapters.recorders.dialects.audiosocket import AudioSocketFrames
from adapters.recorders.dialects.stream_events import Event
from adapters.recorders.dialects.stream_limits import ProtocolError
from adapters.recorders.embedded.audiosocket_calls import AudioSocketCalls
from adapters.recorders.embedded.live_call import StreamEnd
from adapters.recorders.embedded.slot_shares import NoSlot, SlotShares
from adapters.recorders.embedded.stream_session import NORMAL, DirectRecorder, Disconnected, StreamHost
from recordings.model.recording import EndCause

_log: Final[Any] = structlog.get_logger("recorder")

FIRST_FRAME: Final = 5
"""Seconds in which the first frame must come."""
MAX_UNKNOWN: Final = 100
"""Maximum number of connections that have not sent a known UUID yet."""
UNKNOWN_SHARE: Final = 50
"""How many percent of these one client address may have."""
READ_SIZE: Final = 16_384
HANG_UP: Final = b"\x00\x00\x00"
"""The frame that ends a call from our side."""


class AudioSocketServer:
    """Listens on a bound socket. `is_draining` returns true while new calls are refused."""

    def __init__(self, host: StreamHost, calls: AudioSocketCalls, is_draining: Callable[[], bool] = bool) -> None:
        self._host = host
        self._calls = calls
        self._is_draining = is_draining
        self._server: asyncio.Server | None = None
        # Before its first frame, a connection belongs to no account.
        self._unknown = SlotShares("new AudioSocket connections", MAX_UNKNOWN, UNKNOWN_SHARE, "MAX_UNKNOWN")
        self._open: set[asyncio.Task[Any]] = set()

    async def start(self, listener: socket.socket) -> None:
        """Start to accept connections."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=READ_SIZE)

    async def stop(self) -> None:
        """Accept no more connections, and wait until the open ones have ended. The recorder ends their calls first."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        # Also a task that is cancelled before it begins closes its connection.
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._is_draining() and not self._host.is_full:
                await self._run(reader, writer)
        except NoSlot as no_slot:
            _log.info("audiosocket refused", reason=str(no_slot))

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = AudioSocketFrames()
        client = str((writer.get_extra_info("peername") or ("",))[0])
        with self._unknown.slot(client, client):
            await self._read_uuid(frames, reader)
        call = None if frames.uuid is None else self._calls.take(frames.uuid)
        if call is None or not await call.is_allowed():
            _log.info("audiosocket refused", reason="no expected UUID in the first frame")
            return
        frames.parameters = call.parameters
        connection = _TcpConnection(reader, frames)
        end = await self._host.run(connection, call.account_id, call.is_allowed, client)
        if end.cause is not EndCause.DISCONNECTED:
            with suppress(OSError):
                writer.write(HANG_UP)
                await writer.drain()

    @staticmethod
    async def _read_uuid(frames: AudioSocketFrames, reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError, ProtocolError, OSError):
            async with asyncio.timeout(FIRST_FRAME):
                while frames.uuid is None and (data := await reader.read(READ_SIZE)):
                    frames.receive(data)


class _TcpConnection:
    def __init__(self, reader: asyncio.StreamReader, frames: AudioSocketFrames) -> None:
        self._reader = reader
        self._frames = frames
        self._has_rest = True

    async def receive(self, _recorder: DirectRecorder | None) -> Sequence[Event]:
        if self._has_rest or self._frames.is_invalid:
            # The frames that arrived together with the UUID, or the error after the last frames.
            self._has_rest = False
            return self._frames.receive(b"")
        try:
            data = await self._reader.read(READ_SIZE)
        except OSError as error:
            raise Disconnected(StreamEnd(EndCause.DISCONNECTED, NORMAL, "the connection broke")) from error
        if not data:
            # Asterisk closes the connection at the end of the call. A part of a frame means that it broke.
            cause = EndCause.HANGUP if self._frames.is_complete else EndCause.DISCONNECTED
            raise Disconnected(StreamEnd(cause, NORMAL, "the connection was closed"))
        return self._frames.receive(data)

    def read_waiting(self) -> None:
        """Do nothing: no messages are gathered."""

    async def send(self, message: str) -> None:
        """Do nothing: no event of this dialect needs a reply."""
