"""Plivo audio streams. There is no `connected` message, and the usual format is L16.

Source: https://www.plivo.com/docs/voice/xml/the-stream-element
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.recorders.dialects.json_names import Names
from adapters.recorders.dialects.json_streams import JsonStream
from adapters.recorders.dialects.loose_json import to_object, to_text
from adapters.recorders.dialects.stream_events import Event
from adapters.recorders.dialects.stream_format import TELEPHONE, StreamFormat
from recordings.ports.audio import Codec

_HEADER: Final = re.compile(r"([A-Za-z0-9_-]+)\s*[=:]\s*([^,;{}]*)")
_PREFIX: Final = re.compile(r"^X-PH-", re.IGNORECASE)


class PlivoStream(JsonStream):
    """A stream of Plivo. `extra_headers` of the `start` message are parameters: an object, or `a=b,c=d`."""

    closes_normally = True
    names = Names(
        stream_id="streamId",
        call_id="callId",
        account_id="accountId",
        media_format="mediaFormat",
        sample_rate="sampleRate",
        parameters="customParameters",
        default=StreamFormat(Codec.S16, TELEPHONE),
        call={"from": "from", "to": "to"},
    )

    def _start(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Event:
        given = message.get("extra_headers") or message.get("extraHeaders") or body.get("extra_headers")
        self._parameters = {**self._parameters, **_headers(given)}
        return super()._start(message, body)


def _headers(given: Any) -> Mapping[str, str]:
    pairs: Sequence[tuple[str, str]] = _HEADER.findall(given[:4_096]) if isinstance(given, str) else ()
    found = dict(pairs) or {name: to_text(value) for name, value in to_object(given).items()}
    return {_PREFIX.sub("", name): value.strip() for name, value in found.items() if value.strip()}
