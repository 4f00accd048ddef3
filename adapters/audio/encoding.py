"""Encode audio frames as a file in one of the output formats."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Final, cast

import av
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from adapters.audio.mp3_file import Mp3File
from adapters.audio.pcm import resample
from recordings.model.instants import SECOND, Millis

MIN_RATE: Final = 8_000
MAX_RATE: Final = 48_000
_HEADERS: Final = 64 * 1024
_PADDING_MS: Final = 1_000
_RATES: Final = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
}


@dataclass(frozen=True, slots=True)
class Format:
    """An output format. `content_type` is the one of the v2 API (docs/v2_contract.md, section 8)."""

    name: str
    content_type: str
    codec: str
    samples: str

    def rate_near(self, sample_rate: int) -> int:
        """Return the rate to store audio of `sample_rate` at: the same if the format has it, else the next higher."""
        bounded = min(max(sample_rate, MIN_RATE), MAX_RATE)
        return next((rate for rate in _RATES.get(self.name, ()) if rate >= bounded), bounded)


MP3: Final = Format("mp3", "audio/mpeg", "mp3", "s16")
WAV: Final = Format("wav", "audio/x-wav", "pcm_s16le", "s16")
OPUS: Final = Format("opus", "audio/ogg", "libopus", "s16")
FLAC: Final = Format("flac", "audio/flac", "flac", "s16")
FORMATS: Final = {format.name: format for format in (MP3, WAV, OPUS, FLAC)}
"""All output formats by name. FLAC is for renditions only, and Opus also for audio that would grow too much as MP3."""


class TooManyBytes(Exception):  # noqa: N818 - an expected result
    """The encoded file is larger than its limit."""


def encode(
    frames: Iterable[AudioFrame],
    file: BinaryIO,
    format: Format,
    sample_rate: int,
    channels: int,
    max_bytes: int | None = None,
    low_bit_rate: int | None = None,
) -> int:
    """Write frames to a seekable file. Return the number of samples in each channel.

    With `low_bit_rate`, Opus has this bit rate for speech, and long packets.

    Raises:
        TooManyBytes: the file is larger than `max_bytes`.
    """
    if format is MP3:
        return _encode_mp3(frames, file, sample_rate, channels, max_bytes)
    layout = "stereo" if channels > 1 else "mono"
    written = 0
    # Bit-exact: the file does not name the encoder, so the same audio always gives the same bytes.
    with av.open(file, mode="w", format=format.name, container_options={"fflags": "bitexact"}) as output:
        stream = cast("AudioStream", output.add_stream(format.codec, rate=sample_rate, layout=layout))
        stream.codec_context.format = AudioFormat(format.samples)
        if format is OPUS:
            stream.bit_rate = low_bit_rate or bit_rate(sample_rate, channels)
        if low_bit_rate is not None:
            stream.options = {"frame_duration": "60", "application": "voip"}
        for frame in resample(frames, format.samples, layout, sample_rate):
            frame.pts, frame.time_base = written, Fraction(1, sample_rate)
            written += frame.samples
            output.mux(stream.encode(frame))
            if max_bytes is not None and file.tell() > max_bytes:
                raise TooManyBytes
        if written:
            output.mux(stream.encode(None))
        else:
            output.start_encoding()
    return written


def _encode_mp3(
    frames: Iterable[AudioFrame], file: BinaryIO, sample_rate: int, channels: int, max_bytes: int | None
) -> int:
    written = 0
    mp3 = Mp3File(file, sample_rate, channels, bit_rate(sample_rate, channels))
    for frame in resample(frames, MP3.samples, "stereo" if channels > 1 else "mono", sample_rate):
        written += frame.samples
        # A plane may be longer than its samples.
        mp3.write(bytes(frame.planes[0])[: 2 * channels * frame.samples])
        if max_bytes is not None and file.tell() > max_bytes:
            raise TooManyBytes
    mp3.close(written)
    return written


def max_length(format: Format, sample_rate: int, channels: int, duration_ms: Millis) -> int:
    """Return an upper bound for the length of an encoded file, in bytes."""
    rate, channels = format.rate_near(sample_rate), min(channels, 2)
    per_second = bit_rate(rate, channels) / 8 if format in {MP3, OPUS} else rate * channels * 2
    # Headers, padding, and audio that does not compress.
    return _HEADERS + round(1.5 * per_second * (duration_ms + _PADDING_MS) / SECOND)


def bit_rate(sample_rate: int, channels: int) -> int:
    """Return a bit rate for MP3 or Opus that suits speech.

    It is 32 kbit/s for each channel at telephone quality and 64 kbit/s at full bandwidth. MPEG-2.5 (up to 12 kHz)
    allows no more than 64 kbit/s for both channels (ISO/IEC 13818-3).
    """
    per_channel = 32_000 if sample_rate <= 12_000 else 48_000 if sample_rate <= 24_000 else 64_000  # noqa: PLR2004
    return per_channel * min(channels, 2)
