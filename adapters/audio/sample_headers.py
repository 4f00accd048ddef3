"""Headers of files of samples: WAV and its relatives (see `riff_header`), W64, AIFF and AU.

Writers that crash, stream into a pipe or miscalculate leave sizes that are 0, 0xFFFFFFFF, too large or too small. So
the length of the file decides how many samples there are, and not the header. `read_header` finds the ranges of the
file that hold samples. It reads headers only, never all samples.
"""

from dataclasses import replace
from struct import unpack_from
from typing import BinaryIO, Final

from adapters.audio.riff_header import read_wave
from adapters.audio.sample_file import (
    ALAW,
    FLOAT,
    MAX_CHUNKS,
    MAX_FORMAT,
    MULAW,
    PCM,
    SampleFile,
    is_chunk_name,
    is_unknown,
    of_format,
    of_samples,
    read_at,
    start_of_trailer,
)
from recordings.ports.audio import NotAudio

_GUID_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_W64: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")


def read_header(file: BinaryIO) -> SampleFile | None:
    """Read the header at the start of a file; `None` if the file is of another kind.

    Raises:
        NotAudio: the file is of this kind, and its format is missing or impossible.
    """
    return read_header_at(file, 0, file.seek(0, 2))


def read_header_at(file: BinaryIO, start: int, end: int) -> SampleFile | None:
    """Read the header of a file that begins at `start` of another one."""
    head = read_at(file, start, 40)
    if head[8:12] == b"WAVE" and head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return read_wave(file, start, end, head)
    if head[:16] == _W64 and head[28:40] == _GUID_TAIL and head[24:28] == b"wave":
        return _read_w64(file, start, end)
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return _read_aiff(file, start, end, head[8:12])
    return _read_au(start, end, head) if head[:4] == b".snd" else None


def _read_w64(file: BinaryIO, start: int, end: int) -> SampleFile:
    at, source, data = start + 40, None, None
    for _ in range(MAX_CHUNKS):
        head = read_at(file, at, 24)
        if len(head) < 24 or head[4:16] != _GUID_TAIL:  # noqa: PLR2004 - a header
            break
        size = unpack_from("<Q", head, 16)[0]
        if head[:4] == b"fmt ":
            source = of_format("w64", read_at(file, at + 24, min(max(size - 24, 0), MAX_FORMAT)), "<")
        elif head[:4] == b"data":
            data = (at + 24, max(size - 24, 0))
            if size <= 24 or at + size > end:  # noqa: PLR2004 - a header
                break
        at += max(size + -size % 8, 24)
    if source is None:
        message = "the W64 file has no fmt chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    if data is None:
        return source
    offset, size = data
    known = 0 < size <= end - offset
    announced = size if known or 0 < size < 1 << 60 else None
    return replace(source, ranges=((offset, size if known else end - offset),), announced=announced)


_AIFF_LAWS: Final = {b"alaw": ALAW, b"ALAW": ALAW, b"ulaw": MULAW, b"ULAW": MULAW}
_AIFF_PLAIN: Final = {b"NONE": True, b"twos": True, b"in16": True, b"in24": True, b"in32": True, b"sowt": False}
_AIFF_FLOATS: Final = frozenset({b"fl32", b"FL32", b"fl64", b"FL64"})


def _read_aiff(file: BinaryIO, start: int, end: int, form: bytes) -> SampleFile | None:
    at, source, data = start + 12, None, None
    for _ in range(MAX_CHUNKS):
        head = read_at(file, at, 8)
        if len(head) < 8 or not is_chunk_name(head[:4]):  # noqa: PLR2004 - a header
            break
        size = unpack_from(">I", head, 4)[0]
        if head[:4] == b"COMM":
            source = _of_comm(read_at(file, at + 8, min(size, MAX_FORMAT)), form)
            if source is None:
                return None
        elif head[:4] == b"SSND":
            skipped = unpack_from(">I", read_at(file, at + 8, 4).ljust(4, b"\0"))[0]
            data = (at + 16 + min(skipped, end), size - 8 - skipped)
            if size <= 8 or at + 8 + size > end:  # noqa: PLR2004 - offset and block size
                break
        at += 8 + size + size % 2
    if source is None:
        message = "the AIFF file has no COMM chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    if data is None:
        return source
    offset, size = data
    known = 0 < size <= end - offset
    stop = offset + size if known else start_of_trailer(file, offset, end, ">")
    announced = size if size > 0 and not is_unknown(size + 8) else None
    return replace(source, ranges=((offset, stop - offset),), announced=announced)


def _of_comm(body: bytes, form: bytes) -> SampleFile | None:
    if len(body) < 18:  # noqa: PLR2004 - of the format
        message = "the COMM chunk of the AIFF file is too short"
        raise NotAudio(message)
    channels, _frames, bits = unpack_from(">HIH", body)
    exponent, mantissa = unpack_from(">HQ", body, 8)
    shift = (exponent & 0x7FFF) - 16_383 - 63
    rate = mantissa << shift if 0 <= shift < 64 else mantissa >> -shift if -64 < shift < 0 else 0  # noqa: PLR2004
    coding = body[18:22] if form == b"AIFC" else b"NONE"
    if coding in _AIFF_LAWS:
        return of_samples("aiff", _AIFF_LAWS[coding], channels, rate, 8)
    if coding in _AIFF_FLOATS:
        return of_samples("aiff", FLOAT, channels, rate, 32 if coding[2:] == b"32" else 64, big_endian=True)
    if coding in _AIFF_PLAIN:
        return of_samples("aiff", PCM, channels, rate, bits, big_endian=_AIFF_PLAIN[coding])
    return None


_AU: Final = {
    1: (MULAW, 8),
    2: (PCM, 8),
    3: (PCM, 16),
    4: (PCM, 24),
    5: (PCM, 32),
    6: (FLOAT, 32),
    7: (FLOAT, 64),
    27: (ALAW, 8),
}


def _read_au(start: int, end: int, head: bytes) -> SampleFile | None:
    offset, size, coding, rate, channels = unpack_from(">IIIII", head.ljust(24, b"\0"), 4)
    if coding not in _AU:
        return None
    tag, bits = _AU[coding]
    source = of_samples("au", tag, channels, rate, bits, big_endian=True)
    first = start + max(offset, 24)
    there = max(0, end - first)
    known = 0 < size <= there
    announced = None if is_unknown(size) else size
    return replace(source, ranges=((first, size if known else there),), announced=announced)
