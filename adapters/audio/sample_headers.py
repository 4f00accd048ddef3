"""Headers of files of samples: WAV (RIFF, RIFX, RF64, BW64), W64, AIFF and AU.

Writers that crash, stream into a pipe or miscalculate leave sizes that are 0, 0xFFFFFFFF, too large or too small. So
the length of the file decides how many samples there are, and not the header. `read_header` finds the ranges of the
file that hold samples, in any order of the chunks. It reads headers only, never all samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct, error, pack, unpack_from
from typing import BinaryIO, Final

from recordings.ports.audio import NotAudio

PCM: Final = 0x0001
FLOAT: Final = 0x0003
ALAW: Final = 0x0006
MULAW: Final = 0x0007
EXTENSIBLE: Final = 0xFFFE
SAMPLE_TAGS: Final = frozenset({PCM, FLOAT, ALAW, MULAW})
"""WAVE format tags of uncompressed samples and of G.711."""

MAX_CHUNKS: Final = 4_096
"""Chunks of one file that are looked at."""
MAX_TAIL: Final = 1 << 20
"""Bytes at the end of a file that are searched for chunks after samples of unknown size."""
_MAX_FORMAT: Final = 1 << 12
_MAX_RIFF: Final = 0xFFFFFFFF
_UNKNOWN: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000})
"""Sizes that writers leave when they do not know the size."""
_PIPE: Final = range(0x7FFF0000, 0x80000100)
"""SoX and others write a size near 2 GiB into a pipe (0x7FFFF000, 0x7FFFFFFF less the header, ...)."""
_TRAILERS: Final = (
    b"LIST",
    b"fmt ",
    b"id3 ",
    b"ID3 ",
    b"cue ",
    b"bext",
    b"iXML",
    b"fact",
    b"smpl",
    b"JUNK",
    b"junk",
    b"axml",
    b"_PMX",
    b"afsp",
)
_GUID_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_W64: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
_ID3V1: Final = 128


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file of samples. `ranges` are (offset, length) of the bytes that hold samples, in order.

    `format_body` is the `fmt ` chunk to write in a WAV file. `announced` is the number of bytes of samples that the
    header announces, `None` if it announces none. `is_valid` means that every player reads this WAV header correctly.
    """

    kind: str
    tag: int
    channels: int
    sample_rate: int
    bits: int
    block: int
    format_body: bytes
    ranges: tuple[tuple[int, int], ...]
    big_endian: bool = False
    announced: int | None = None
    is_valid: bool = False
    next_file: int | None = None
    """Where another file begins that was appended to this one."""

    @property
    def length(self) -> int:
        """Bytes of samples."""
        return sum(length for _offset, length in self.ranges)

    @property
    def has_plain_samples(self) -> bool:
        """Whether a sample can be read without a decoder for a compressed format."""
        return self.tag in SAMPLE_TAGS

    @property
    def raw_format(self) -> str | None:
        """FFmpeg's name for the samples; `None` for a compressed format or a width that nobody writes."""
        if self.tag in {ALAW, MULAW}:
            return "alaw" if self.tag == ALAW else "mulaw"
        width = self.block // self.channels * 8
        end = "be" if self.big_endian else "le"
        if self.tag == FLOAT:
            return f"f{width}{end}" if width in {32, 64} else None
        if width == 8:  # noqa: PLR2004 - bits
            return "s8" if self.kind in {"aiff", "au"} else "u8"
        return f"s{width}{end}" if self.tag == PCM and width in {16, 24, 32} else None

    def duration_ms(self, length: int) -> int:
        """Milliseconds of so many bytes of plain samples."""
        return round(1_000 * (length // self.block) / self.sample_rate)


def read_header(file: BinaryIO) -> SampleFile | None:
    """Read the header at the start of a file; `None` if the file is of another kind.

    Raises:
        NotAudio: the file is of this kind, and its format is missing or impossible.
    """
    return read_header_at(file, 0, file.seek(0, 2))


def read_header_at(file: BinaryIO, start: int, end: int) -> SampleFile | None:
    """Read the header of a file that begins at `start` of another one."""
    head = _read(file, start, 40)
    if head[8:12] == b"WAVE" and head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return _read_wave(file, start, end, head)
    if head[:16] == _W64 and head[28:40] == _GUID_TAIL and head[24:28] == b"wave":
        return _read_w64(file, start, end)
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return _read_aiff(file, start, end, head[8:12])
    return _read_au(start, end, head) if head[:4] == b".snd" else None


def wav_header(source: SampleFile, length: int) -> bytes:
    """Return the header of a WAV file with `length` bytes of these samples; RF64 if they do not fit into WAV."""
    body = _chunk(b"fmt ", source.format_body)
    if source.tag != PCM and source.has_plain_samples:
        body += _chunk(b"fact", pack("<I", min(length // source.block, _MAX_RIFF)))
    total = 4 + len(body) + 8 + length + length % 2
    if total > _MAX_RIFF:
        sizes = pack("<QQQI", total + 36, length, length // source.block, 0)
        return (
            b"RF64" + pack("<I", _MAX_RIFF) + b"WAVE" + _chunk(b"ds64", sizes) + body + b"data" + pack("<I", _MAX_RIFF)
        )
    return b"RIFF" + pack("<I", total) + b"WAVE" + body + b"data" + pack("<I", length)


# WAV


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    offset: int
    size: int


def _read_wave(file: BinaryIO, start: int, end: int, head: bytes) -> SampleFile:
    order = ">" if head[:4] == b"RIFX" else "<"
    chunks, rest = _chunks(file, start + 12, end, order)
    format_chunk = next((chunk for chunk in chunks if chunk.name == b"fmt "), None)
    if format_chunk is None:
        format_chunk = _format_after_samples(file, chunks, end, order)
    body = _read(file, format_chunk.offset, min(format_chunk.size, _MAX_FORMAT))
    source = _of_format("wav", body, order)
    long_size = _size_in_ds64(file, chunks) if head[:4] in {b"RF64", b"BW64"} else None
    listed = [chunk for chunk in chunks if chunk.name == b"data"]
    data = listed or [_lost_samples(file, chunks, end, order)]
    ranges, next_file, announced = _sample_ranges(file, data, rest, end, order, long_size)
    riff_size = unpack_from("<I", head, 4)[0]
    is_whole = start == 0 and next_file is None and riff_size + 8 in {end, end - 1} and rest == end
    in_order = len(listed) == 1 and format_chunk.offset < data[0].offset
    is_padded = all(chunk.offset % 2 == 0 for chunk in chunks)
    exact = announced == sum(length for _, length in ranges)
    sound = _agrees(body, source)
    return replace(
        source,
        ranges=ranges,
        announced=announced,
        next_file=next_file,
        is_valid=head[:4] == b"RIFF" and is_whole and in_order and is_padded and exact and sound,
    )


def _chunks(file: BinaryIO, at: int, end: int, order: str) -> tuple[list[_Chunk], int]:
    """The chunks of a RIFF file, and where what is no chunk begins (or the end)."""
    found: list[_Chunk] = []
    header = Struct(f"{order}4sI")
    while at + 8 <= end and len(found) < MAX_CHUNKS:
        name, size = header.unpack(_read(file, at, 8))
        if not _is_name(name):
            # Some writers leave out the byte that pads a chunk of odd size.
            shifted = _read(file, at - 1, 4)
            if not (found and found[-1].size % 2 and _is_name(shifted)):
                return found, at
            at -= 1
            continue
        if name in {b"RIFF", b"RIFX", b"RF64"}:
            return found, at
        found.append(_Chunk(name, at + 8, size))
        if name == b"data" and (_is_unknown(size) or at + 8 + size > end):
            return found, end
        at += 8 + size + size % 2
    return found, min(at, end)


def _sample_ranges(
    file: BinaryIO, data: list[_Chunk], rest: int, end: int, order: str, long_size: int | None
) -> tuple[tuple[tuple[int, int], ...], int | None, int | None]:
    """The ranges of samples, where an appended file begins, and how many bytes the header announces."""
    ranges = [(chunk.offset, chunk.size) for chunk in data[:-1]]
    last = data[-1]
    if long_size and last.offset + long_size <= end:
        return ((*ranges, (last.offset, long_size))), None, long_size
    if _is_unknown(last.size) or last.offset + last.size > end:
        stop = _start_of_trailer(file, last.offset, end, order)
        announced = None if _is_unknown(last.size) else sum(size for _, size in ranges) + last.size
        return (*ranges, (last.offset, stop - last.offset)), None, announced
    ranges.append((last.offset, last.size))
    announced = sum(size for _, size in ranges)
    if rest >= end:
        return tuple(ranges), None, announced
    if _read(file, rest, 4) in {b"RIFF", b"RIFX", b"RF64"}:
        return tuple(ranges), rest, announced
    follows = last.offset + last.size
    if rest - follows <= 1 and not _is_padding(file, follows, end):
        # Bytes right behind the samples that are no chunk: the size was too small.
        ranges[-1] = (last.offset, _start_of_trailer(file, follows, end, order) - last.offset)
    return tuple(ranges), None, announced


def _start_of_trailer(file: BinaryIO, start: int, end: int, order: str) -> int:
    """Where the chunks after samples of unknown size begin: those that lead exactly to the end of the file."""
    first = max(start, end - MAX_TAIL)
    tail = _read(file, first, end - first)
    places = sorted({at for name in _TRAILERS for at in _places(tail, name)})
    header = Struct(f"{order}4sI")
    for place in places:
        at = place
        while at + 8 <= len(tail):
            name, size = header.unpack_from(tail, at)
            if not _is_name(name):
                break
            at += 8 + size + size % 2
        if at in {len(tail), len(tail) + 1}:
            return first + place
    if tail[-_ID3V1 : -_ID3V1 + 3] == b"TAG":
        return end - _ID3V1
    return end


def _places(tail: bytes, name: bytes) -> Iterator[int]:
    at = tail.find(name)
    while at >= 0:
        yield at
        at = tail.find(name, at + 1)


def _format_after_samples(file: BinaryIO, chunks: list[_Chunk], end: int, order: str) -> _Chunk:
    """The format of a file whose `data`, of unknown size, comes first."""
    first = max(0, end - MAX_TAIL)
    tail = _read(file, first, end - first)
    at = tail.rfind(b"fmt ")
    if not any(chunk.name == b"data" for chunk in chunks) or at < 0 or at + 24 > len(tail):
        message = "the WAV file has no fmt chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    return _Chunk(b"fmt ", first + at + 8, unpack_from(f"{order}I", tail, at + 4)[0])


def _lost_samples(file: BinaryIO, chunks: list[_Chunk], end: int, order: str) -> _Chunk:
    """Find the samples of a file in which the size of an earlier chunk is wrong."""
    first = min((chunk.offset for chunk in chunks), default=12)
    text = _read(file, first, min(end - first, MAX_TAIL))
    at = text.find(b"data")
    if at < 0 or at + 8 > len(text):
        message = "the WAV file has no data chunk, so it is not known where its samples are"
        raise NotAudio(message)
    return _Chunk(b"data", first + at + 8, unpack_from(f"{order}I", text, at + 4)[0])


def _size_in_ds64(file: BinaryIO, chunks: list[_Chunk]) -> int | None:
    chunk = next((chunk for chunk in chunks if chunk.name == b"ds64"), None)
    body = b"" if chunk is None else _read(file, chunk.offset, 16)
    return unpack_from("<Q", body, 8)[0] or None if len(body) == 16 else None  # noqa: PLR2004 - two sizes


def _agrees(body: bytes, source: SampleFile) -> bool:
    """Whether the block size and the byte rate in a `fmt ` chunk are those of its samples."""
    if not source.has_plain_samples:
        return True
    _tag, _channels, rate, per_second, block = unpack_from("<HHIIH", body)
    return bool(block == source.block and per_second == rate * block)


# Other kinds


def _read_w64(file: BinaryIO, start: int, end: int) -> SampleFile:
    at, source, data = start + 40, None, None
    for _ in range(MAX_CHUNKS):
        head = _read(file, at, 24)
        if len(head) < 24 or head[4:16] != _GUID_TAIL:  # noqa: PLR2004 - a header
            break
        size = unpack_from("<Q", head, 16)[0]
        if head[:4] == b"fmt ":
            source = _of_format("w64", _read(file, at + 24, min(max(size - 24, 0), _MAX_FORMAT)), "<")
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
        head = _read(file, at, 8)
        if len(head) < 8 or not _is_name(head[:4]):  # noqa: PLR2004 - a header
            break
        size = unpack_from(">I", head, 4)[0]
        if head[:4] == b"COMM":
            source = _of_comm(_read(file, at + 8, min(size, _MAX_FORMAT)), form)
            if source is None:
                return None
        elif head[:4] == b"SSND":
            skipped = unpack_from(">I", _read(file, at + 8, 4).ljust(4, b"\0"))[0]
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
    stop = offset + size if known else _start_of_trailer(file, offset, end, ">")
    announced = size if size > 0 and not _is_unknown(size + 8) else None
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
        return _made("aiff", _AIFF_LAWS[coding], channels, rate, 8)
    if coding in _AIFF_FLOATS:
        return _made("aiff", FLOAT, channels, rate, 32 if coding[2:] == b"32" else 64, big_endian=True)
    if coding in _AIFF_PLAIN:
        return _made("aiff", PCM, channels, rate, bits, big_endian=_AIFF_PLAIN[coding])
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
    source = _made("au", tag, channels, rate, bits, big_endian=True)
    first = start + max(offset, 24)
    there = max(0, end - first)
    known = 0 < size <= there
    announced = None if _is_unknown(size) else size
    return replace(source, ranges=((first, size if known else there),), announced=announced)


def _of_format(kind: str, body: bytes, order: str) -> SampleFile:
    """Read the body of a `fmt ` chunk."""
    try:
        tag, channels, rate, _per_second, block, bits = unpack_from(f"{order}HHIIHH", body)
    except error as wrong:
        message = "the fmt chunk of the file is too short"
        raise NotAudio(message) from wrong
    is_extensible = tag == EXTENSIBLE and len(body) >= 40  # noqa: PLR2004 - of the format
    if is_extensible and body[26:40] == _SUBFORMAT_TAIL:
        tag = unpack_from(f"{order}H", body, 24)[0]
    if tag in SAMPLE_TAGS:
        return _made(kind, tag, channels, rate, bits, big_endian=order == ">")
    if order == ">":
        body = pack("<HHIIHH", tag, channels, rate, _per_second, block, bits) + body[16:]
    _check_shape(channels, rate)
    return SampleFile(kind, tag, channels, rate, bits, max(block, 1), body, ())


def _made(kind: str, tag: int, channels: int, rate: int, bits: int, *, big_endian: bool = False) -> SampleFile:
    _check_shape(channels, rate)
    if not 1 <= bits <= 64:  # noqa: PLR2004 - bits
        message = f"samples of {bits} bits are not possible"
        raise NotAudio(message)
    width = (bits + 7) // 8
    block = channels * width
    body = pack("<HHIIHH", tag, channels, rate, rate * block % (1 << 32), block, width * 8)
    return SampleFile(kind, tag, channels, rate, width * 8, block, body, (), big_endian=big_endian)


def _check_shape(channels: int, rate: int) -> None:
    if not 1 <= channels <= 64:  # noqa: PLR2004 - FFmpeg's own bound
        message = f"a file of {channels} channels is not audio"
        raise NotAudio(message)
    if not 1_000 <= rate <= 384_000:  # noqa: PLR2004 - as for every container
        message = f"a sample rate of {rate} Hz is not audio"
        raise NotAudio(message)


def _is_unknown(size: int) -> bool:
    return size in _UNKNOWN or size in _PIPE or size >= _MAX_RIFF - 4_096


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name[:1] != b" "  # noqa: PLR2004 - ASCII


def _is_padding(file: BinaryIO, start: int, end: int) -> bool:
    """Whether the rest of a file is zeros of at most one block of a disk, or a tag of MP3's (ID3v1)."""
    rest = end - start
    if rest > 4_096 + 1:
        return False
    text = _read(file, start, rest)
    return not text.strip(b"\0") or (rest in {_ID3V1, _ID3V1 + 1} and text[-_ID3V1 : -_ID3V1 + 3] == b"TAG")


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(max(offset, 0))
    return file.read(max(length, 0))
