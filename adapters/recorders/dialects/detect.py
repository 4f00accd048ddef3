"""Find the dialect of a stream by its address, its handshake, or its first messages.

The order: the parameter `dialect` of the address, the subprotocol, the headers, then the first message. Two messages
are needed if the first one is only `connected`: the names in `start` decide.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.recorders.dialects.asterisk_websocket import AsteriskStream
from adapters.recorders.dialects.audiohook import AudioHookStream
from adapters.recorders.dialects.declared_stream import DeclaredStream, is_declared
from adapters.recorders.dialects.exotel import ExotelStream
from adapters.recorders.dialects.jambonz import JambonzStream
from adapters.recorders.dialects.loose_json import parse_object, to_object
from adapters.recorders.dialects.plivo import PlivoStream
from adapters.recorders.dialects.stream_events import Audio, Decoder, Event, Timed
from adapters.recorders.dialects.stream_limits import ProtocolError, UnknownDialect
from adapters.recorders.dialects.telnyx import TelnyxStream
from adapters.recorders.dialects.twilio import TwilioStream
from adapters.recorders.dialects.vonage import VonageStream

DIALECTS: Final[Mapping[str, Callable[[Mapping[str, str]], Decoder]]] = {
    "twilio": TwilioStream,
    "signalwire": TwilioStream,
    "telnyx": TelnyxStream,
    "plivo": PlivoStream,
    "exotel": ExotelStream,
    "vonage": VonageStream,
    "jambonz": JambonzStream,
    "freeswitch": DeclaredStream,
    "asterisk": AsteriskStream,
    "audiohook": AudioHookStream,
}
"""The decoders, by the value of the parameter `dialect`."""
SUBPROTOCOLS: Final = {"audio.jambonz.org": "jambonz", "audio.drachtio.org": "freeswitch", "media": "asterisk"}
"""Subprotocols that only one dialect has. A server must select a subprotocol if the client offers some."""
SESSION_HEADER: Final = "audiohook-session-id"
_UNDECIDED: Final = frozenset({"connected", "media", "mark", "dtmf", "stop"})
"""Events that do not tell the dialect."""
_ADVICE: Final = "For L16 without a description, the address must have rate and channels"
_START_NAMES: Final[Sequence[tuple[AbstractSet[str], Callable[[Mapping[str, str]], Decoder]]]] = (
    ({"streamSid", "callSid"}, TwilioStream),
    ({"call_control_id"}, TelnyxStream),
    ({"stream_sid", "call_sid"}, ExotelStream),
    ({"streamId", "callId"}, PlivoStream),
)

AudioOf = Callable[[bytes, bool], Sequence[Audio] | None]
"""`Decoder.audio`."""
TracksOf = Callable[[Sequence[bytes], bool], Sequence[Sequence[Timed]] | None]
"""`Decoder.tracks`."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The parts of a WebSocket handshake that can tell the dialect. Names of headers are in lower case."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to select; `None` if the client offers none that is known."""
        return next((name for name in self.subprotocols if name in SUBPROTOCOLS), None)

    @property
    def dialect(self) -> str | None:
        """The dialect that the handshake names."""
        if self.subprotocol is not None:
            return SUBPROTOCOLS[self.subprotocol]
        return "audiohook" if SESSION_HEADER in self.headers else None


class AnyStream:
    """A stream whose dialect is found by its handshake or by its first messages."""

    def __init__(self, handshake: Handshake | None = None) -> None:
        """Raise `UnknownDialect` if the address names a dialect that does not exist."""
        handshake = handshake or Handshake()
        named = handshake.parameters.get("dialect")
        if named is not None and named not in DIALECTS:
            raise UnknownDialect(f"dialect must be {', '.join(DIALECTS)}, not {named[:32]!r}")
        self._parameters = {name: value for name, value in handshake.parameters.items() if name != "dialect"}
        self._is_declared = is_declared(self._parameters)
        dialect = named or handshake.dialect
        if dialect == "freeswitch" and not named and not self._is_declared:
            # jambonz may have this subprotocol, too.
            dialect = None
        self._decoder: Decoder | None = DIALECTS[dialect](self._parameters) if dialect else None
        self.audio: AudioOf = _no_audio if self._decoder is None else self._decoder.audio
        """As in `Decoder`. The decoder's own method, so that a message needs one call less."""
        self.tracks: TracksOf = _no_audio if self._decoder is None else self._decoder.tracks
        self._undecided: TwilioStream | None = None

    def is_note(self, message: bytes, is_text: bool) -> bool:  # noqa: FBT001 - as in `Decoder`
        """As in `Decoder`."""
        return self._decoder is not None and self._decoder.is_note(message, is_text)

    @property
    def closes_normally(self) -> bool:
        """As in `Decoder`."""
        return self._decoder is not None and self._decoder.closes_normally

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Decode a message.

        Raises:
            UnknownDialect: the first messages belong to no dialect.
            ProtocolError: the dialect does not allow the message.
        """
        if self._decoder is not None:
            return self._decoder.receive(message)
        decoder = self._find(message)
        if decoder is not self._undecided:
            self._decoder, self.audio, self.tracks = decoder, decoder.audio, decoder.tracks
        return decoder.receive(message)

    def _find(self, message: str | bytes) -> Decoder:
        """Return the decoder for a first message. `connected` has several senders, so `start` decides."""
        if isinstance(message, str) and message.startswith("MEDIA_START "):
            return AsteriskStream(self._parameters)
        try:
            body = parse_object(message)
        except ProtocolError as error:
            if self._is_declared:
                return DeclaredStream(self._parameters)
            # The reason of a close frame is short, so the advice comes first.
            raise UnknownDialect(f"the first message is not a JSON object. {_ADVICE} ({error})") from error
        event = body.get("event")
        if event is not None and not isinstance(event, str):
            raise UnknownDialect(f"the event is not a text. {_ADVICE}")
        if event in _UNDECIDED and self._undecided is not None:
            return self._undecided
        if event == "connected":
            self._undecided = TwilioStream(self._parameters)
            return self._undecided
        return self._kind(body, event)(self._parameters)

    def _kind(self, body: Mapping[str, Any], event: str | None) -> Callable[[Mapping[str, str]], Decoder]:
        if event == "start":
            names = {*body, *to_object(body.get("start"))}
            return next((kind for wanted, kind in _START_NAMES if wanted <= names), TwilioStream)
        if event == "MEDIA_START":
            return AsteriskStream
        if event is not None and event.startswith("websocket:"):
            return VonageStream
        if body.get("version") == "2" and body.get("type") == "open":
            return AudioHookStream
        if event is None and {"callSid", "sampleRate"} <= body.keys():
            return JambonzStream
        if self._is_declared:
            return DeclaredStream
        raise UnknownDialect(f"the first message belongs to no known dialect. {_ADVICE}")


def _no_audio(_messages: bytes | Sequence[bytes], _is_text: bool, /) -> None:  # noqa: FBT001 - as in `Decoder`
    """Return `None`: the dialect is not known yet."""
