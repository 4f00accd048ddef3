"""Test sounds with exactly known samples, and helpers to measure decoded audio."""

import math
import struct
import wave
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame

LEFT, RIGHT = 440, 1_000


def sine(frequency: float, rate: int, seconds: float, level: int = 12_000) -> bytes:
    """Return signed 16-bit samples of a tone."""
    count = round(rate * seconds)
    return array("h", (round(level * math.sin(math.tau * frequency * i / rate)) for i in range(count))).tobytes()


def interleave(left: bytes, right: bytes) -> bytes:
    both = array("h", bytes(len(left) + len(right)))
    both[0::2], both[1::2] = array("h", left), array("h", right)
    return both.tobytes()


def mulaw(samples: bytes) -> bytes:
    """Encode samples as G.711 mu-law with a textbook encoder that is independent of the decoder under test."""
    return bytes(map(_mulaw_byte, array("h", samples)))


def _mulaw_byte(sample: int) -> int:
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32_635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def write_wav(path: Path, samples: bytes, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


def lie_about_length(path: Path, claimed: int) -> None:
    """Make a WAV file's header claim `claimed` bytes of audio."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 4, claimed + 36)
    struct.pack_into("<I", data, 40, claimed)
    path.write_bytes(data)


def write_as(path: Path, codec: str, samples: bytes, rate: int, channels: int = 1) -> Path:
    """Write a file in the format of its extension."""
    layout = "stereo" if channels > 1 else "mono"
    frame = AudioFrame(format="s16", layout=layout, samples=len(samples) // 2 // channels)
    frame.planes[0].update(samples)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        for part in (frame, None):
            output.mux(stream.encode(part))  # type: ignore[union-attr, arg-type]
    return path


@dataclass(frozen=True)
class DecodedAudio:
    rate: int
    channels: "tuple[array[int], ...]"

    @property
    def seconds(self) -> float:
        return len(self.channels[0]) / self.rate

    def level(self, channel: int, frequency: float) -> float:
        """Return the amplitude of a tone in a channel (Goertzel's algorithm)."""
        samples = self.channels[channel]
        step = 2 * math.cos(math.tau * frequency / self.rate)
        one = two = 0.0
        for sample in samples:
            one, two = sample + step * one - two, one
        return 2 * math.sqrt(max(0.0, one * one + two * two - step * one * two)) / len(samples)


def decode(path: str) -> DecodedAudio:
    """Decode a file that the service made."""
    with av.open(path) as source:
        context = source.streams.audio[0].codec_context
        rate, count = context.sample_rate, context.channels
        resampler = av.AudioResampler(format="s16", layout="stereo" if count > 1 else "mono", rate=rate)
        samples = array("h")
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                samples.frombytes(bytes(part.planes[0])[: part.samples * 2 * count])
    return DecodedAudio(rate, tuple(samples[channel::count] for channel in range(count)))
