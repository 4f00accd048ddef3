"""Find where the samples of a file end, if the size in its header is wrong or something follows the samples."""

import re
from struct import Struct
from typing import BinaryIO, Final

from adapters.audio.sample_file import is_chunk_name, read_at

MAX_TAIL: Final = 1 << 20
"""Bytes at the end of a file that are searched for chunks after samples of unknown size."""
_PIECE: Final = 1 << 20
_MAX_TEXT: Final = 1_024
"""Bytes of text after the samples that are no samples, for example the end of a form."""
_ID3V1: Final = 128
_TEXT: Final = re.compile(rb"[\t\r\n\x20-\x7e]*")
_TRAILERS: Final = re.compile(
    rb"LIST|fmt |[Ii][Dd]3 |cue |bext|iXML|fact|smpl|JUNK|junk|axml|_PMX|afsp|PEAK|cart|DISP|levl|inst|acid|chna|FLLR"
    rb"|PAD |ANNO|NAME|AUTH|\(c\) |COMT|MARK|INST|APPL|COMM|FVER|CHAN|SAUR|MIDI|AESD"
)
"""Names of the chunks that writers put after the samples."""
_HEADERS: Final = {
    "wav": re.compile(rb"(?:RIF[FX]|RF64|BW64)[\s\S]{4}WAVE[\x20-\x7e]{4}"),
    "w64": re.compile(re.escape(bytes.fromhex("726966662e91cf11a5d628db04c10000"))),
    "aiff": re.compile(rb"FORM[\s\S]{4}AIF[FC][\x20-\x7e]{4}"),
    "au": re.compile(rb"\.snd\0\0[\s\S]{6}\0\0\0[\x01-\x1b]\0[\s\S]{3}\0\0\0[\x01-\x40]"),
    "caf": re.compile(rb"caff\x00\x01\x00\x00desc"),
}
"""The start of a file, by kind. The longest one has 24 bytes."""
_HEADER: Final = 24


def find_end(
    file: BinaryIO, kind: str, samples: tuple[int, int | None], end: int, block: int, order: str
) -> tuple[int, int | None]:
    """Return where the samples end, and where another file begins that was appended.

    `samples` is the offset of the samples and their length in the header, `None` if it is unknown. `end` is the end of
    the file. If bytes that can only be samples follow the announced ones, they are samples, too.
    """
    offset, size = samples
    if size is None or offset + size > end:
        return _measure(file, kind, offset, end, order)
    after = offset + size
    if (appended := _header_near(file, kind, after, end)) is not None:
        return after, appended
    if is_leftover(file, after, end, block):
        return after, None
    return _measure(file, kind, after, end, order)


def is_trailer(name: bytes) -> bool:
    """Return true if a chunk of this name may follow the samples."""
    return _TRAILERS.fullmatch(name) is not None


def is_leftover(file: BinaryIO, start: int, end: int, block: int) -> bool:
    """Return true if the bytes after the samples are no samples.

    They are less than one sample, zeros (the file was preallocated), a short text, or an MP3 tag (ID3v1).
    """
    rest = end - start
    if rest < max(block, 2):
        return True
    if rest <= _MAX_TEXT:
        text = read_at(file, start, rest)
        if _TEXT.fullmatch(text) or (rest in {_ID3V1, _ID3V1 + 1} and text[-_ID3V1 : -_ID3V1 + 3] == b"TAG"):
            return True
    return all(not any(read_at(file, at, min(_PIECE, end - at))) for at in range(start, end, _PIECE))


def _measure(file: BinaryIO, kind: str, start: int, end: int, order: str) -> tuple[int, int | None]:
    appended = _find_header(file, kind, start, end)
    return _start_of_trailer(file, start, end if appended is None else appended, order), appended


def _header_near(file: BinaryIO, kind: str, start: int, end: int) -> int | None:
    """Return where a header begins at `start` or after at most 7 bytes of padding."""
    match = _HEADERS[kind].search(read_at(file, start, min(7 + _HEADER, end - start)))
    return start + match.start() if match and match.start() <= 7 else None  # noqa: PLR2004 - W64 pads to 8 bytes


def _find_header(file: BinaryIO, kind: str, start: int, end: int) -> int | None:
    for at in range(start, end, _PIECE):
        match = _HEADERS[kind].search(read_at(file, at, min(_PIECE + _HEADER, end - at)))
        if match:
            return at + match.start()
    return None


def _start_of_trailer(file: BinaryIO, start: int, end: int, order: str) -> int:
    """Find where the chunks after samples of unknown size begin. They must lead exactly to the end of the file."""
    first = max(start, end - MAX_TAIL)
    tail = read_at(file, first, end - first)
    header = Struct(f"{order}4sI")
    # Each offset is walked from only once, so that a file full of chunks takes linear time.
    leads_nowhere: set[int] = set()
    for match in _TRAILERS.finditer(tail):
        at, seen = match.start(), []
        while at + 8 <= len(tail) and at not in leads_nowhere:
            name, size = header.unpack_from(tail, at)
            if not is_chunk_name(name):
                break
            seen.append(at)
            at += 8 + size + size % 2
        if at in {len(tail), len(tail) + 1}:
            return first + match.start()
        leads_nowhere.update(seen)
    return end - _ID3V1 if tail[-_ID3V1 : -_ID3V1 + 3] == b"TAG" else end
