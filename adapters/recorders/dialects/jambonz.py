"""jambonz `listen` and `record`: a JSON message without `event`, then L16 with the caller on the left.

Source: https://docs.jambonz.org/verbs/verbs/listen and `lib/tasks/listen.js` of jambonz-feature-server
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.recorders.dialects.binary_streams import BinaryStream
from adapters.recorders.dialects.loose_json import parse_object, to_integer, to_text
from adapters.recorders.dialects.stream_events import Dtmf, Event
from adapters.recorders.dialects.stream_format import StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import ProtocolError
from recordings.ports.audio import Codec

_DEFAULT: Final = StreamFormat(Codec.S16, 8_000, 1)
_FIELDS: Final = {
    "from": "from",
    "to": "to",
    "direction": "direction",
    "callerName": "caller_id_name",
    "callId": "sip_call_id",
    "applicationSid": "application_sid",
    "parentCallSid": "interaction_id",
}


class JambonzStream(BinaryStream):
    """A stream of jambonz. Unknown fields of the first message are parameters: the application's own metadata."""

    def _text(self, message: str) -> Sequence[Event]:
        body = parse_object(message)
        if self._format is None:
            return self._metadata(body)
        event = to_text(body.get("event"))
        if event == "dtmf":
            return (Dtmf(to_text(body.get("dtmf")) or to_text(body.get("digit"))),)
        return (self._ignored.ignore(event),)

    def _metadata(self, body: Mapping[str, Any]) -> Sequence[Event]:
        if "sampleRate" not in body:
            raise ProtocolError("not a jambonz message: it has no sampleRate")
        tracks = 2 if to_text(body.get("mixType")) == "stereo" else 1
        default = StreamFormat(_DEFAULT.codec, _DEFAULT.rate, tracks)
        format = format_of("", to_integer(body.get("sampleRate")), default, "sampleRate")
        values = {_FIELDS.get(name, name): text for name, value in body.items() if (text := to_text(value))}
        account = values.pop("accountSid", "")
        return self._start(format, values, call_id=values.pop("callSid", ""), account=account)
