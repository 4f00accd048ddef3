"""The elements of a WebM or Matroska file: whether its structure is complete."""

from typing import BinaryIO, Final

from adapters.audio.file_layout import MAX_HOLES, Layout, find_bytes, is_filler
from adapters.audio.sample_file import read_at

_OPEN: Final = frozenset({0x18538067, 0x1F43B675})
"""Segment and Cluster: their children are read."""
_CLUSTER: Final = bytes.fromhex("1f43b675")
_BLOCKS: Final = frozenset({0xA3, 0xA0, 0xAF})
_KNOWN: Final = frozenset(
    {
        *(0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1043A770, 0x1C53BB6B, 0x1941A469, 0x1254C367),
        *(0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF),
    }
)
"""The elements of a file, of a segment and of a cluster."""


def read_elements(file: BinaryIO, start: int, end: int) -> Layout:
    """Walk through the elements of a file. The size of a segment or a cluster may be unknown."""
    at, skipped, blocks, holes = start, 0, 0, 0
    while at < end:
        name, size, length = _element(read_at(file, at, 12))
        if name in _OPEN:
            at += length
            continue
        if name in _KNOWN and size is not None:
            blocks += size if name in _BLOCKS else 0
            at += length + size
            continue
        if is_filler(file, at, end):
            break
        holes += 1
        following = find_bytes(file, _CLUSTER, at + 1, end) if holes < MAX_HOLES else None
        skipped += (end if following is None else following) - at
        if following is None:
            break
        at = following
    missing = max(0, at - end)
    damage = []
    if skipped:
        damage.append(f"the structure of the file is broken: {skipped} bytes of it are not readable")
    elif missing:
        damage.append(f"the file ends in the middle of a block: {missing} bytes are missing")
    return Layout(((start, end - start),), tuple(damage), blocks + skipped)


def _element(head: bytes) -> tuple[int, int | None, int]:
    """The name and the size of an element, and the length of both; the size is `None` if it is unknown."""
    width = 9 - head[0].bit_length() if head[:1] else 9
    rest = head[width : width + 1]
    if width > 4 or not rest or not rest[0]:  # noqa: PLR2004 - of the format
        return 0, None, 1
    size_width = 9 - rest[0].bit_length()
    value = int.from_bytes(head[width : width + size_width], "big") & (1 << 7 * size_width) - 1
    is_unknown = value == (1 << 7 * size_width) - 1
    return int.from_bytes(head[:width], "big"), None if is_unknown else value, width + size_width
