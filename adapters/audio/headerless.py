"""The format of headerless samples. Only the file name or the content type tells it."""

import re
from collections.abc import Mapping
from typing import BinaryIO, Final

from adapters.audio.content_kind import has_gsm_frames, is_known
from adapters.audio.decoding import RawFormat

_MULAW: Final = RawFormat("mulaw", 8_000, 1)
_ALAW: Final = RawFormat("alaw", 8_000, 1)
_G726_BITS: Final = {"16": 2, "24": 3, "32": 4, "40": 5}
_BY_EXTENSION: Final[Mapping[str, RawFormat]] = {
    **dict.fromkeys(("ulaw", "ul", "mulaw", "pcmu", "ulw", "mu"), _MULAW),
    **dict.fromkeys(("alaw", "al", "pcma", "alw"), _ALAW),
    **dict.fromkeys(("sln", "slin", "sln8"), RawFormat("s16le", 8_000, 1)),
    **{f"sln{rate}": RawFormat("s16le", rate * 1_000, 1) for rate in (12, 16, 24, 32, 48, 96, 192)},
    "sln44": RawFormat("s16le", 44_100, 1),
    "g722": RawFormat("g722", 16_000, 1),
    "g729": RawFormat("g729", 8_000, 1),
    **dict.fromkeys(("g723", "g7231", "g723_1"), RawFormat("g723_1", 8_000, 1)),
    **{f"g726-{rate}": RawFormat("g726le", 8_000, 1, bits) for rate, bits in _G726_BITS.items()},
    "gsm": RawFormat("gsm", 8_000, 1),
}
"""File name extensions of Asterisk and other usual ones. Rates are in Hz."""
_L16: Final = re.compile(r"l16(8000|11025|16000|22050|24000|32000|44100|48000)")
HINT: Final = (
    "the file is not audio of a known kind. If it holds samples without a header, name it .ulaw, .alaw, .sln, .sln16 "
    "or .g722, or send a content type such as audio/PCMU, audio/PCMA, audio/G722 or audio/L16;rate=8000"
)


def raw_format(extension: str, file: BinaryIO) -> RawFormat | None:
    """Return the format of headerless samples by the extension of their file; `None` for a file with a header."""
    name = extension.lower().removeprefix(".")
    found = _BY_EXTENSION.get(name)
    if found is None and (match := _L16.fullmatch(name)):
        found = RawFormat("s16be", int(match[1]), 1)
    file.seek(0)
    head = file.read(16_384)
    if found is not None and found.name == "gsm":
        return found if has_gsm_frames(head) else None
    return found if found is not None and not is_known(head) else None
