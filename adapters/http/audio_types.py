"""The audio formats, and their media types."""

from collections.abc import Mapping
from typing import Final

FORMATS: Final = ("mp3", "wav", "opus", "flac")
"""The formats in which a recording can be played."""
BY_TYPE: Final[Mapping[str, str]] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/ogg": "opus",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
}
"""The format of each media type."""


def format_of(content_type: str) -> str:
    """Return the format of stored audio by its media type; `mp3` for an unknown type."""
    return BY_TYPE.get(content_type.partition(";")[0].strip().lower(), "mp3")
