"""The media that Genesys AudioHook offers, and its durations."""

import re
from collections.abc import Mapping
from typing import Any, Final

from adapters.recorders.dialects.loose_json import to_integer, to_object, to_text
from adapters.recorders.dialects.stream_format import StreamFormat, format_of
from adapters.recorders.dialects.stream_limits import ProtocolError

_DURATION: Final = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?")
_BOTH: Final = ("external", "internal")


def choose_media(offered: Any) -> tuple[Mapping[str, Any] | None, StreamFormat | None]:
    """Return the offer with the most channels that can be recorded, and its format."""
    found: tuple[Mapping[str, Any] | None, StreamFormat | None] = (None, None)
    for media in map(to_object, offered if isinstance(offered, list) else ()):
        channels = media.get("channels")
        tracks = 2 if channels == [*_BOTH] else 1
        is_known = channels in ([*_BOTH], ["external"], ["internal"])
        if media.get("type") != "audio" or not is_known or (found[1] is not None and found[1].tracks >= tracks):
            continue
        try:
            default = StreamFormat(tracks=tracks)
            found = media, format_of(to_text(media.get("format")), to_integer(media.get("rate")), default, "media")
        except ProtocolError:
            continue
    return found


def milliseconds(value: Any) -> float | None:
    """Return an ISO 8601 duration such as `PT1.5S` in milliseconds; `None` for another value."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) > len("PT") else None
    if match is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return (hours * 3_600 + minutes * 60 + seconds) * 1_000
