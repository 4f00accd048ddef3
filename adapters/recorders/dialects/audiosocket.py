"""Asterisk's AudioSocket over TCP, without I/O: any pieces of the connection in, typed events out.

A frame has a type (1 byte), a length (2 bytes, big-endian) and so many bytes. The first one has the UUID of the call.
Asterisk closes the connection at the end of the call, and sends no frame for it.

Source: `include/asterisk/res_audiosocket.h`
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from adapters.recorders.dialects.stream_events import (
    LEFT,
    Audio,
    Dtmf,
    Event,
    IgnoredMessages,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.stream_limits import ProtocolError, check_name
from recordings.ports.audio import Codec

HANG_UP: Final = 0x00
DTMF: Final = 0x03
ERROR: Final = 0xFF
HEADER: Final = 3
UUID_BYTES: Final = 16
_UUID_FRAME: Final = b"\x01\x00\x10"
RATES: Final = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Sampling rates (Hz) of the types of audio frames. The samples are L16, little-endian."""


class AudioSocketFrames:
    """One connection. `uuid` is set by the first frame. The first frame with audio starts the stream.

    `parameters` describe the call. They have its id as `call_id`, and are set once the UUID is known.
    """

    def __init__(self) -> None:
        self.uuid: UUID | None = None
        self.parameters: Mapping[str, str] = {}
        self._format: StreamFormat | None = None
        self._buffer = bytearray()
        self._ignored = IgnoredMessages()
        self._ended = False
        self._error: ProtocolError | None = None

    @property
    def is_invalid(self) -> bool:
        """Whether the next `receive` raises `ProtocolError`."""
        return self._error is not None

    @property
    def is_complete(self) -> bool:
        """Whether the last frame has arrived completely."""
        return not self._buffer

    def receive(self, data: bytes) -> Sequence[Event]:
        """Decode a piece of the connection, which may contain parts of frames.

        Raises:
            ProtocolError: the first frame is no UUID, or a frame is not allowed. If frames with events came before it,
                their events are returned, and the next call raises.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        if self.uuid is None:
            # The parameters of the call must be known before its audio is read.
            self._read_uuid()
            return ()
        events: list[Event] = []
        try:
            for kind, payload in self._frames():
                events += self._event(kind, payload)
        except ProtocolError as error:
            if not events:
                raise
            self._error = error
        return events

    def _read_uuid(self) -> None:
        if not _UUID_FRAME.startswith(self._buffer[:HEADER]):
            raise ProtocolError("the first frame must be a UUID of 16 bytes")
        if len(self._buffer) >= HEADER + UUID_BYTES:
            self.uuid = UUID(bytes=bytes(self._buffer[HEADER : HEADER + UUID_BYTES]))
            del self._buffer[: HEADER + UUID_BYTES]

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        while len(self._buffer) >= HEADER:
            end = HEADER + int.from_bytes(self._buffer[1:HEADER], "big")
            if len(self._buffer) < end:
                return
            kind, payload = self._buffer[0], bytes(self._buffer[HEADER:end])
            del self._buffer[:end]
            yield kind, payload

    def _event(self, kind: int, payload: bytes) -> Sequence[Event]:
        if self._ended:
            raise ProtocolError("a frame after the end of the call")
        if kind in RATES:
            return self._audio(StreamFormat(Codec.S16, RATES[kind], 1), payload)
        if kind in {HANG_UP, ERROR}:
            self._ended = True
            return (StreamStopped(),)
        if kind == DTMF:
            return (Dtmf(payload[:1].decode("ascii", "replace")),)
        return (self._ignored.ignore(f"0x{kind:02x}"),)

    def _audio(self, format: StreamFormat, payload: bytes) -> Sequence[Event]:
        if self._format not in {None, format}:
            raise ProtocolError(f"the sampling rate changed to {format.rate} Hz")
        if len(payload) % 2:
            raise ProtocolError("an audio frame has half a sample")
        self._ignored.reset()
        audio = Audio(LEFT, None, payload)
        if self._format is not None:
            return (audio,)
        self._format = format
        call_id = check_name("call_id", self.parameters.get("call_id", ""))
        return (StreamStarted(str(self.uuid), call_id, "", ("left",), self.parameters, format), audio)
