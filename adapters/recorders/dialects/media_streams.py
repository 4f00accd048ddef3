"""Twilio Media Streams, without I/O: WebSocket text messages in, typed events out.

Twilio documents the messages at https://www.twilio.com/docs/voice/media-streams/websocket-messages. A stream moves only
through the states of `TRANSITIONS`. An invalid message raises one `ProtocolError` that names the fault. After it, every
further message is an error. Events that Twilio adds in future are returned as `Ignored`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final, Literal

import msgspec

MAX_MESSAGE: Final = 65_536
"""Maximum length (characters) of a message. Twilio's messages have about 400; a frame of two seconds fits."""
MAX_IGNORED: Final = 1_000
"""Maximum number of unknown messages in a stream."""
MAX_NAME: Final = 128
"""Maximum length (characters) of the ids in a stream."""
SAMPLE_RATE: Final = 8_000
BYTES_PER_MS: Final = SAMPLE_RATE // 1_000
"""G.711 has one byte for each sample."""
MAX_TIMESTAMP: Final = 10**10
"""Milliseconds: about four months, longer than any call."""


class ProtocolError(Exception):
    """A message that the protocol does not allow. The text names the fault and never quotes audio."""


class State(Enum):
    """The state of a stream."""

    OPENED = auto()
    CONNECTED = auto()
    STARTED = auto()
    STOPPED = auto()
    BROKEN = auto()


class Side(IntEnum):
    """The side of a call on a track. The value is the track's index: left is the caller, right the callee."""

    INBOUND = 0
    OUTBOUND = 1


@dataclass(frozen=True, slots=True)
class Connected:
    """The sender confirmed the protocol."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The audio of a call begins. `parameters` are chosen by the sender (`<Parameter>` in TwiML)."""

    stream_id: str
    call_id: str
    account_sid: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str]


class Audio(msgspec.Struct, frozen=True, gc=False):
    """Mu-law bytes of one side. `timestamp_ms` counts from the start of the stream.

    A struct instead of a dataclass: each call creates a hundred a second, and a struct takes a tenth of the time.
    """

    side: Side
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """The caller's side has finished playing a sound."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key was pressed."""

    digit: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The audio of the call ended normally."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message with an unknown event name."""

    event: str


Event = Connected | StreamStarted | Audio | Mark | Dtmf | StreamStopped | Ignored


class _Format(msgspec.Struct):
    encoding: str
    sampleRate: int  # noqa: N815 - the name in the protocol
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

TRANSITIONS: Final[Mapping[tuple[State, type], State]] = {
    (State.OPENED, _ConnectedFrame): State.CONNECTED,
    (State.CONNECTED, _StartFrame): State.STARTED,
    (State.STARTED, _MediaFrame): State.STARTED,
    (State.STARTED, _MarkFrame): State.STARTED,
    (State.STARTED, _DtmfFrame): State.STARTED,
    (State.STARTED, _StopFrame): State.STOPPED,
}
"""The next state for each state and message. All other pairs are errors."""

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
    """One stream, from its first message to its last. Pass each message to `receive`."""

    def __init__(self) -> None:
        self.state = State.OPENED
        self._stream_id = ""
        self._ignored = 0
        # Not strict: Twilio sends numbers as texts.
        self._frames = msgspec.json.Decoder(_Frame, strict=False)
        self._anything = msgspec.json.Decoder(_AnyFrame)

    def receive(self, message: str) -> Event:
        """Decode a text message.

        Raises:
            ProtocolError: the message is too long, not JSON, not of this protocol, or not allowed in this state.
        """
        try:
            return self._event(message)
        except ProtocolError:
            self.state = State.BROKEN
            raise

    def _event(self, message: str) -> Event:
        if len(message) > MAX_MESSAGE:
            raise ProtocolError(f"the message has {len(message)} characters, at most {MAX_MESSAGE} are allowed")
        try:
            frame = self._frames.decode(message)
        except _MALFORMED as error:
            return self._ignore(message, error)
        # No look-up for the most frequent pair, which comes a hundred times a second.
        if self.state is not State.STARTED or not isinstance(frame, _MediaFrame):
            self._move(frame)
        return self._decode_audio(frame) if isinstance(frame, _MediaFrame) else self._decode_other(frame)

    def _move(self, frame: _Frame) -> None:
        next_state = TRANSITIONS.get((self.state, type(frame)))
        if next_state is None:
            raise ProtocolError(f"a {_TAGS[type(frame)]!r} message is not allowed when the stream is {self.state.name}")
        self.state = next_state

    def _decode_audio(self, frame: _MediaFrame) -> Audio:
        media = frame.media
        if frame.streamSid and frame.streamSid != self._stream_id:
            raise ProtocolError("streamSid of a media message differs from the stream's")
        if not media.payload:
            raise ProtocolError("media.payload is empty")
        if not 0 <= media.timestamp < MAX_TIMESTAMP:
            raise ProtocolError("media.timestamp must be the milliseconds since the start of the stream")
        return Audio(_SIDES[media.track], media.timestamp, media.payload)

    def _decode_other(self, frame: _Frame) -> Event:
        if isinstance(frame, _StartFrame):
            return self._started(frame.start)
        if isinstance(frame, _MarkFrame):
            return Mark(frame.mark.name)
        if isinstance(frame, _DtmfFrame):
            return Dtmf(frame.dtmf.digit)
        return Connected() if isinstance(frame, _ConnectedFrame) else StreamStopped()

    def _started(self, start: _Start) -> StreamStarted:
        format_ = start.mediaFormat
        if (format_.encoding, format_.sampleRate, format_.channels) != ("audio/x-mulaw", SAMPLE_RATE, 1):
            raise ProtocolError("start.mediaFormat must be audio/x-mulaw, 8000 Hz, 1 channel")
        call_id = start.customParameters.get("call_id") or start.callSid
        for name, identity in (("streamSid", start.streamSid), ("call_id", call_id)):
            if not (0 < len(identity) <= MAX_NAME and identity.isprintable()):
                raise ProtocolError(f"start.{name} must have 1 to {MAX_NAME} printable characters")
        self._stream_id = start.streamSid
        return StreamStarted(start.streamSid, call_id, start.accountSid, start.tracks, start.customParameters)

    def _ignore(self, message: str, error: Exception) -> Ignored:
        """Return `Ignored` for a well-formed message with an unknown event. Raise the error of any other message."""
        try:
            event = self._anything.decode(message).event
        except _MALFORMED:
            raise ProtocolError(f"not a Media Streams message: {error}") from error
        if event in _TAGS.values():
            raise ProtocolError(f"a malformed {event!r} message: {error}") from error
        self._ignored += 1
        if self.state in {State.STOPPED, State.BROKEN} or self._ignored > MAX_IGNORED:
            raise ProtocolError("too many unknown messages, or an unknown message after the end of the stream")
        return Ignored(event[:MAX_NAME])
