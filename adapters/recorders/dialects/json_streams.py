"""Media streams in JSON messages with an `event`: Twilio's protocol, and its relatives with other names of fields.

Senders leave values out, write null or numbers as text, omit the padding of base64, or repeat messages. So a value that
the recording does not need never ends a stream:

- A `media` message without audio is an `Audio` without bytes. Without a usable timestamp, its audio follows the last.
- A message that cannot be used is `Ignored`: an unknown event, a payload that is not base64, audio before `start`. Only
  `MAX_IGNORED` of them in a row end the stream.
- A repeated `start` of the same call means that the timestamps start again. The format and the sides stay the same.

An invalid message raises one `ProtocolError` that names the fault: a message that is not a JSON object with an `event`,
an invalid `start`, and any message after the end. After it, every further message is an error.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec

from adapters.recorders.dialects.call_parties import LEG_TRACKS, tracks_of
from adapters.recorders.dialects.json_names import TRANSITIONS, Names, State, custom_parameters
from adapters.recorders.dialects.loose_json import parse_object, to_bytes, to_integer, to_object, to_text
from adapters.recorders.dialects.stream_events import (
    LEFT,
    Audio,
    Connected,
    Dtmf,
    Event,
    IgnoredMessages,
    Mark,
    StreamStarted,
    StreamStopped,
    Timed,
)
from adapters.recorders.dialects.stream_format import StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import MAX_MESSAGE, MAX_NAME, ProtocolError, check_name
from recordings.ports.audio import Codec

MAX_TIMESTAMP: Final = 2**53
"""Milliseconds. Some senders count from 1970."""


_STARTED: Final = State.STARTED
_ONE_TRACK: Final[Mapping[str, int]] = {"inbound": LEFT}
_MALFORMED: Final = (msgspec.DecodeError, RecursionError, UnicodeError)


class _Media(msgspec.Struct, gc=False):
    track: Literal["inbound", "outbound"]
    payload: bytes
    at_ms: Annotated[int, msgspec.Meta(ge=0, lt=MAX_TIMESTAMP)] = msgspec.field(name="timestamp")


class _Named(msgspec.Struct, gc=False):
    event: str


_decode_name: Final = msgspec.json.Decoder(_Named).decode
_NOTES: Final = frozenset({"mark", "dtmf"})


@cache
def _frame_decoder(stream_id: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a `media` message in its usual form. `stream_id` is the name of the field for the id."""
    fields: Sequence[tuple[str, Any, Any]] = [
        ("media", _Media, msgspec.NODEFAULT),
        ("stream_id", str, msgspec.field(name=stream_id, default="")),
    ]
    frame = msgspec.defstruct("Frame", fields, tag_field="event", tag="media", gc=False)
    # Not strict: Twilio sends numbers as texts.
    return msgspec.json.Decoder(frame, strict=False)


