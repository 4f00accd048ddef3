"""The pages of an Ogg file: where another stream was appended, and which pages are missing or damaged."""

import zlib
from dataclasses import dataclass, field
from itertools import pairwise
from struct import unpack_from
from typing import BinaryIO, Final

from adapters.audio.file_layout import MAX_HOLES, Layout, find_bytes, is_filler
from adapters.audio.sample_file import read_at

_MAX_LINKS: Final = 256
_HEADER: Final = 27
_FIRST, _LAST = 2, 4
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(slots=True)
class _State:
    starts: list[int]
    next_page: dict[int, int] = field(default_factory=dict)
    """The number of the next page, by the serial number of a stream."""
    ended: set[int] = field(default_factory=set)
    has_data: bool = False
    payload: int = 0
    lost: int = 0
    skipped: int = 0
    holes: int = 0


def read_pages(file: BinaryIO, start: int, end: int) -> Layout:
    """Read all pages of an Ogg file."""
    state, at, stop = _State([start]), start, start
    while at + _HEADER <= end:
        head = read_at(file, at, _HEADER + 255)
        size = _page_size(head)
        if size is None or at + size > end or not _is_sound(page := read_at(file, at, size)):
            state.holes += 1
            following = find_bytes(file, b"OggS", at + 1, end) if state.holes < MAX_HOLES else None
            if following is None:
                break
            state.skipped += following - at
            at = following
            continue
        _add(state, page, at)
        at += size
        stop = at
    return _layout(file, state, stop, end)


def _page_size(head: bytes) -> int | None:
    if len(head) < _HEADER or head[:5] != b"OggS\0":
        return None
    segments = head[_HEADER : _HEADER + head[26]]
    return _HEADER + len(segments) + sum(segments) if len(segments) == head[26] else None


def _is_sound(page: bytes) -> bool:
    """Whether the checksum of a page is right (RFC 3533, section 6). Its bits are in the other order than zlib's."""
    reflected = zlib.crc32((page[:22] + bytes(4) + page[26:]).translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")


def _add(state: _State, page: bytes, at: int) -> None:
    flags = page[5]
    serial, number = unpack_from("<II", page, 14)
    if flags & _FIRST:
        if state.has_data and len(state.starts) < _MAX_LINKS:
            state.starts.append(at)
            state.lost += len(state.next_page.keys() - state.ended)
            state.next_page, state.ended, state.has_data = {}, set(), False
    else:
        state.has_data = True
        # The pages with the headers of a codec end at sample 0.
        state.payload += len(page) if any(page[6:14]) else 0
        state.lost += max(0, number - state.next_page.get(serial, number))
    state.next_page[serial] = number + 1
    if flags & _LAST:
        state.ended.add(serial)


def _layout(file: BinaryIO, state: _State, stop: int, end: int) -> Layout:
    damage = []
    if state.lost or state.skipped:
        damage.append(f"Ogg pages are damaged or missing ({state.skipped} bytes, {state.lost} pages)")
    elif state.has_data and state.next_page.keys() - state.ended:
        damage.append("the Ogg file has no last page, so its end may be missing")
    elif not is_filler(file, stop, end):
        damage.append(f"the last {end - stop} bytes are no Ogg pages")
    bounds = [*state.starts, stop]
    parts = tuple((first, last - first) for first, last in pairwise(bounds) if last > first)
    unread = state.skipped + (0 if is_filler(file, stop, end) else end - stop)
    return Layout(parts or ((state.starts[0], end - state.starts[0]),), tuple(damage), unread + state.payload)
