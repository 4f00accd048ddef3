"""The name of a download (RFC 6266), with no I/O."""

import re
from typing import Final
from urllib.parse import quote

from adapters.http.audio_types import EXTENSIONS

_UNSAFE: Final = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that form a path, break a header, or change the reading direction of a name."""
_NEEDS_ENCODING: Final = re.compile(r'[^ !#-$&-\[\]-~]|"')
"""Characters that some clients misread in a quoted string: non-ASCII, quotes, backslashes, and `%` (some decode it)."""
_ATTR_CHARS: Final = "!#$&+-.^_`|~"
"""RFC 8187, section 3.2.1."""
_MAX_LENGTH: Final = 200
_AUDIO: Final = frozenset(extension for extensions in EXTENSIONS.values() for extension in extensions)


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return the value of `Content-Disposition`: an ASCII name, and the full name if it differs."""
    kind = "inline" if inline else "attachment"
    clean = _UNSAFE.sub("_", name).strip(" .")[:_MAX_LENGTH] or "recording"
    ascii_name = _NEEDS_ENCODING.sub("_", clean)
    if ascii_name == clean:
        return f'{kind}; filename="{ascii_name}"'
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(clean, safe=_ATTR_CHARS)}"


def download_name(name: str, recording_id: str, content_type: str) -> str:
    """Return the file name of a recording: its name, or else its id, with the extension of the served media type.

    The extension of another audio format is replaced, because it would be wrong. For an unknown type the name stays.
    """
    base = name or recording_id
    extensions = EXTENSIONS.get(content_type.partition(";")[0].strip().lower())
    if extensions is None:
        return base
    stem, dot, extension = base.rpartition(".")
    if dot and stem and extension.lower() in _AUDIO:
        if extension.lower() in extensions:
            return base
        base = stem
    return f"{base[: _MAX_LENGTH - len(extensions[0]) - 1]}.{extensions[0]}"
