"""Twilio Media Streams, without I/O: WebSocket text messages in, typed events out.

The messages are those of https://www.twilio.com/docs/voice/media-streams/websocket-messages. A stream goes through the
states of `TABLE` and no others; whatever does not fit is one `ProtocolError` that says what was wrong, and after it
the connection takes nothing more. Events that Twilio may add one day are passed over as `Ignored`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final, Literal

import msgspec

MAX_MESSAGE: Final = 65_536
"""Characters of one message. Twilio's have about 400; a frame of two seconds still fits."""
MAX_IGNORED: Final = 1_000
"""How many messages that mean nothing a stream may have."""
MAX_NAME: Final = 128
"""Characters of the ids that a stream gives."""
SAMPLE_RATE: Final = 8_000
BYTES_PER_MS: Final = SAMPLE_RATE // 1_000
"""G.711 has one byte a sample."""
MAX_TIMESTAMP: Final = 10**10
"""Milliseconds; four months are more than any call has."""


class ProtocolError(Exception):
    """What came is not what the protocol allows; the message says what was wrong and never quotes audio."""


class State(Enum):
    """Where a stream is."""

    OPENED = auto()
    CONNECTED = auto()
    STARTED = auto()
    STOPPED = auto()
    BROKEN = auto()


class Side(IntEnum):
    """Who is heard on a track, as the track's index: left is the caller, right the callee."""

    INBOUND = 0
    OUTBOUND = 1


@dataclass(frozen=True, slots=True)
class Connected:
    """The other side speaks the protocol."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A call's audio begins. `parameters` are the sender's own (`<Parameter>` in TwiML)."""

    stream_id: str
    call_id: str
    account_sid: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str]


class Audio(msgspec.Struct, frozen=True, gc=False):
    """Mu-law bytes of one side; `timestamp_ms` counts from the stream's start.

    A struct and no dataclass: one is made a hundred times a second for each call, and this takes a tenth of the time.
    """

    side: Side
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was played to the caller is through."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key was pressed."""

    digit: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The call's audio ended as it should."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of a kind that this protocol does not know."""

    event: str


Event = Connected | StreamStarted | Audio | Mark | Dtmf | StreamStopped | Ignored


class _Format(msgspec.Struct):
    encoding: str
    sampleRate: int  # noqa: N815 - the names of the wire
    channels: int


class _Start(msgspec.Struct):
    streamSid: str  # noqa: N815
    callSid: str  # noqa: N815
    mediaFormat: _Format  # noqa: N815
    accountSid: str = ""  # noqa: N815
    tracks: tuple[str, ...] = ()
    customParameters: dict[str, str] = {}  # noqa: N815 - msgspec copies it


class _Media(msgspec.Struct, gc=False):
    track: Literal["inbound", "outbound"]
    timestamp: int
    payload: bytes


class _Mark(msgspec.Struct):
    name: str = ""


class _Dtmf(msgspec.Struct):
    digit: str = ""


class _ConnectedFrame(msgspec.Struct, tag_field="event", tag="connected"):
    protocol: str = ""


class _StartFrame(msgspec.Struct, tag_field="event", tag="start"):
    start: _Start


