"""Encode MP3 with LAME. FFmpeg's wheels have a LAME, too, but it is built without the fast code for x86."""

from typing import BinaryIO, Final

import lameenc

from adapters.audio.mp3_tag import Mp3Stream, crc16_of

_QUALITY: Final = 7
"""A fast level of LAME. It saves a third of the time, and the difference is inaudible in a call."""
_PORTION: Final = 1 << 20
"""Bytes of samples that are encoded at a time. LAME is slower if other code runs often between its calls."""
_SILENCE: Final = 47
_DELAY: Final = 576 + _SILENCE
"""The samples before the audio: those of LAME, and silence. With the 529 of every decoder, they fill whole frames.

FFmpeg does not shorten one frame at both ends.
"""

_SHORTEST: Final = 2_305
"""Samples below which silence follows. Readers recognize a file by several frames, and the padding has 12 bits."""
_ID3: Final = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
"""An empty ID3 tag, because many programs recognize MP3 files by it."""


class Mp3File:
    """An MP3 file that is being written to a seekable file."""

    def __init__(self, file: BinaryIO, sample_rate: int, channels: int, bit_rate: int) -> None:
        self._file = file
        self._stream = Mp3Stream(sample_rate, channels, bit_rate, _DELAY)
        self._samples = bytearray(2 * channels * _SILENCE)
        self._encoder = lameenc.Encoder()
        self._encoder.silence()
        self._encoder.set_in_sample_rate(sample_rate)
        self._encoder.set_out_sample_rate(sample_rate)
        self._encoder.set_channels(channels)
        self._encoder.set_bit_rate(bit_rate // 1_000)
        self._encoder.set_quality(_QUALITY)
        file.write(_ID3 + bytes(self._stream.first_length))

    def write(self, samples: bytes) -> None:
        """Encode interleaved signed 16-bit samples."""
        self._samples += samples
        if len(self._samples) >= _PORTION:
            self._encode()

    def close(self, samples: int) -> None:
        """Write the rest, and then the first frame. `samples` is the number of samples in each channel."""
        self._samples += bytes(2 * self._stream.channels * max(_SHORTEST - samples, 0))
        self._encode()
        self._file.write(self._encoder.flush())
        start, end = len(_ID3) + self._stream.first_length, self._file.tell()
        crc = crc16_of(self._file, start, end)
        self._file.seek(start)
        header = self._file.read(4)
        self._file.seek(len(_ID3))
        self._file.write(self._stream.first_frame(header, samples, end - start, crc))
        self._file.seek(end)

    def _encode(self) -> None:
        self._file.write(self._encoder.encode(bytes(self._samples)))
        self._samples.clear()
