"""Makes one stereo WAV file of the WAV files of two sides, which Asterisk writes as 16-bit mono. No I/O.

The sides begin together. The shorter one is filled up with silence.
"""

import struct
from array import array
from typing import Final

HEADER: Final = 44
"""The length of the header that Asterisk writes, in bytes."""
MAX_HEADER: Final = 4_096
"""Maximum length of a header that is searched for the audio."""
_SAMPLE: Final = 2
_LONGEST: Final = 0xFFFF_FFFF - HEADER


class WavBody:
    """Returns the samples of a WAV file, of which the bytes come in any pieces.

    The lengths in the header are not used: they are wrong if Asterisk crashed. A header that cannot be read is left
    out, and the rest is audio.
    """

    def __init__(self) -> None:
        self.header: int | None = None
        """The length of the header; `None` until it is known."""
        self.rate: int | None = None
        self._buffer = b""

    def feed(self, data: bytes) -> bytes:
        """Return the samples in these bytes."""
        self._buffer += data
        if self.header is None and not self._find_audio():
            return b""
        whole = len(self._buffer) // _SAMPLE * _SAMPLE
        samples, self._buffer = self._buffer[:whole], self._buffer[whole:]
        return samples

    def _find_audio(self) -> bool:
        """Read the header. Return true if all of it is known."""
        at, buffer = 12, self._buffer
        if len(buffer) < at:
            return False
        if buffer[:4] != b"RIFF" or buffer[8:12] != b"WAVE":
            return self._skip(HEADER)
        while at + 8 <= len(buffer):
            name, length = struct.unpack_from("<4sI", buffer, at)
            at += 8
            if name == b"data":
                return self._skip(at)
            if name == b"fmt " and len(buffer) >= at + 8:
                (self.rate,) = struct.unpack_from("<I", buffer, at + 4)
            at += length + length % 2
        return self._skip(HEADER) if at > MAX_HEADER else False

    def _skip(self, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self.header = length
        self._buffer = self._buffer[length:]
        return True


class Interleaver:
    """Interleaves the samples of two sides."""

    def __init__(self) -> None:
        self._sides = (bytearray(), bytearray())
        self._ended = [False, False]

    def add(self, side: int, samples: bytes) -> None:
        """Add samples of a side."""
        self._sides[side].extend(samples)

    def end(self, side: int) -> None:
        """Note that a side has no more samples. It is silent while the other side continues."""
        self._ended[side] = True

    def next_side(self) -> int | None:
        """Return the side whose samples are needed next; `None` if both have ended."""
        open_sides = [side for side in (0, 1) if not self._ended[side]]
        return min(open_sides, key=lambda side: len(self._sides[side]), default=None)

    def take(self) -> bytes:
        """Return what both sides have."""
        longest = max(map(len, self._sides))
        for side, has_ended in zip(self._sides, self._ended, strict=True):
            if has_ended:
                side.extend(bytes(longest - len(side)))
        length = min(map(len, self._sides)) // _SAMPLE * _SAMPLE
        stereo = array("h", bytes(2 * length))
        for number, side in enumerate(self._sides):
            # The two bytes of a sample stay together, so the byte order of this machine does not matter.
            stereo[number::2] = array("h", bytes(side[:length]))
            del side[:length]
        return stereo.tobytes()


def wav_header(rate: int, channels: int, length: int) -> bytes:
    """Return the header of a file with this many bytes of audio."""
    length = min(length, _LONGEST)
    frame = channels * _SAMPLE
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 8 * _SAMPLE)
    return struct.pack("<4sI4s", b"RIFF", length + 36, b"WAVE") + form + struct.pack("<4sI", b"data", length)
