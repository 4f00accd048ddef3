"""The name of a download (RFC 6266), with no I/O."""

import re
from typing import Final
from urllib.parse import quote

_UNSAFE: Final = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What could read as a path, break a header, or turn the reading direction of a name around."""
_NOT_PLAIN: Final = re.compile(r'[^ !#-$&-\[\]-~]|"')
"""Not safe in a quoted string everywhere: other than ASCII, quotes, backslashes, and `%`, which some decode."""
_ATTR_CHARS: Final = "!#$&+-.^_`|~"
"""RFC 8187, section 3.2.1."""
_LONGEST: Final = 200


def content_disposition(name: str, *, inline: bool = False) -> str:
    """The value of `Content-Disposition`: a fallback in ASCII, and the name itself where that differs."""
    kind = "inline" if inline else "attachment"
    clean = _UNSAFE.sub("_", name).strip(" .")[:_LONGEST] or "recording"
    plain = _NOT_PLAIN.sub("_", clean)
    if plain == clean:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe=_ATTR_CHARS)}"


def download_name(name: str, recording_id: str, format: str) -> str:
    """A recording's name as a file's: the id where it has none, with the ending of its format."""
    base, ending = name or recording_id, f".{format}"
    return base if base.lower().endswith(ending) else base[: _LONGEST - len(ending)] + ending
