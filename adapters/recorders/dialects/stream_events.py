"""The events that the decoders of media streams return. All dialects have the same events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.stream_limits import MAX_NAME, MessageCount

LEFT: Final = 0
RIGHT: Final = 1
"""Indexes of tracks. Left is the caller, right the callee. A stream of one track has only the first one."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The sender confirmed the protocol."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The audio of a call begins. `parameters` are chosen by the sender (`<Parameter>` in TwiML).

    If `continues`, the sender says that this stream replaces another one of the call, which may still be open.
    """

    stream_id: str
    call_id: str
    account_sid: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str]
    format: StreamFormat
    continues: bool = False


class Timed(Protocol):
    """Bytes of a track. `at_ms` counts from the start of the stream."""

    @property
    def at_ms(self) -> float | None:
        """`None` means that the bytes follow the last."""

    @property
    def payload(self) -> bytes:
        """The audio."""


class Audio(msgspec.Struct, frozen=True, gc=False):
    """Bytes of one track. `at_ms` counts from the start of the stream; `None` means that the bytes follow the last.

    A struct instead of a dataclass: each call creates a hundred a second, and a struct takes a tenth of the time.
    """

    track: int
    at_ms: float | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Paused:
    """The sender paused its stream. The next audio comes later in the stream's time."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """The sender discarded audio of this length. The next audio comes later in the stream's time."""

    at_ms: float
    duration_ms: float


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
    """The audio of the call ended normally. If it `reconnects`, another stream of the call follows soon."""

    reconnects: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that cannot be used."""

    event: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A message for the sender. The dialect requires it."""

    message: str


Event = Connected | StreamStarted | Audio | Paused | Discarded | Mark | Dtmf | StreamStopped | Ignored | Reply


class Decoder(Protocol):
    """Decodes the messages of one stream. It does no I/O."""

    closes_normally: bool
    """Whether a closed connection is the normal end of the call. Otherwise a message must announce the end."""

    def audio(self, message: bytes, is_text: bool, /) -> Sequence[Audio] | None:  # noqa: FBT001 - faster
        """Return the audio of a message in its usual form, as `receive` does. `None`: only `receive` can decode it."""

    def tracks(self, messages: Sequence[bytes], is_text: bool, /) -> Sequence[Sequence[Timed]] | None:  # noqa: FBT001
        """Return the audio of many messages by track, as `audio` does. `None`: decode each of them with `audio`."""

    def is_note(self, message: bytes, is_text: bool, /) -> bool:  # noqa: FBT001
        """Return true, and decode the message, if it is a `Mark` or a `Dtmf`. Otherwise only `receive` decodes it."""

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Decode a message.

        Raises:
            ProtocolError: the message is too long, not of this dialect, or not allowed at this point.
        """


class IgnoredMessages(MessageCount):
    """Makes the events of messages that cannot be used. It accepts only so many of them in a row."""

    def ignore(self, event: str) -> Ignored:
        """Return the event of an ignored message. Raise `ProtocolError` after too many in a row."""
        self.add(event)
        return Ignored(event[:MAX_NAME])
