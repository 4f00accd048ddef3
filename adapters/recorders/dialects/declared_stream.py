"""L16 whose format only the address declares: FreeSWITCH with mod_audio_fork or mod_audio_stream.

    ws://…/ingest/ADDRESS/SECRET/ws?rate=16000&channels=2&call_id=ID&from=…&to=…

The metadata that the switch sends as text is optional. The fields of a JSON object in it are parameters, too.

Source: https://github.com/jambonz/freeswitch-modules and https://github.com/amigniter/mod_audio_stream
"""

from collections.abc import Mapping, Sequence

from adapters.recorders.dialects.binary_streams import BinaryStream
from adapters.recorders.dialects.loose_json import parse_object, to_integer, to_text
from adapters.recorders.dialects.stream_events import Event
from adapters.recorders.dialects.stream_format import StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import ProtocolError
from recordings.ports.audio import Codec


def is_declared(parameters: Mapping[str, str]) -> bool:
    """Return true if an address declares the format of its stream."""
    return "rate" in parameters


class DeclaredStream(BinaryStream):
    """A stream of headerless L16. Two channels are the caller and the callee."""

    def _text(self, message: str) -> Sequence[Event]:
        try:
            metadata = {name: text for name, value in parse_object(message).items() if (text := to_text(value))}
        except ProtocolError:
            metadata = {}
        if self._format is None:
            return self._open(metadata)
        return (self._ignored.ignore(metadata.get("event", "metadata")),)

    def _binary(self, data: bytes) -> Sequence[Event]:
        started = self._open({}) if self._format is None else ()
        return (*started, *super()._binary(data))

    def _open(self, metadata: Mapping[str, str]) -> Sequence[Event]:
        rate, channels = self._parameters.get("rate", ""), self._parameters.get("channels", "1")
        if channels not in {"1", "2"}:
            raise ProtocolError(f"the address has channels={channels[:32]}; allowed are 1 and 2")
        if (number := to_integer(rate)) is None:
            raise ProtocolError(f"the address has rate={rate[:32]}; it must be the samples per second, such as 8000")
        default = StreamFormat(Codec.S16, tracks=int(channels))
        format = format_of("", number, default, "rate")
        parameters = {name: value for name, value in metadata.items() if name not in {"rate", "channels"}}
        return self._start(format, parameters, call_id="")
