"""The formats that audio is played in, by the media types that name them."""

from collections.abc import Mapping
from typing import Final

FORMATS: Final = ("mp3", "wav", "opus", "flac")
"""What a recording can be played as."""
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
"""Each media type that stands for one of them."""


def format_of(content_type: str) -> str:
    """The name of the format of stored audio."""
    return BY_TYPE.get(content_type.partition(";")[0].strip().lower(), "mp3")
