"""The boxes of an MP4 file: where another file was appended, and whether its index is there."""

import re
from itertools import pairwise
from typing import BinaryIO, Final

from adapters.audio.file_layout import Layout, is_filler
from adapters.audio.sample_file import read_at
from recordings.ports.audio import NotAudio

_MAX_BOXES: Final = 1_000_000
_MAX_FILES: Final = 64
_NAME: Final = re.compile(rb"[\x20-\x7e\xa9]{4}")


def read_boxes(file: BinaryIO, start: int, end: int) -> Layout:
    """Read the outer boxes of an MP4 file.

    Raises:
        NotAudio: the index is missing, so the audio in the file cannot be found.
    """
    at, starts, damage, has_index, has_index_anywhere, payload = start, [start], [], False, False, 0
    for _ in range(_MAX_BOXES):
        head = read_at(file, at, 16)
        name, size = head[4:8], int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0 and name == b"mdat":
            size = end - at
        if len(head) < 8 or size < 8 or not _NAME.fullmatch(name) or is_filler(file, at, min(end, at + 1_024)):  # noqa: PLR2004
            break
        if name == b"ftyp" and has_index and len(starts) < _MAX_FILES:
            starts.append(at)
            has_index = False
        has_index = has_index or (name == b"moov" and at + size <= end)
        has_index_anywhere = has_index_anywhere or has_index
        payload += min(size, end - at) - 8 if name == b"mdat" else 0
        at += size
        if at >= end:
            break
    if not has_index_anywhere:
        message = "the file is an MP4 file without an index (moov): its writer did not finish, or the file is damaged"
        raise NotAudio(message)
    if at > end:
        damage.append(f"the MP4 file announces {at - start} bytes and has {end - start}")
        at = end
    elif not is_filler(file, at, end):
        damage.append(f"the structure of the MP4 file is broken at byte {at} of {end}")
        payload, at = payload + end - at, end
    bounds = [*starts, at]
    return Layout(tuple((first, last - first) for first, last in pairwise(bounds)), tuple(damage), payload)
