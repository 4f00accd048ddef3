"""Twilio Media Streams, without I/O: WebSocket messages in, typed events out.

Twilio documents the messages at https://www.twilio.com/docs/voice/media-streams/websocket-messages. Other senders leave
values out, write null or numbers as text, omit the padding of base64, or repeat messages. So a value that the recording
does not need never ends a stream:

- A `media` message without audio is an `Audio` without bytes. Without a usable timestamp, its audio follows the last.
- A message that cannot be used is `Ignored`: an unknown event, a payload that is not base64, audio before `start`. Only
  `MAX_IGNORED` of them in a row end the stream.
- A repeated `start` of the same call means that the timestamps start again.

An invalid message raises one `ProtocolError` that names the fault: a message that is not a JSON object with an `event`,
an invalid `start`, and any message after the end. After it, every further message is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Any, Final, Literal

import msgspec

from adapters.recorders.dialects.loose_json import to_bytes, to_integer, to_object, to_text

MAX_MESSAGE: Final = 65_536
"""Maximum length (characters) of a message. Twilio's messages have about 400; a frame of two seconds fits."""
MAX_IGNORED: Final = 1_000
"""Maximum number of messages in a row that cannot be used."""
MAX_NAME: Final = 128
"""Maximum length (characters) of the ids in a stream."""
SAMPLE_RATE: Final = 8_000
BYTES_PER_MS: Final = SAMPLE_RATE // 1_000
"""G.711 has one byte for each sample."""
MAX_TIMESTAMP: Final = 2**53
"""Milliseconds. Some senders count from 1970."""


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
    """A message that cannot be used."""

    event: str


Event = Connected | StreamStarted | Audio | Mark | Dtmf | StreamStopped | Ignored


_FORMATS: Final = frozenset({"audio/x-mulaw", "audio/mulaw", "audio/pcmu", "mulaw", "ulaw", "pcmu"})
"""The names that senders give to G.711 mu-law."""

TRANSITIONS: Final[Mapping[tuple[State, str], State]] = {
    (State.OPENED, "connected"): State.CONNECTED,
    (State.OPENED, "start"): State.STARTED,
    (State.OPENED, "stop"): State.STOPPED,
    (State.CONNECTED, "connected"): State.CONNECTED,
    (State.CONNECTED, "start"): State.STARTED,
    (State.CONNECTED, "stop"): State.STOPPED,
    (State.STARTED, "connected"): State.STARTED,
    (State.STARTED, "start"): State.STARTED,
    (State.STARTED, "media"): State.STARTED,
    (State.STARTED, "mark"): State.STARTED,
    (State.STARTED, "dtmf"): State.STARTED,
    (State.STARTED, "stop"): State.STOPPED,
}
"""The next state for each state and event. Any other event is ignored; after the end of the stream it is an error."""

_SIDES: Final = frozenset({"inbound", "outbound"})
_MALFORMED: Final = (msgspec.DecodeError, RecursionError, UnicodeError)


class _Media(msgspec.Struct, gc=False):
    track: Literal["inbound", "outbound"]
    timestamp: int
    payload: bytes


