"""The output formats, and the files that a job makes in them. The parent of the workers uses it without FFmpeg."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

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


def file_of(stem: Path, format: Format) -> Path:
    """Return the path of a rendered file."""
    return stem.with_name(f"{stem.name}.{format.name}")


def part_of(path: Path) -> Path:
    """Return the path of a file while it is being written."""
    return path.with_name(f".{path.name}.part")