class JsonStream:
    """One stream, from its first message to its last. Pass each message to `receive`.

    `parameters` are those of the address. The sender's own parameters come before them.
    """

    closes_normally = False
    names: Names

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        self.state = State.OPENED
        self._parameters = parameters or {}
        self._format = self.names.default
        self._tracks = LEG_TRACKS
        self._stream_id = ""
        self._call_id = ""
        self._other_track: str | None = None
        self._last_at: list[float] = [0, 0]
        """The time and the length in ticks of the last audio of each track."""
        self._last_ticks = [0, 0]
        self._ignored = IgnoredMessages()
        self._has_ignored = False
        self._decode = _frame_decoder(self.names.stream_id).decode

    def audio(self, message: str | bytes, is_text: bool = True) -> Sequence[Audio] | None:  # noqa: ARG002, FBT001, FBT002
        """Return the audio of a `media` message in its usual form: a hundred come each second."""
        # The decoder does not check the encoding of values that it skips.
        if self.state is not _STARTED or len(message) > MAX_MESSAGE or not message.isascii():
            return None
        try:
            frame = self._decode(message)
        except _MALFORMED:
            return None
        media, stream_id = frame.media, frame.stream_id
        if stream_id and stream_id != self._stream_id:
            return None
        track = self._track(media.track)
        return None if track is None else (self._audio(track, media.at_ms, media.payload),)

    def tracks(self, messages: Sequence[bytes], is_text: bool = True, /) -> Sequence[Sequence[Timed]] | None:  # noqa: ARG002, FBT001, FBT002
        """Return the audio of `media` messages in their usual form by track: `audio` at half of its cost."""
        if self.state is not _STARTED or self._has_ignored or self._format.codec is Codec.OPUS:
            return None
        joined = b"".join(messages)
        # As in `audio`. More than this in one read is unusual, too.
        if len(joined) > MAX_MESSAGE or not joined.isascii():
            return None
        try:
            frames = [*map(self._decode, messages)]
        except _MALFORMED:
            return None
        found: tuple[list[_Media], list[_Media]] = ([], [])
        own, indexes = self._stream_id, self._tracks
        for frame in frames:
            media, stream_id = frame.media, frame.stream_id
            track = indexes.get(media.track)
            if track is None or (stream_id and stream_id != own):
                return None
            found[track].append(media)
        # `audio` would do the same again, if it decodes these messages after this.
        for track, medias in enumerate(found):
            if medias:
                self._last_at[track] = medias[-1].at_ms
                self._last_ticks[track] = len(medias[-1].payload) // self._format.width
        if found[indexes["inbound"]]:
            self._other_track = ""
        return found

    def is_note(self, message: bytes, is_text: bool = True, /) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Return true, and decode the message, if it is a `Mark` or a `Dtmf`."""
        if self.state is not _STARTED or len(message) > MAX_MESSAGE or not message.isascii():
            return False
        try:
            name = _decode_name(message).event
            return name in _NOTES and isinstance(self._event(message), Mark | Dtmf)
        except (*_MALFORMED, ProtocolError):
            return False

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Decode a message.

        Raises:
            ProtocolError: the message is too long, not JSON, not of this protocol, or not allowed in this state.
        """
        if (audio := self.audio(message)) is not None:
            return audio
        try:
            return (self._event(message),)
        except ProtocolError:
            self.state = State.BROKEN
            raise

    def _audio(self, track: int, at_ms: float, payload: bytes) -> Audio:
        if self._has_ignored:
            self._ignored.reset()
            self._has_ignored = False
        self._last_at[track], self._last_ticks[track] = at_ms, self._format.ticks(payload)
        return Audio(track, at_ms, payload)

    def _end_ms(self, track: int) -> float:
        """Return the time at which the last audio of a track ended."""
        return self._last_at[track] + self._last_ticks[track] * 1_000 / self._format.ticks_per_second

    def _ignore(self, event: str) -> Event:
        self._has_ignored = True
        return self._ignored.ignore(event)

    def _event(self, text: str | bytes) -> Event:
        message = parse_object(text)
        event = message.get("event")
        if not isinstance(event, str):
            raise ProtocolError("not a media stream message: it has no event")
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
        stream_id = to_text(message.get(self.names.stream_id))
        track = self._any_track(to_text(body.get("track")))
        payload = to_bytes(body.get("payload"))
        if track is None or payload is None or (stream_id and self._stream_id and stream_id != self._stream_id):
            return self._ignore("media")
        timestamp = to_integer(body.get("timestamp"))
        if timestamp is None or not 0 <= timestamp < MAX_TIMESTAMP:
            return self._audio(track, self._end_ms(track), payload)
        return self._audio(track, timestamp, payload)

    def _any_track(self, track: str) -> int | None:
        """Return the index of a track with an unusual name; `None` for a second such track, such as a mix of both.

        The first such track is that of the leg's own party, until a track has the usual name.
        """
        name = track.strip().lower().removesuffix("_track") or "inbound"
        if name in self._tracks:
            return self._track(name)
        if self._other_track is None:
            self._other_track = name
        return self._tracks["inbound"] if name == self._other_track else None

    def _track(self, name: str) -> int | None:
        if name == "inbound":
            self._other_track = ""
        return self._tracks.get(name)

    def _start(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Event:
        names = self.names
        described = {name: text for field, name in names.call.items() if (text := to_text(body.get(field)))}
        parameters = {**self._parameters, **described, **custom_parameters(body.get(names.parameters))}
        stream_id = to_text(body.get(names.stream_id)) or to_text(message.get(names.stream_id))
        call_id = parameters.get("call_id") or to_text(body.get(names.call_id))
        if self.state is State.STARTED and call_id != self._call_id:
            if body:
                raise ProtocolError("a second call in one stream")
            return self._ignore("start")
        format = self._format_of(to_object(body.get(names.media_format)))
        if self.state is not State.STARTED:
            self._tracks = _ONE_TRACK if format.tracks == 1 else tracks_of(parameters.get("direction"))
        elif format != self._format:
            # The takes have the first format. A new stream of the call may have another one.
            raise ProtocolError(f"start.{names.media_format} changed within the stream")
        self._format = format
        self._stream_id = check_name(f"start.{names.stream_id}", stream_id, 0)
        self._call_id = check_name("start.call_id", call_id)
        self.state = State.STARTED
        given = body.get("tracks")
        tracks = tuple(name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str))
        account_id = to_text(body.get(names.account_id))
        return StreamStarted(stream_id, call_id, account_id, tracks, parameters, self._format)

    def _format_of(self, given: Mapping[str, Any]) -> StreamFormat:
        """Return the format of a stream. A missing value is that of the last `start`, or of the dialect."""
        field = f"start.{self.names.media_format}"
        channels, rate = given.get("channels"), given.get(self.names.sample_rate)
        if channels is not None and to_integer(channels) != 1:
            raise ProtocolError(f"{field}.channels is {str(channels)[:32]!r}; each track must have 1 channel")
        rate_number = None if rate is None else to_integer(rate) or 0
        return format_of(to_text(given.get("encoding")), rate_number, self._format, field)
