"""The format of headerless samples. Only the file name or the content type says what they are."""

import re
from collections.abc import Mapping
from typing import BinaryIO, Final

from adapters.audio.decoding import RawFormat

_MULAW: Final = RawFormat("mulaw", 8_000, 1)
_ALAW: Final = RawFormat("alaw", 8_000, 1)
_BY_EXTENSION: Final[Mapping[str, RawFormat]] = {
    **dict.fromkeys(("ulaw", "ul", "mulaw", "pcmu", "ulw", "mu"), _MULAW),
    **dict.fromkeys(("alaw", "al", "pcma", "alw"), _ALAW),
    **dict.fromkeys(("sln", "slin", "sln8"), RawFormat("s16le", 8_000, 1)),
    **{f"sln{rate}": RawFormat("s16le", rate * 1_000, 1) for rate in (12, 16, 24, 32, 48, 96, 192)},
    "sln44": RawFormat("s16le", 44_100, 1),
    "g722": RawFormat("g722", 16_000, 1),
}
"""File name extensions of Asterisk and other usual ones. Rates are in Hz."""
_L16: Final = re.compile(r"l16(8000|11025|16000|22050|24000|32000|44100|48000)")
_MAGIC: Final = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"OggS",
    b"fLaC",
    b"\x1aE\xdf\xa3",
    b"FORM",
    b".snd",
    b"#!AMR",
    b"caff",
    b"ID3",
)
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
    head = file.read(12)
    return None if head.startswith(_MAGIC) or head[4:8] == b"ftyp" else found
