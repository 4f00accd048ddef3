"""The header of a FLAC file, and the FLAC files that were appended to it."""

from itertools import pairwise
from typing import BinaryIO, Final

from adapters.audio.file_layout import Layout, find_bytes, is_filler, without_zeros
from adapters.audio.sample_file import read_at

_MAX_BLOCKS: Final = 128
_MAX_FILES: Final = 64
_NEXT: Final = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""The start of a file: its mark and the head of its first block."""


def read_blocks(file: BinaryIO, start: int, end: int) -> Layout:
    """Find the FLAC files in a file."""
    starts, stop = [start], without_zeros(file, start, end)
    while len(starts) < _MAX_FILES:
        found = [find_bytes(file, mark, starts[-1] + 4, stop) for mark in _NEXT]
        following = min((each for each in found if each is not None), default=None)
        if following is None:
            break
        starts.append(following)
    payload = max(0, stop - start - _header(file, start, stop))
    return Layout(tuple((first, last - first) for first, last in pairwise([*starts, stop])), payload=payload)


def _header(file: BinaryIO, start: int, end: int) -> int:
    """Return the length of the header of a FLAC file: its mark and its blocks of metadata."""
    at = start + 4
    for _ in range(_MAX_BLOCKS):
        head = read_at(file, at, 4)
        if len(head) < 4 or head[0] == 0xFF:  # noqa: PLR2004 - a frame
            break
        following = at + 4 + int.from_bytes(head[1:], "big")
        if following > end and not is_filler(file, at + 4, end):
            # The size of the block is wrong, or the file is truncated in it.
            break
        at = following
        if head[0] & 0x80:
            break
    return at - start
