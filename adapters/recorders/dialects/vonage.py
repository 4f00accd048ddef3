"""Vonage Voice WebSockets: a JSON message, then L16 of the whole call in one channel.

Source: https://developer.vonage.com/en/voice/voice-api/concepts/websockets
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from adapters.recorders.dialects.binary_streams import BinaryStream
from adapters.recorders.dialects.loose_json import parse_object, to_object, to_text
from adapters.recorders.dialects.stream_events import Dtmf, Event
from adapters.recorders.dialects.stream_format import WIDEBAND, StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import ProtocolError
from recordings.ports.audio import Codec

_DEFAULT: Final = StreamFormat(Codec.S16, WIDEBAND, 1)
_OWN: Final = frozenset({"event", "content-type"})
CALL_IDS: Final = ("call_id", "uuid", "conversation_uuid")
"""The headers that may have the id of the call, in this order. The application sets the headers of the WebSocket."""


class VonageStream(BinaryStream):
    """A stream of Vonage. The other fields of the first message are the headers that the application has set."""

    def _text(self, message: str) -> Sequence[Event]:
        body = parse_object(message)
        event = to_text(body.get("event"))
        if event == "websocket:connected" and self._format is None:
            headers = {name: text for name, value in body.items() if name not in _OWN and (text := to_text(value))}
            call_id = next((headers[name] for name in CALL_IDS if name in headers), "")
            format = format_of(to_text(body.get("content-type")), None, _DEFAULT, "content-type")
            return self._start(replace(format, tracks=1), headers, call_id=call_id)
        if event == "websocket:dtmf":
            return (Dtmf(to_text(body.get("digit")) or to_text(to_object(body.get("dtmf")).get("digit"))),)
        if not event:
            raise ProtocolError("not a Vonage message: it has no event")
        return (self._ignored.ignore(event),)
