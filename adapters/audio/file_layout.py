"""The parts of a file, if several files were appended to one another, and the damage in their structure."""

from dataclasses import dataclass
from typing import BinaryIO, Final

from adapters.audio.sample_ends import is_leftover
from adapters.audio.sample_file import read_at

_PIECE: Final = 1 << 16
MAX_HOLES: Final = 10_000
"""Maximum number of damaged places in a file that are examined. The search after each takes time."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`parts` are the ranges (offset, length) of the single files. `damage` names the missing parts, in words.

    `payload` is the number of bytes that may be audio, also if they cannot be read.
    """

    parts: tuple[tuple[int, int], ...]
    damage: tuple[str, ...] = ()
    payload: int = 0


def find_bytes(file: BinaryIO, text: bytes, start: int, end: int) -> int | None:
    """Find bytes in a part of a file."""
    for at in range(start, end, _PIECE):
        found = read_at(file, at, min(_PIECE + len(text) - 1, end - at)).find(text)
        if found >= 0:
            return at + found
    return None


def is_filler(file: BinaryIO, start: int, end: int) -> bool:
    """Return true if nothing follows, or only zeros, a short text or a tag."""
    return start >= end or is_leftover(file, start, end, 1)


def without_zeros(file: BinaryIO, start: int, end: int) -> int:
    """Return where the zeros at the end of a file begin, if there are more than 4 KiB of them."""
    stop = end
    while stop > start:
        first = max(start, stop - _PIECE)
        piece = read_at(file, first, stop - first).rstrip(b"\0")
        stop = first + len(piece)
        if piece:
            break
    return stop if end - stop > 4_096 else end  # noqa: PLR2004 - a block of a disk
