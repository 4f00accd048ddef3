"""The first frame of an MP3 file of a constant bit rate. It is silent, and says how long the audio is.

An encoder adds silence before and after the audio. The tags of Xing and LAME in this frame say how many samples, so
that players leave them out.
"""

from dataclasses import dataclass
from struct import pack
from typing import BinaryIO, Final

_MIN_LENGTH: Final = 4 + 17 + 156
"""The bytes of the longest frame that is needed: its header, its side information, and the tags."""
_RATE_OF_SHORT: Final = 64_000
_INDEX_OF_SHORT: Final = 8
_PSYCHOACOUSTICS: Final = 0x14
"""LAME's usual model of hearing."""
_PERIOD: Final = 32_767
"""x to this power is 1 modulo the polynomial of CRC-16. So parts of this length can be added before the division."""


@dataclass(frozen=True, slots=True)
class Mp3Stream:
    """Frames of LAME. `bit_rate` is in bits per second. `delay` is the number of samples before the audio."""

    sample_rate: int
    channels: int
    bit_rate: int
    delay: int

    @property
    def frame_samples(self) -> int:
        """The samples of a frame: 1152 in MPEG-1, and 576 in MPEG-2 and 2.5 (ISO/IEC 13818-3)."""
        return 1_152 if self._is_mpeg_1 else 576

    @property
    def first_length(self) -> int:
        """The length of the first frame, in bytes."""
        return self._frame_length(_RATE_OF_SHORT if self._is_short else self.bit_rate)

    def first_frame(self, header: bytes, samples: int, length: int, crc: int) -> bytes:
        """Return the first frame.

        `header` is that of another frame. `samples` is the length of the audio. `length` is the number of bytes of all
        other frames, and `crc` is their CRC-16.
        """
        # Some frames have one byte more, so that the bit rate is right on average.
        frames = round(length * 8 * self.sample_rate / (self.frame_samples * self.bit_rate))
        padding = frames * self.frame_samples - self.delay - samples
        total = self.first_length + length
        places = bytes(percent * 256 // 100 for percent in range(100))
        frame = self._header(header) + bytes(self._side_length)
        frame += b"Info" + pack(">III", 0b1111, frames, total) + places + pack(">I", 50)
        frame += b"LAME4.0  \x01" + bytes(9) + bytes((_PSYCHOACOUSTICS, self.bit_rate // 1_000))
        frame += (self.delay << 12 | padding).to_bytes(3, "big") + bytes((self._source, 0, 0, 0))
        frame += pack(">IH", total, crc)
        return (frame + pack(">H", crc16(frame))).ljust(self.first_length, b"\0")

    @property
    def _is_mpeg_1(self) -> bool:
        return self.sample_rate >= 32_000  # noqa: PLR2004 - the lowest rate of MPEG-1

    @property
    def _is_short(self) -> bool:
        return self._frame_length(self.bit_rate) < _MIN_LENGTH

    @property
    def _side_length(self) -> int:
        return ((17, 32) if self._is_mpeg_1 else (9, 17))[self.channels - 1]

    @property
    def _source(self) -> int:
        """The stereo mode and the rate of the source, as LAME's tag writes them."""
        rate = 2 if self.sample_rate > 44_100 else 1 if self.sample_rate > 32_000 else 0  # noqa: PLR2004 - of the tag
        return rate << 6 | (3 << 2 if self.channels > 1 else 0)

    def _frame_length(self, bit_rate: int) -> int:
        return self.frame_samples // 8 * bit_rate // self.sample_rate

    def _header(self, other: bytes) -> bytes:
        index = _INDEX_OF_SHORT if self._is_short else other[2] >> 4
        # Without the bit that lengthens a frame by one byte.
        return bytes((other[0], other[1], index << 4 | other[2] & 0b1101, other[3]))


def crc16(data: bytes) -> int:
    """Return the CRC-16 of LAME's tag: polynomial 0x8005, the lowest bit first."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def crc16_of(file: BinaryIO, start: int, end: int) -> int:
    """Return the CRC-16 of a part of a file. It adds up the parts first, because a loop over the bytes is slow."""
    total = 0
    file.seek(start)
    size = (end - start) % _PERIOD or _PERIOD
    while file.tell() < end:
        total ^= int.from_bytes(file.read(size), "little") << 8 * (_PERIOD - size)
        size = _PERIOD
    # Each part has eight times as many bits as the period. The first bit of the bytes is the lowest one.
    mask = (1 << _PERIOD) - 1
    bits = 0
    for part in range(8):
        bits ^= total >> part * _PERIOD & mask
    return crc16((bits << 1).to_bytes((_PERIOD + 1) // 8, "little"))


def _entry(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


_TABLE: Final = tuple(_entry(byte) for byte in range(256))
