"""Headers of WAV files: RIFF, RIFX, RF64 and BW64, with their chunks in any order."""

from dataclasses import dataclass, replace
from struct import Struct, unpack_from
from typing import BinaryIO

from adapters.audio.sample_file import (
    ID3V1,
    MAX_CHUNKS,
    MAX_FORMAT,
    MAX_TAIL,
    SampleFile,
    is_chunk_name,
    is_unknown,
    of_format,
    read_at,
    start_of_trailer,
)
from recordings.ports.audio import NotAudio


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    offset: int
    size: int


def read_wave(file: BinaryIO, start: int, end: int, head: bytes) -> SampleFile:
    """Read the header of a WAV file.

    Raises:
        NotAudio: the format or the position of the samples is unknown.
    """
    order = ">" if head[:4] == b"RIFX" else "<"
    chunks, rest = _chunks(file, start + 12, end, order)
    format_chunk = next((chunk for chunk in chunks if chunk.name == b"fmt "), None)
    if format_chunk is None:
        format_chunk = _format_after_samples(file, chunks, end, order)
    body = read_at(file, format_chunk.offset, min(format_chunk.size, MAX_FORMAT))
    source = of_format("wav", body, order)
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
    """Return the chunks of a RIFF file, and where the bytes after the last chunk begin."""
    found: list[_Chunk] = []
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
        if name in {b"RIFF", b"RIFX", b"RF64"}:
            return found, at
        found.append(_Chunk(name, at + 8, size))
        if name == b"data" and (is_unknown(size) or at + 8 + size > end):
            return found, end
        at += 8 + size + size % 2
    return found, min(at, end)


def _sample_ranges(
    file: BinaryIO, data: list[_Chunk], rest: int, end: int, order: str, long_size: int | None
) -> tuple[tuple[tuple[int, int], ...], int | None, int | None]:
    """Return the ranges of samples, the position of an appended file, and the length that the header announces."""
    ranges = [(chunk.offset, chunk.size) for chunk in data[:-1]]
    last = data[-1]
    if long_size and last.offset + long_size <= end:
        return ((*ranges, (last.offset, long_size))), None, long_size
    if is_unknown(last.size) or last.offset + last.size > end:
        stop = start_of_trailer(file, last.offset, end, order)
        announced = None if is_unknown(last.size) else sum(size for _, size in ranges) + last.size
        return (*ranges, (last.offset, stop - last.offset)), None, announced
    ranges.append((last.offset, last.size))
    announced = sum(size for _, size in ranges)
    if rest >= end:
        return tuple(ranges), None, announced
    if read_at(file, rest, 4) in {b"RIFF", b"RIFX", b"RF64"}:
        return tuple(ranges), rest, announced
    follows = last.offset + last.size
    if rest - follows <= 1 and not _is_padding(file, follows, end):
        # The bytes after the samples are not a chunk, so the size of the samples was too small.
        ranges[-1] = (last.offset, start_of_trailer(file, follows, end, order) - last.offset)
    return tuple(ranges), None, announced


def _format_after_samples(file: BinaryIO, chunks: list[_Chunk], end: int, order: str) -> _Chunk:
    """Find the `fmt ` chunk of a file whose `data` chunk comes first and has an unknown size."""
    first = max(0, end - MAX_TAIL)
    tail = read_at(file, first, end - first)
    at = tail.rfind(b"fmt ")
    if not any(chunk.name == b"data" for chunk in chunks) or at < 0 or at + 24 > len(tail):
        message = "the WAV file has no fmt chunk, so the format of its samples is unknown"
        raise NotAudio(message)
    return _Chunk(b"fmt ", first + at + 8, unpack_from(f"{order}I", tail, at + 4)[0])


def _lost_samples(file: BinaryIO, chunks: list[_Chunk], end: int, order: str) -> _Chunk:
    """Find the samples of a file in which the size of an earlier chunk is wrong."""
    first = min((chunk.offset for chunk in chunks), default=12)
    text = read_at(file, first, min(end - first, MAX_TAIL))
    at = text.find(b"data")
    if at < 0 or at + 8 > len(text):
        message = "the WAV file has no data chunk, so the position of its samples is unknown"
        raise NotAudio(message)
    return _Chunk(b"data", first + at + 8, unpack_from(f"{order}I", text, at + 4)[0])


def _size_in_ds64(file: BinaryIO, chunks: list[_Chunk]) -> int | None:
    chunk = next((chunk for chunk in chunks if chunk.name == b"ds64"), None)
    body = b"" if chunk is None else read_at(file, chunk.offset, 16)
    return unpack_from("<Q", body, 8)[0] or None if len(body) == 16 else None  # noqa: PLR2004 - two sizes


def _agrees(body: bytes, source: SampleFile) -> bool:
    """Return true if the block size and the byte rate in a `fmt ` chunk match its samples."""
    if not source.has_plain_samples:
        return True
    _tag, _channels, rate, per_second, block = unpack_from("<HHIIH", body)
    return bool(block == source.block and per_second == rate * block)


def _is_padding(file: BinaryIO, start: int, end: int) -> bool:
    """Return true if the rest of a file is padding: the zeros of at most one disk block, or an ID3v1 tag."""
    rest = end - start
    if rest > 4_096 + 1:
        return False
    text = read_at(file, start, rest)
    return not text.strip(b"\0") or (rest in {ID3V1, ID3V1 + 1} and text[-ID3V1 : -ID3V1 + 3] == b"TAG")
