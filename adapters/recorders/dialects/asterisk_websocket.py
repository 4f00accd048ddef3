"""Asterisk's chan_websocket: `MEDIA_START` as JSON or as plain text, then audio in any codec of the channel.

Source: https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ and `channels/chan_websocket.c`
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.recorders.dialects.binary_streams import BinaryStream
from adapters.recorders.dialects.loose_json import parse_object, to_object, to_text
from adapters.recorders.dialects.stream_events import Dtmf, Event
from adapters.recorders.dialects.stream_format import StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import ProtocolError
from recordings.ports.audio import Codec

_WORD: Final = re.compile(r"([a-z_]+):(\S*)")
_SLIN: Final = re.compile(r"slin(?:ear)?([0-9]*)")
_MAIN_RATES: Final = {"": 8_000, "8": 8_000, "44": 44_100}


class AsteriskStream(BinaryStream):
    """A stream of one channel, which is the mix of a bridge or one side of a call."""

    def _text(self, message: str) -> Sequence[Event]:
        body = _fields(message)
        event = to_text(body.get("event"))
        if event == "MEDIA_START" and self._format is None:
            return self._open(body)
        if event == "DTMF_END":
            return (Dtmf(to_text(body.get("digit"))),)
        if not event:
            raise ProtocolError("not a chan_websocket message: it has no event")
        return (self._ignored.ignore(event),)

    def _open(self, body: Mapping[str, Any]) -> Sequence[Event]:
        variables = {
            name: text for name, value in to_object(body.get("channel_variables")).items() if (text := to_text(value))
        }
        names = [text for name in ("channel_id", "channel", "connection_id") if (text := to_text(body.get(name)))]
        ids = {f"asterisk_{name}": text for name in ("channel", "channel_id") if (text := to_text(body.get(name)))}
        format = slin_format(to_text(body.get("format")))
        connection = to_text(body.get("connection_id"))
        return self._start(format, ids | variables, call_id=names[0] if names else "", stream_id=connection)


def _fields(message: str) -> Mapping[str, Any]:
    """Return the fields of a message in JSON, or in plain text such as `MEDIA_START channel_id:1.2 format:ulaw`."""
    if message.lstrip().startswith("{"):
        return parse_object(message)
    event, _, rest = message.strip().partition(" ")
    return {"event": event, **dict(_WORD.findall(rest))}


def slin_format(name: str) -> StreamFormat:
    """Return the format of Asterisk's name for it, such as `slin16`, `ulaw` or `opus`."""
    if match := _SLIN.fullmatch(name):
        rate = _MAIN_RATES.get(match[1]) or int(match[1]) * 1_000
        return format_of("slin", rate, StreamFormat(Codec.S16, tracks=1), "format")
    if not name:
        raise ProtocolError("MEDIA_START has no format")
    return format_of(name, None, StreamFormat(tracks=1), "format")