class _MediaFrame(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: _Media
    streamSid: str = ""  # noqa: N815 - the name in the protocol


class MediaStream:
    """One stream, from its first message to its last. Pass each message to `receive`."""

    def __init__(self) -> None:
        self.state = State.OPENED
        self._stream_id = ""
        self._call_id = ""
        self._other_track: str | None = None
        self._ends = [0, 0]
        self._ignored = 0
        # Not strict: Twilio sends numbers as texts.
        self._frames = msgspec.json.Decoder(_MediaFrame, strict=False)

    def receive(self, message: str | bytes) -> Event:
        """Decode a message.

        Raises:
            ProtocolError: the message is too long, not JSON, not of this protocol, or not allowed in this state.
        """
        if self.state is State.STARTED and len(message) <= MAX_MESSAGE:
            # Nearly all messages are audio in its usual form: a hundred come each second.
            try:
                frame = self._frames.decode(message)
                media = frame.media
                if (frame.streamSid == self._stream_id or not frame.streamSid) and 0 <= media.timestamp < MAX_TIMESTAMP:
                    return self._audio(self._side(media.track), media.timestamp, media.payload)
            except _MALFORMED:
                pass
        try:
            return self._event(message)
        except ProtocolError:
            self.state = State.BROKEN
            raise

    def _audio(self, side: Side, timestamp_ms: int, payload: bytes) -> Audio:
        self._ignored = 0
        self._ends[side] = timestamp_ms + len(payload) // BYTES_PER_MS
        return Audio(side, timestamp_ms, payload)

    def _event(self, text: str | bytes) -> Event:
        if len(text) > MAX_MESSAGE:
            raise ProtocolError(f"the message has {len(text)} characters, at most {MAX_MESSAGE} are allowed")
        try:
            message = msgspec.json.decode(text)
        except _MALFORMED as error:
            raise ProtocolError(f"not a Media Streams message: {error}") from error
        event = to_object(message).get("event")
        if not isinstance(event, str):
            raise ProtocolError("not a Media Streams message: it has no event")
        if self.state in {State.STOPPED, State.BROKEN}:
            raise ProtocolError(f"a {event[:MAX_NAME]!r} message after the end of the stream")
        next_state = TRANSITIONS.get((self.state, event))
        if next_state is None:
            return self._ignore(event)
        body = to_object(message.get(event))
        if event == "start":
            return self._start(message, body)
        self.state = next_state
        if event == "media":
            return self._media(message, body)
        if event == "mark":
            return Mark(to_text(body.get("name")))
        if event == "dtmf":
            return Dtmf(to_text(body.get("digit")))
        return Connected() if event == "connected" else StreamStopped()

    def _media(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Event:
        stream_id = to_text(message.get("streamSid"))
        side = self._other_side(to_text(body.get("track")))
        payload = to_bytes(body.get("payload"))
        if side is None or payload is None or (stream_id and self._stream_id and stream_id != self._stream_id):
            return self._ignore("media")
        timestamp = to_integer(body.get("timestamp"))
        if timestamp is None or not 0 <= timestamp < MAX_TIMESTAMP:
            timestamp = self._ends[side]
        return self._audio(side, timestamp, payload)

    def _other_side(self, track: str) -> Side | None:
        """Return the side of a track with an unusual name; `None` for a second such track, such as a mix of both sides.

        The first such track is the caller's, until a track has the usual name.
        """
        name = track.strip().lower().removesuffix("_track") or "inbound"
        if name in _SIDES:
            return self._side(name)
        if self._other_track is None:
            self._other_track = name
        return Side.INBOUND if name == self._other_track else None

    def _side(self, track: str) -> Side:
        if track == "outbound":
            return Side.OUTBOUND
        self._other_track = ""
        return Side.INBOUND

    def _start(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Event:
        parameters = _parameters(body.get("customParameters"))
        stream_id = to_text(body.get("streamSid")) or to_text(message.get("streamSid"))
        call_id = parameters.get("call_id") or to_text(body.get("callSid"))
        if self.state is State.STARTED and call_id != self._call_id:
            if body:
                raise ProtocolError("a second call in one stream")
            return self._ignore("start")
        _check_format(to_object(body.get("mediaFormat")))
        for name, identity, least in (("streamSid", stream_id, 0), ("call_id", call_id, 1)):
            if not (least <= len(identity) <= MAX_NAME and (identity.isprintable())):
                raise ProtocolError(f"start.{name} must have {least} to {MAX_NAME} printable characters")
        self.state = State.STARTED
        self._stream_id, self._call_id = stream_id, call_id
        given = body.get("tracks")
        tracks = tuple(name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str))
        return StreamStarted(stream_id, call_id, to_text(body.get("accountSid")), tracks, parameters)

    def _ignore(self, event: str) -> Ignored:
        self._ignored += 1
        if self._ignored > MAX_IGNORED:
            raise ProtocolError(f"more than {MAX_IGNORED} messages in a row cannot be used, the last is {event[:32]!r}")
        return Ignored(event[:MAX_NAME])


def _check_format(given: Mapping[str, Any]) -> None:
    """Raise `ProtocolError` for a format other than mu-law, 8000 Hz, 1 channel. A missing value is the usual one."""
    encoding = to_text(given.get("encoding")).partition(";")[0].strip().lower()
    is_usual = encoding in _FORMATS or not encoding
    for name, expected in (("sampleRate", SAMPLE_RATE), ("channels", 1)):
        is_usual = is_usual and (given.get(name) is None or to_integer(given[name]) == expected)
    if not is_usual:
        raise ProtocolError("start.mediaFormat must be audio/x-mulaw, 8000 Hz, 1 channel")


def _parameters(given: Any) -> Mapping[str, str]:
    """Return the custom parameters: of an object, or of a list of objects with `name` and `value`."""
    if isinstance(given, list):
        given = {to_text(item.get("name")): item.get("value") for item in map(to_object, given)}
    return {name: to_text(value) for name, value in to_object(given).items() if name and value is not None}
