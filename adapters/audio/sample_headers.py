"""Headers of files of samples: WAV and its relatives (see `riff_header`), W64, AIFF, AU and CAF.

Writers that crash, stream into a pipe or miscalculate leave sizes that are 0, 0xFFFFFFFF, too large or too small. So
the length of the file decides how many samples there are, and not the header. `read_header` finds the ranges of the
file that hold samples. It reads headers only, never all samples.
"""

from dataclasses import replace
from struct import unpack_from
from typing import BinaryIO, Final

from adapters.audio.riff_header import find_in_tail, read_chunks, read_wave
from adapters.audio.sample_ends import MAX_TAIL, find_end
from adapters.audio.sample_file import (
    ALAW,
    FLOAT,
    MAX_CHUNKS,
    MAX_FORMAT,
    MULAW,
    PCM,
    SampleFile,
    is_unknown,
    of_format,
    of_samples,
    read_at,
)
from recordings.ports.audio import NotAudio

_GUID_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_LONGEST: Final = 1 << 62
"""Larger sizes stand for an unknown size."""
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
    if head[:4] == b"caff":
        return _read_caf(file, start, end)
    return _read_au(file, start, end, head) if head[:4] == b".snd" else None


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
            data = (at + 24, size - 24 if 24 < size < _LONGEST else None)  # noqa: PLR2004 - a header
            if data[1] is None or at + size > end:
                break
        at += max(size + -size % 8, 24)
    if source is None:
        message = "the W64 file has no fmt chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    # Chunks after the samples show that their size is right.
    has_chunks = data is not None and data[1] is not None and at - data[0] > data[1] + 7
    return _with_samples(file, source, data, at if has_chunks and at <= end else end)


_SAMPLES: Final = {"w64": (b"data" + _GUID_TAIL, 24), "aiff": (b"SSND", 16), "caf": (b"data", 16)}
"""The start of the chunk with the samples, and the distance of the samples from it."""
_LONGEST_HEADER: Final = 1_024


def _lost_samples(file: BinaryIO, kind: str, end: int) -> tuple[int, None] | None:
    """Find the samples of a file in which the size of an earlier chunk is wrong; `None` if it is only a header.

    Raises:
        NotAudio: they are not found.
    """
    name, distance = _SAMPLES[kind]
    at = read_at(file, 0, min(end, MAX_TAIL)).find(name)
    if at >= 0:
        return min(at + distance, end), None
    if end <= _LONGEST_HEADER:
        return None
    message = f"the {kind.upper()} file has no samples where its header says that they are"
    raise NotAudio(message)


def _with_samples(
    file: BinaryIO, source: SampleFile, data: tuple[int, int | None] | None, end: int, order: str = "<"
) -> SampleFile:
    """Add the range of the samples. `data` is their offset and their length in the header, `None` if it is unknown."""
    if data is None:
        data = _lost_samples(file, source.kind, end)
    if data is None:
        return source
    offset, size = data
    stop, next_file = find_end(file, source.kind, (offset, size), end, source.block, order)
    return replace(source, ranges=((offset, stop - offset),), announced=size, next_file=next_file)


_AIFF_LAWS: Final = {b"alaw": ALAW, b"ALAW": ALAW, b"ulaw": MULAW, b"ULAW": MULAW}
_AIFF_PLAIN: Final = {b"NONE": True, b"twos": True, b"in16": True, b"in24": True, b"in32": True, b"sowt": False}
_AIFF_FLOATS: Final = frozenset({b"fl32", b"FL32", b"fl64", b"FL64"})


def _read_aiff(file: BinaryIO, start: int, end: int, form: bytes) -> SampleFile | None:
    chunks, rest = read_chunks(file, start + 12, end, ">", b"SSND")
    common = next((chunk for chunk in chunks if chunk.name == b"COMM"), None) or find_in_tail(file, b"COMM", end, ">")
    if common is None:
        message = "the AIFF file has no COMM chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    source = _of_comm(read_at(file, common.offset, min(max(common.size, 18), MAX_FORMAT)), form)
    sound = next((chunk for chunk in chunks if chunk.name == b"SSND"), None)
    if source is None or sound is None:
        return source and _with_samples(file, source, None, end, ">")
    # The samples begin after an offset and a block size.
    skipped = unpack_from(">I", read_at(file, sound.offset, 4).ljust(4, b"\0"))[0]
    first = min(sound.offset + 8 + (skipped if sound.offset + 8 + skipped < end else 0), end)
    size = sound.offset + sound.size - first
    known = size if size > 0 and not is_unknown(sound.size) else None
    has_chunks = rest - (first + size) > 1 and rest <= end
    return _with_samples(file, source, (first, known), first + size if known and has_chunks else end, ">")


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


_AU_COMPRESSED: Final = range(23, 27)
"""G.721, G.722 and G.723, which FFmpeg reads."""


def _read_au(file: BinaryIO, start: int, end: int, head: bytes) -> SampleFile | None:
    offset, size, coding, rate, channels = unpack_from(">IIIII", head.ljust(24, b"\0"), 4)
    if coding in _AU_COMPRESSED:
        return None
    if coding not in _AU:
        message = f"the AU file is in encoding {coding}, which this service does not decode"
        raise NotAudio(message)
    tag, bits = _AU[coding]
    source = of_samples("au", tag, channels, rate, bits, big_endian=True)
    # The offset is wrong if it is behind the end of the file.
    first = start + (offset if 24 <= offset <= end - start else 24)  # noqa: PLR2004 - the header
    return _with_samples(file, source, (min(first, end), None if is_unknown(size) else size), end)


_CAF_LAWS: Final = {b"alaw": ALAW, b"ulaw": MULAW}


def _read_caf(file: BinaryIO, start: int, end: int) -> SampleFile | None:
    at, source, data = start + 8, None, None
    for _ in range(MAX_CHUNKS):
        head = read_at(file, at, 12)
        if len(head) < 12:  # noqa: PLR2004 - a header
            break
        size = unpack_from(">q", head, 4)[0]
        if head[:4] == b"desc":
            source = _of_desc(read_at(file, at + 12, 32))
        elif head[:4] == b"data":
            # The samples begin after a count of edits.
            data = (min(at + 16, end), size - 4 if 4 < size < _LONGEST else None)  # noqa: PLR2004 - the count
        if size < 0 or at + 12 + size > end or (head[:4] == b"data" and data and data[1] is None):
            break
        at += 12 + size
    if source is None:
        return None
    has_chunks = data is not None and data[1] is not None and at > data[0] + data[1]
    return _with_samples(file, source, data, at if has_chunks else end, ">")


def _of_desc(body: bytes) -> SampleFile | None:
    if len(body) < 32:  # noqa: PLR2004 - of the format
        message = "the desc chunk of the CAF file is too short"
        raise NotAudio(message)
    rate, coding, flags, _packet, _frames, channels, bits = unpack_from(">d4sIIIII", body)
    if coding in _CAF_LAWS:
        return of_samples("caf", _CAF_LAWS[coding], channels, _whole(rate), 8)
    if coding != b"lpcm":
        return None
    # Flag 1: floating point, flag 2: little endian.
    return of_samples("caf", FLOAT if flags & 1 else PCM, channels, _whole(rate), bits, big_endian=not flags & 2)


def _whole(rate: float) -> int:
    return int(rate) if 0 < rate < 1e9 else 0  # noqa: PLR2004 - also false for a rate that is no number
