"""Genesys AudioHook, without I/O: JSON messages with sequence numbers, and audio in binary messages.

- Each side numbers its messages. Our replies name the last number that we have received.
- The position of a message counts the time of the stream, with pauses and discarded audio. Audio after them is later.
- A connection probe has a conversation of zeros. It gets all replies, and starts no stream.

Source: https://developer.genesys.cloud/devapps/audiohook and purecloudlabs/audiohook-reference-implementation
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from adapters.recorders.dialects.audiohook_media import choose_media, milliseconds
from adapters.recorders.dialects.binary_streams import split_tracks
from adapters.recorders.dialects.loose_json import parse_object, to_integer, to_object, to_text
from adapters.recorders.dialects.stream_events import (
    LEFT,
    Audio,
    Discarded,
    Dtmf,
    Event,
    IgnoredMessages,
    Paused,
    Reply,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.stream_limits import MAX_MESSAGE, ProtocolError, check_name

PROBE: Final = "00000000-0000-0000-0000-000000000000"
_REPLIES: Final = {"ping": "pong", "update": "updated", "close": "closed"}
_PARTIES: Final = {"ani": "from", "dnis": "to", "aniName": "caller_id_name", "id": "participant_id"}


class AudioHookStream:
    """One session. The customer (external) is the left track, the agent (internal) the right one."""

    closes_normally = False

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        self._parameters = parameters or {}
        self._id = ""
        self._received = 0
        self._sent = 0
        self._format: StreamFormat | None = None
        self._at_ms = 0.0
        self._is_probe = False
        self._ended = False
        self._ignored = IgnoredMessages()

    def audio(self, message: bytes, is_text: bool) -> None:  # noqa: FBT001 - as in `Decoder`
        """Return `None`: there are only five messages a second."""

    def tracks(self, messages: Sequence[bytes], is_text: bool) -> None:  # noqa: FBT001 - as in `Decoder`
        """Return `None`, as `audio` does."""

    def is_note(self, message: bytes, is_text: bool) -> bool:  # noqa: ARG002, FBT001 - as in `Decoder`
        """Return false: only `receive` decodes such a message."""
        return False

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Decode a message.

        Raises:
            ProtocolError: the message is not of this protocol, or its numbers are wrong.
        """
        if self._ended:
            raise ProtocolError("a message after the end of the session")
        if isinstance(message, bytes):
            return self._audio(message)
        body = parse_object(message)
        kind, parameters = to_text(body.get("type")), to_object(body.get("parameters"))
        self._check_numbers(body)
        if not self._id:
            return self._open(body, kind, parameters)
        return self._event(kind, parameters, milliseconds(body.get("position")))

    def _check_numbers(self, body: Mapping[str, Any]) -> None:
        expected = self._received + 1
        if body.get("version") != "2" or (self._id and body.get("id") != self._id):
            raise ProtocolError("the version must be 2, and the id must be that of the session")
        if body.get("seq") != expected or isinstance(body.get("seq"), bool):
            raise ProtocolError(f"seq must be {expected}")
        serverseq = to_integer(body.get("serverseq"))
        if serverseq is None or not 0 <= serverseq <= self._sent:
            raise ProtocolError(f"serverseq must be from 0 to {self._sent}")
        self._received = expected

    def _open(self, body: Mapping[str, Any], kind: str, parameters: Mapping[str, Any]) -> Sequence[Event]:
        if kind != "open":
            raise ProtocolError("the first message must be open")
        self._id = check_name("id", to_text(body.get("id")))
        conversation = to_text(parameters.get("conversationId"))
        media, self._format = choose_media(parameters.get("media"))
        opened = self._reply("opened", {"startPaused": False, "media": [media] if media else []})
        self._is_probe = conversation == PROBE
        if self._is_probe:
            return (opened,)
        if self._format is None:
            raise ProtocolError("open.media offers no format that can be recorded: PCMU and L16 can")
        participant = to_object(parameters.get("participant"))
        described = {name: text for field, name in _PARTIES.items() if (text := to_text(participant.get(field)))}
        custom = {
            name: text for name, value in to_object(parameters.get("customConfig")).items() if (text := to_text(value))
        }
        values = {**self._parameters, "interaction_id": conversation, **described, **custom}
        call_id = check_name("conversationId", values.get("call_id") or conversation)
        names = ("left", "right")[: self._format.tracks]
        organization = to_text(parameters.get("organizationId"))
        continues = bool(parameters.get("continuedSessions"))
        return (opened, StreamStarted(self._id, call_id, organization, names, values, self._format, continues))

    def _event(self, kind: str, parameters: Mapping[str, Any], position: float | None) -> Sequence[Event]:
        if kind in _REPLIES:
            self._ended = kind == "close"
            reply, reconnects = self._reply(_REPLIES[kind]), parameters.get("reason") == "reconnect"
            return (reply, StreamStopped(reconnects)) if self._ended else (reply,)
        if kind == "paused":
            return (Paused(self._advance(position)),)
        if kind in {"resumed", "discarded"}:
            return self._skip(kind, parameters)
        if kind == "dtmf":
            return (Dtmf(to_text(parameters.get("digit"))),)
        return (self._ignored.ignore(kind),)

    def _skip(self, kind: str, parameters: Mapping[str, Any]) -> Sequence[Event]:
        """Continue after audio that was not sent. Its begin and its length are in the message."""
        start, discarded = milliseconds(parameters.get("start")), milliseconds(parameters.get("discarded"))
        if start is None or discarded is None:
            raise ProtocolError(f"{kind} must have start and discarded as durations, such as PT1.5S")
        begin = self._at_ms
        self._advance(start + discarded)
        return (Discarded(begin, discarded),) if kind == "discarded" else ()

    def _advance(self, position: float | None) -> float:
        self._at_ms = max(self._at_ms, position or 0.0)
        return self._at_ms

    def _audio(self, data: bytes) -> Sequence[Event]:
        if len(data) > MAX_MESSAGE:
            raise ProtocolError(f"the message has {len(data)} bytes, at most {MAX_MESSAGE} are allowed")
        if not data or self._is_probe:
            return ()
        format = self._format
        if not self._id or format is None:
            raise ProtocolError("audio before open")
        if len(data) % (format.width * format.tracks):
            raise ProtocolError("an audio message has a part of a sample")
        self._ignored.reset()
        at_ms, payloads = self._at_ms, (data,) if format.tracks == 1 else split_tracks(data, format.width)
        self._at_ms += format.milliseconds(payloads[LEFT])
        return [Audio(track, at_ms, payload) for track, payload in enumerate(payloads)]

    def _reply(self, kind: str, parameters: Mapping[str, Any] | None = None) -> Reply:
        self._sent += 1
        numbers = {"seq": self._sent, "clientseq": self._received}
        message = {"version": "2", "type": kind, "id": self._id, **numbers, "parameters": parameters or {}}
        return Reply(msgspec.json.encode(message).decode())
