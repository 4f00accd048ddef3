"""Headers of WAV files: RIFF, RIFX, RF64 and BW64, with their chunks in any order."""

from dataclasses import dataclass, replace
from struct import Struct, unpack_from
from typing import BinaryIO, Final

from adapters.audio.sample_ends import MAX_TAIL, find_end, is_trailer
from adapters.audio.sample_file import (
    EXTENSIBLE,
    MAX_CHUNKS,
    MAX_FORMAT,
    MAX_RIFF,
    SampleFile,
    is_chunk_name,
    is_extended,
    is_unknown,
    of_format,
    read_at,
)
from recordings.ports.audio import NotAudio

_FILES: Final = frozenset({b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: its name, and the offset and the size of its body. The size may be wrong."""

    name: bytes
    offset: int
    size: int


def read_wave(file: BinaryIO, start: int, end: int, head: bytes) -> SampleFile:
    """Read the header of a WAV file.

    Raises:
        NotAudio: the format or the position of the samples is unknown.
    """
    order = ">" if head[:4] == b"RIFX" else "<"
    long_size = _size_in_ds64(file, start, end) if head[:4] in {b"RF64", b"BW64"} else None
    chunks, rest = read_chunks(file, start + 12, end, order, b"data", long_size)
    formats = [chunk for chunk in chunks if chunk.name == b"fmt "]
    format_chunk = formats[0] if formats else _format_after_samples(file, chunks, end, order)
    # A size below 16 is wrong or the one of the oldest format, which has 14 bytes.
    wanted = format_chunk.size if format_chunk.size >= 14 else 16  # noqa: PLR2004 - of the format
    body = read_at(file, format_chunk.offset, min(wanted, MAX_FORMAT))
    source = of_format("wav", body, order)
    listed = [chunk for chunk in chunks if chunk.name == b"data"]
    if not listed and _is_header_only(chunks, end):
        return source
    data = listed or [_lost_samples(file, chunks, end, order)]
    ranges, next_file, announced = _sample_ranges(file, data, (rest, end), order, source.block)
    riff_size = unpack_from("<I", head, 4)[0]
    is_whole = start == 0 and next_file is None and riff_size + 8 in {end, end - 1} and rest == end
    in_order = len(listed) == len(formats) == 1 and format_chunk.offset < data[0].offset
    is_padded = all(chunk.offset % 2 == 0 for chunk in chunks)
    exact = announced == sum(length for _, length in ranges)
    return replace(
        source,
        ranges=ranges,
        announced=announced,
        next_file=next_file,
        is_valid=head[:4] == b"RIFF" and is_whole and in_order and is_padded and exact and _agrees(body, source),
    )


def read_chunks(
    file: BinaryIO, at: int, end: int, order: str, samples: bytes, long_size: int | None = None
) -> tuple[list[Chunk], int]:
    """Return the chunks of a file, and where the bytes after the last chunk begin.

    `samples` is the name of the chunk with samples. If its size is unknown or too large, it is the last chunk.
    `long_size` is its size in RF64.
    """
    found: list[Chunk] = []
    header = Struct(f"{order}4sI")
    while at + 8 <= end and len(found) < MAX_CHUNKS:
        name, size = header.unpack(read_at(file, at, 8))
        if not is_chunk_name(name):
            # Some writers leave out the byte that pads a chunk of odd size.
            shifted = read_at(file, at - 1, 4)
            if not (found and found[-1].size % 2 and is_chunk_name(shifted)):
                return found, at
            at -= 1
            continue
        if name in _FILES:
            return found, at
        beyond = at + 8 + size - end
        if name == samples:
            if is_unknown(size) and long_size is not None:
                size = long_size
            elif is_unknown(size) and not _is_real(file, at + 8, size, end):
                found.append(Chunk(name, at + 8, 0))
                return found, end
        elif beyond > 1 and not is_trailer(name) and any(chunk.name == samples for chunk in found):
            # Samples that look like the name of a chunk: the size of the samples was too small.
            return found, at
        found.append(Chunk(name, at + 8, size))
        if name == samples and at + 8 + size > end:
            return found, end
        at += 8 + size + size % 2
    return found, min(at, end)


def _is_real(file: BinaryIO, start: int, size: int, end: int) -> bool:
    """Return true if the samples end at the end of the file or before a chunk, although the size looks unknown."""
    after = start + size + size % 2
    name = read_at(file, after, 4)
    return size < MAX_RIFF - 8 and (after in {end, end + 1} or is_trailer(name) or name == b"data")


def _sample_ranges(
    file: BinaryIO, data: list[Chunk], bounds: tuple[int, int], order: str, block: int
) -> tuple[tuple[tuple[int, int], ...], int | None, int | None]:
    """Return the ranges of samples, the position of an appended file, and the length that the header announces."""
    rest, end = bounds
    ranges = [(chunk.offset, chunk.size) for chunk in data[:-1]]
    last = data[-1]
    size = last.size or None
    announced = None if size is None else sum(length for _, length in ranges) + size
    follows = last.offset + last.size
    if size is not None and follows <= end and (rest >= end or rest - follows > 1):
        # Whole chunks follow, or nothing.
        is_file = read_at(file, rest, 4) in _FILES
        return (*ranges, (last.offset, size)), rest if is_file else None, announced
    stop, next_file = find_end(file, "wav", (last.offset, size), end, block, order)
    return (*ranges, (last.offset, stop - last.offset)), next_file, announced


def _format_after_samples(file: BinaryIO, chunks: list[Chunk], end: int, order: str) -> Chunk:
    """Find the `fmt ` chunk of a file whose `data` chunk comes first and has an unknown size."""
    found = find_in_tail(file, b"fmt ", end, order) if any(chunk.name == b"data" for chunk in chunks) else None
    if found is None:
        message = "the WAV file has no fmt chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    return found


def find_in_tail(file: BinaryIO, name: bytes, end: int, order: str) -> Chunk | None:
    """Find the last chunk of this name at the end of a file."""
    first = max(0, end - MAX_TAIL)
    tail = read_at(file, first, end - first)
    at = tail.rfind(name)
    if at < 0 or at + 22 > len(tail):
        return None
    return Chunk(name, first + at + 8, unpack_from(f"{order}I", tail, at + 4)[0])


def _is_header_only(chunks: list[Chunk], end: int) -> bool:
    """Return true if a file has only chunks that never contain samples."""
    is_known = all(chunk.name == b"ds64" or is_trailer(chunk.name) for chunk in chunks)
    return bool(chunks) and is_known and chunks[-1].offset + chunks[-1].size in {end, end - 1}


def _lost_samples(file: BinaryIO, chunks: list[Chunk], end: int, order: str) -> Chunk:
    """Find the samples of a file in which the size of an earlier chunk is wrong."""
    first = min((chunk.offset for chunk in chunks), default=12)
    text = read_at(file, first, min(end - first, MAX_TAIL))
    at = text.find(b"data")
    if at < 0 or at + 8 > len(text):
        message = "the WAV file has no data chunk, so the position of its samples is unknown"
        raise NotAudio(message)
    size = unpack_from(f"{order}I", text, at + 4)[0]
    return Chunk(b"data", first + at + 8, 0 if is_unknown(size) else size)


def _size_in_ds64(file: BinaryIO, start: int, end: int) -> int | None:
    """Return the size of the samples in the `ds64` chunk; `None` if it is not known."""
    chunks, _rest = read_chunks(file, start + 12, end, "<", b"data")
    chunk = next((chunk for chunk in chunks if chunk.name == b"ds64"), None)
    body = b"" if chunk is None else read_at(file, chunk.offset, 16)
    size = unpack_from("<Q", body, 8)[0] if len(body) == 16 else 0  # noqa: PLR2004 - two sizes
    return size if 0 < size < 1 << 62 else None


def _agrees(body: bytes, source: SampleFile) -> bool:
    """Return true if the size of a `fmt ` chunk, its block size, byte rate and bits match its samples."""
    if len(body) < 16 or len(body) % 2:  # noqa: PLR2004 - of the format
        return False
    if not source.has_plain_samples:
        return True
    tag, _channels, rate, per_second, block, bits = unpack_from("<HHIIHH", body)
    used = unpack_from("<H", body, 18)[0] if is_extended(body) else bits
    if tag == EXTENSIBLE and not is_extended(body):
        return False
    return bool(block == source.block and per_second == rate * block and bits == used == source.bits)