class _MediaFrame(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: _Media
    streamSid: str = ""  # noqa: N815


class _MarkFrame(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _Mark


class _DtmfFrame(msgspec.Struct, tag_field="event", tag="dtmf"):
    dtmf: _Dtmf


class _StopFrame(msgspec.Struct, tag_field="event", tag="stop"):
    streamSid: str = ""  # noqa: N815


class _AnyFrame(msgspec.Struct):
    event: str


_Frame = _ConnectedFrame | _StartFrame | _MediaFrame | _MarkFrame | _DtmfFrame | _StopFrame

TABLE: Final[Mapping[tuple[State, type], State]] = {
    (State.OPENED, _ConnectedFrame): State.CONNECTED,
    (State.CONNECTED, _StartFrame): State.STARTED,
    (State.STARTED, _MediaFrame): State.STARTED,
    (State.STARTED, _MarkFrame): State.STARTED,
    (State.STARTED, _DtmfFrame): State.STARTED,
    (State.STARTED, _StopFrame): State.STOPPED,
}
"""What may come when, and what then; all other pairs are errors."""

_TAGS: Final = {
    _ConnectedFrame: "connected",
    _StartFrame: "start",
    _MediaFrame: "media",
    _MarkFrame: "mark",
    _DtmfFrame: "dtmf",
    _StopFrame: "stop",
}
_SIDES: Final = {"inbound": Side.INBOUND, "outbound": Side.OUTBOUND}
_MALFORMED: Final = (msgspec.DecodeError, RecursionError, UnicodeError)


class MediaStream:
    """One stream, from the first message to the last. Feed it with `receive`."""

    def __init__(self) -> None:
        self.state = State.OPENED
        self._stream_id = ""
        self._ignored = 0
        # Not strict: numbers come as texts.
        self._frames = msgspec.json.Decoder(_Frame, strict=False)
        self._anything = msgspec.json.Decoder(_AnyFrame)

    def receive(self, message: str) -> Event:
        """What a text message says.

        Raises:
            ProtocolError: it is too long, not JSON, not of this protocol, or not due now.
        """
        try:
            return self._event(message)
        except ProtocolError:
            self.state = State.BROKEN
            raise

    def _event(self, message: str) -> Event:
        if len(message) > MAX_MESSAGE:
            raise ProtocolError(f"a message of {len(message)} characters; the most is {MAX_MESSAGE}")
        try:
            frame = self._frames.decode(message)
        except _MALFORMED as error:
            return self._ignore(message, error)
        # The pair of the table that comes a hundred times a second is not looked up.
        if self.state is not State.STARTED or not isinstance(frame, _MediaFrame):
            self._move(frame)
        return self._audio(frame) if isinstance(frame, _MediaFrame) else self._other(frame)

    def _move(self, frame: _Frame) -> None:
        after = TABLE.get((self.state, type(frame)))
        if after is None:
            raise ProtocolError(f"{_TAGS[type(frame)]!r} cannot come when the stream is {self.state.name}")
        self.state = after

    def _audio(self, frame: _MediaFrame) -> Audio:
        media = frame.media
        if frame.streamSid and frame.streamSid != self._stream_id:
            raise ProtocolError("audio of another stream")
        if not media.payload:
            raise ProtocolError("a media message without audio")
        if not 0 <= media.timestamp < MAX_TIMESTAMP:
            raise ProtocolError("media.timestamp is no number of milliseconds since the stream's start")
        return Audio(_SIDES[media.track], media.timestamp, media.payload)

    def _other(self, frame: _Frame) -> Event:
        if isinstance(frame, _StartFrame):
            return self._started(frame.start)
        if isinstance(frame, _MarkFrame):
            return Mark(frame.mark.name)
        if isinstance(frame, _DtmfFrame):
            return Dtmf(frame.dtmf.digit)
        return Connected() if isinstance(frame, _ConnectedFrame) else StreamStopped()

    def _started(self, start: _Start) -> StreamStarted:
        given = start.mediaFormat
        if (given.encoding, given.sampleRate, given.channels) != ("audio/x-mulaw", SAMPLE_RATE, 1):
            raise ProtocolError("start.mediaFormat must be audio/x-mulaw, 8000 Hz, 1 channel")
        call_id = start.customParameters.get("call_id") or start.callSid
        for name, identity in (("streamSid", start.streamSid), ("call_id", call_id)):
            if not (0 < len(identity) <= MAX_NAME and identity.isprintable()):
                raise ProtocolError(f"start.{name} must have 1 to {MAX_NAME} printable characters")
        self._stream_id = start.streamSid
        return StreamStarted(start.streamSid, call_id, start.accountSid, start.tracks, start.customParameters)

    def _ignore(self, message: str, error: Exception) -> Ignored:
        """A well-formed message of an unknown kind; anything else is the error that it was."""
        try:
            event = self._anything.decode(message).event
        except _MALFORMED:
            raise ProtocolError(f"not a message of Media Streams: {error}") from error
        if event in _TAGS.values():
            raise ProtocolError(f"a malformed {event!r} message: {error}") from error
        self._ignored += 1
        if self.state in {State.STOPPED, State.BROKEN} or self._ignored > MAX_IGNORED:
            raise ProtocolError("too many messages that mean nothing, or one after the end")
        return Ignored(event[:MAX_NAME])
