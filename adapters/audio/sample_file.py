"""A file of samples: its format, and the ranges of the file that hold samples."""

from dataclasses import dataclass
from struct import pack, unpack_from
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
MAX_FORMAT: Final = 1 << 12
MAX_RIFF: Final = 0xFFFFFFFF
_LARGEST_FILE: Final = 1 << 42
_UNKNOWN: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000})
"""Values that writers use for an unknown size."""
_PIPE: Final = range(0x7F000000, 0x80000100)
"""SoX and others write a size near 2 GiB if the output is a pipe: 0x7FFFF000, 0x7F000008, 0x7FFFFFFF - 36 ..."""
_SUBFORMAT_TAILS: Final = frozenset(
    {bytes.fromhex("000000001000800000aa00389b71"), bytes.fromhex("00002107d3118644c8c1ca000000")}
)
"""The ends of the GUIDs that begin with a format tag: the usual one, and the one of Ambisonic files."""


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
    """The position of another file that was appended to this one."""

    @property
    def length(self) -> int:
        """The number of bytes of samples."""
        return sum(length for _offset, length in self.ranges)

    @property
    def has_plain_samples(self) -> bool:
        """True if a sample can be read without a decoder for a compressed format."""
        return self.tag in SAMPLE_TAGS

    @property
    def raw_format(self) -> str | None:
        """FFmpeg's name for the samples; `None` for a compressed format or an unusual width."""
        if self.tag in {ALAW, MULAW}:
            return "alaw" if self.tag == ALAW else "mulaw"
        if self.tag not in SAMPLE_TAGS:
            return None
        width = self.block // self.channels * 8
        end = "be" if self.big_endian else "le"
        if self.tag == FLOAT:
            return f"f{width}{end}" if width in {32, 64} else None
        if width == 8:  # noqa: PLR2004 - bits
            return "s8" if self.kind in {"aiff", "au", "caf"} else "u8"
        return f"s{width}{end}" if self.tag == PCM and width in {16, 24, 32} else None

    def duration_ms(self, length: int) -> int:
        """Return the duration of `length` bytes of plain samples, in milliseconds."""
        return round(1_000 * (length // self.block) / self.sample_rate)


def of_format(kind: str, body: bytes, order: str) -> SampleFile:
    """Return the description of a file with this body of a `fmt ` chunk. Raise `NotAudio` if it is not possible.

    The last field, the number of bits, may be missing or 0.
    """
    if len(body) < 14:  # noqa: PLR2004 - the shortest known chunk
        message = "the fmt chunk of the file is too short"
        raise NotAudio(message)
    tag, channels, rate, _per_second, block = unpack_from(f"{order}HHIIH", body)
    bits = unpack_from(f"{order}H", body, 14)[0] if len(body) >= 16 else 0  # noqa: PLR2004 - of the format
    if tag == EXTENSIBLE:
        tag = _extended_tag(body, bits, order)
    if tag in SAMPLE_TAGS:
        return of_samples(kind, tag, channels, rate, _bits(tag, channels, block, bits), big_endian=order == ">")
    if order == ">":
        body = pack("<HHIIHH", tag, channels, rate, _per_second, block, bits) + body[16:]
    _check_shape(channels, rate)
    return SampleFile(kind, tag, channels, rate, bits, max(block, 1), body, ())


def is_extended(body: bytes) -> bool:
    """Return true if a `fmt ` chunk has all fields of the extensible format."""
    is_long = len(body) >= 40  # noqa: PLR2004 - of the format
    return is_long and body[:2] in {b"\xfe\xff", b"\xff\xfe"} and body[26:40] in _SUBFORMAT_TAILS


def _extended_tag(body: bytes, bits: int, order: str) -> int:
    """Return the tag in an extensible format. If it is missing, 16 and 24 bits can only be samples."""
    if is_extended(body):
        return int(unpack_from(f"{order}H", body, 24)[0])
    return PCM if bits in {16, 24} else EXTENSIBLE


def _bits(tag: int, channels: int, block: int, bits: int) -> int:
    """Return the bits that a sample takes in the file. Samples of 17 to 31 bits may take four bytes."""
    if tag in {ALAW, MULAW}:
        return 8
    each = block // channels * 8 if channels and block % channels == 0 else 0
    return each if bits == 0 or (16 < bits < each == 32) else bits  # noqa: PLR2004 - bits


def of_samples(kind: str, tag: int, channels: int, rate: int, bits: int, *, big_endian: bool = False) -> SampleFile:
    """Return the description of a file of plain samples. Raise `NotAudio` if it is not possible."""
    _check_shape(channels, rate)
    if not 1 <= bits <= 64:  # noqa: PLR2004 - bits
        message = f"samples of {bits} bits are not possible"
        raise NotAudio(message)
    width = (bits + 7) // 8
    block = channels * width
    body = pack("<HHIIHH", tag, channels, rate, rate * block % (1 << 32), block, width * 8)
    return SampleFile(kind, tag, channels, rate, width * 8, block, body, (), big_endian=big_endian)


def _check_shape(channels: int, rate: int) -> None:
    if not 1 <= channels <= 64:  # noqa: PLR2004 - FFmpeg's own limit
        message = f"a file of {channels} channels is not audio"
        raise NotAudio(message)
    if not 1_000 <= rate <= 384_000:  # noqa: PLR2004 - the same limits as in `decoding`
        message = f"a sample rate of {rate} Hz is not audio"
        raise NotAudio(message)


def is_unknown(size: int) -> bool:
    """Return true if a size stands for an unknown size."""
    return size in _UNKNOWN or size in _PIPE or size >= MAX_RIFF - 4_096


def is_chunk_name(name: bytes) -> bool:
    """Return true if four bytes can be the name of a chunk."""
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name[:1] != b" "  # noqa: PLR2004 - ASCII


def wav_header(source: SampleFile, length: int) -> bytes:
    """Return the header of a WAV file with `length` bytes of these samples; RF64 if they do not fit into WAV."""
    body = riff_chunk(b"fmt ", source.format_body)
    if source.tag != PCM and source.has_plain_samples:
        body += riff_chunk(b"fact", pack("<I", min(length // source.block, MAX_RIFF)))
    total = 4 + len(body) + 8 + length + length % 2
    if total > MAX_RIFF:
        sizes = pack("<QQQI", total + 36, length, length // source.block, 0)
        return (
            b"RF64"
            + pack("<I", MAX_RIFF)
            + b"WAVE"
            + riff_chunk(b"ds64", sizes)
            + body
            + b"data"
            + pack("<I", MAX_RIFF)
        )
    return b"RIFF" + pack("<I", total) + b"WAVE" + body + b"data" + pack("<I", length)


def riff_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk with its header and its padding."""
    return name + pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read bytes at an offset; fewer at the end of the file. The offset may be an impossible one from a header."""
    if offset > _LARGEST_FILE:
        return b""
    file.seek(max(offset, 0))
    return file.read(max(length, 0))
