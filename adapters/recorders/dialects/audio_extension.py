"""The extension for a received file, from its name or its content type.

The extension matters for samples without a header, because their bytes do not show their format (`adapters.audio`).
The format of all other files is read from their bytes.
"""

import re
from email.message import Message
from typing import Final

UNKNOWN: Final = "bin"
_HEADERLESS: Final = frozenset({
    "ulaw", "ul", "mulaw", "pcmu", "ulw", "mu", "alaw", "al", "pcma", "alw", "sln", "slin", "sln8", "sln12", "sln16",
    "sln24", "sln32", "sln44", "sln48", "sln96", "sln192", "g722", "g729", "g723", "g7231", "g726-16", "g726-24",
    "g726-32", "g726-40",
})  # fmt: skip
_WITH_HEADER: Final = frozenset({
    "wav", "wave", "mp3", "mpga", "ogg", "oga", "opus", "webm", "weba", "mkv", "mka", "mp4", "m4a", "m4b", "mov", "3gp",
    "3g2", "aac", "flac", "amr", "awb", "caf", "gsm", "aiff", "aif", "aifc", "au", "snd", "w64", "rf64", "bw64",
})  # fmt: skip
KNOWN: Final = _HEADERLESS | _WITH_HEADER
"""The usual extensions of audio files."""
_SUFFIX: Final = re.compile(r".*\.(?P<extension>[A-Za-z0-9]{1,8}|[Gg]726-[0-9]{2})", re.DOTALL)
_BY_TYPE: Final = {
    "basic": "ulaw", "pcmu": "ulaw", "mulaw": "ulaw", "ulaw": "ulaw", "g711u": "ulaw",
    "pcma": "alaw", "alaw": "alaw", "g711a": "alaw",
    "g722": "g722", "g723": "g723", "g729": "g729",
    "g726-16": "g726-16", "g726-24": "g726-24", "g726-32": "g726-32", "g726-40": "g726-40",
    "wav": "wav", "wave": "wav", "vnd.wave": "wav",
    "mpeg": "mp3", "mp3": "mp3", "mpeg3": "mp3", "mpga": "mp3",
    "ogg": "ogg", "opus": "ogg", "vorbis": "ogg",
    "webm": "webm", "matroska": "mka",
    "mp4": "m4a", "m4a": "m4a", "mp4a-latm": "m4a", "3gpp": "3gp", "3gpp2": "3g2", "quicktime": "mov",
    "aac": "aac", "aacp": "aac", "adts": "aac",
    "flac": "flac", "amr": "amr", "amr-wb": "awb", "caf": "caf", "gsm": "gsm", "aiff": "aiff", "au": "au",
}  # fmt: skip
"""Extensions by the subtype of `audio/...` or `video/...`, without `x-`."""
_ONE_RATE: Final = {"ulaw": 8_000, "alaw": 8_000}
"""The only sampling rate (Hz) that the extension can mean."""


def extension_of(name: str) -> str:
    """Return the extension of a file name, in lower case; `bin` if there is none."""
    found = _SUFFIX.fullmatch(name.rpartition("/")[2])
    return found["extension"].lower() if found else UNKNOWN


def extension_for(content_type: str | None) -> str | None:
    """Return the extension for an audio content type; `None` for any other type.

    `audio/L16;rate=8000` is `l168000`: big-endian 16-bit samples of one channel (RFC 2586).
    """
    if not content_type:
        return None
    message = Message()
    message["Content-Type"] = content_type
    kind, _, subtype = message.get_content_type().partition("/")
    if kind not in {"audio", "video"}:
        return None
    rate = _number(message.get_param("rate"))
    if subtype == "l16":
        return f"l16{rate}" if rate is not None and _number(message.get_param("channels", "1")) == 1 else None
    extension = _BY_TYPE.get(subtype.removeprefix("x-"))
    if extension in _ONE_RATE and rate not in {None, _ONE_RATE[extension]}:
        return None
    return extension


def name_suffix(extension: str) -> str:
    """Return the extension to show in the name of a recording."""
    return "l16" if extension.startswith("l16") else extension


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 7 else None  # noqa: PLR2004
