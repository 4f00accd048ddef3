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
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "mp3": ("mp3",),
    "wav": ("wav", "wave"),
    "opus": ("opus", "ogg", "oga"),
    "flac": ("flac",),
}
EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {name: _FILES[format] for name, format in BY_TYPE.items()} | {
    "audio/mp4": ("m4a", "mp4"),
    "audio/x-m4a": ("m4a",),
    "audio/aac": ("aac",),
    "audio/aiff": ("aiff", "aif"),
    "audio/x-aiff": ("aiff", "aif"),
    "audio/amr": ("amr",),
    "audio/basic": ("au", "snd"),
    "audio/webm": ("webm",),
    "video/mp4": ("mp4",),
    "video/webm": ("webm",),
}
"""The file extensions of each media type, the usual one first. Audio at other providers may have any type."""


def format_of(content_type: str) -> str:
    """Return the format of stored audio by its media type; `mp3` for an unknown type."""
    return BY_TYPE.get(content_type.partition(";")[0].strip().lower(), "mp3")
