"""Decode audio files and measure them: length, channels and notes."""

import io
import math
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.packet import Packet


@dataclass(frozen=True)
class Sound:
    """Decoded audio: samples from -1 to 1, with one sequence for each channel."""

    rate: int
    channels: list["array[float]"]

    @property
    def seconds(self) -> float:
        return len(self.channels[0]) / self.rate

    def part(self, channel: int, start: float, end: float) -> "array[float]":
        return self.channels[channel][int(start * self.rate) : int(end * self.rate)]

    def loudness(self, channel: int, start: float, end: float) -> float:
        """Return the root mean square of a part."""
        part = self.part(channel, start, end)
        return math.sqrt(sum(sample * sample for sample in part) / max(1, len(part)))

    def strength(self, channel: int, note: float) -> float:
        """Return the highest strength of a note in any fifth of a second of a channel (Goertzel's algorithm)."""
        return max(
            self._goertzel(self.part(channel, at / 5, at / 5 + 0.2), note) for at in range(int(self.seconds * 5))
        )

    def _goertzel(self, part: Sequence[float], note: float) -> float:
        coefficient = 2 * math.cos(2 * math.pi * note / self.rate)
        last = before = 0.0
        for sample in part:
            last, before = sample + coefficient * last - before, last
        return math.sqrt(max(0.0, last**2 + before**2 - coefficient * last * before)) / max(1, len(part))


def decode(data: bytes) -> Sound:
    """Decode a file with FFmpeg's libraries."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        planar = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=stream.rate)
        channels = [array("f") for _ in range(stream.layout.nb_channels)]
        for frame in container.decode(stream):
            for plain in planar.resample(frame):
                for channel, plane in zip(channels, plain.planes, strict=True):
                    channel.frombytes(bytes(plane)[: plain.samples * 4])
        return Sound(stream.rate, channels)


def wav(seconds: int) -> bytes:
    """Return a WAV file with one note."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(8_000)
            angles = (2 * math.pi * 440 * position / 8_000 for position in range(seconds * 8_000))
            audio.writeframes(array("h", [round(9_000 * math.sin(angle)) for angle in angles]).tobytes())
        return file.getvalue()


def opus_silence(seconds: float, start: float = 0, format: str = "ogg") -> bytes:
    """Return a file of Opus silence with 76 bytes a second. After its first packet it leaves out `start` seconds."""
    with io.BytesIO() as file:
        with av.open(file, "w", format=format) as output:
            stream: Any = output.add_stream("libopus", rate=48_000, layout="mono")
            stream.bit_rate, stream.options = 500, {"frame_duration": "60", "application": "lowdelay"}
            frame = AudioFrame(format="s16", layout="mono", samples=2_880)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            data = bytes(stream.encode(frame)[0])
            for number in range(round(seconds / 0.06)):
                packet: Packet[Any] = Packet(data)
                packet.pts = packet.dts = number * 2_880 + (round(start * 48_000) if number else 0)
                packet.duration, packet.time_base, packet.stream = 2_880, Fraction(1, 48_000), stream
                output.mux(packet)
        return file.getvalue()
