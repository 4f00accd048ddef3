"""Headerless audio: G.711 mu-law and 16-bit samples as frames, and two mono tracks as one in stereo."""

from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO, Final

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Codec

_CHUNK: Final = 32_768
"""Samples read at a time."""


def _linear(code: int) -> int:
    """The 16-bit sample of a mu-law byte (ITU-T G.711, table 2a)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


_LOW: Final = bytes(_linear(code) & 0xFF for code in range(256))
_HIGH: Final = bytes(_linear(code) >> 8 & 0xFF for code in range(256))


def from_mulaw(data: bytes) -> bytes:
    """Mu-law as signed 16-bit little-endian samples."""
    samples = bytearray(2 * len(data))
    samples[0::2] = data.translate(_LOW)
    samples[1::2] = data.translate(_HIGH)
    return bytes(samples)


def read_track(file: BinaryIO, codec: Codec, sample_rate: int, limit_ms: Millis) -> Iterator[AudioFrame]:
    """The frames of a headerless mono track, cut at the limit."""
    width = 1 if codec is Codec.MULAW else 2
    left = limit_ms * sample_rate // SECOND
    while left and (data := file.read(min(left, _CHUNK) * width)):
        # Half a sample at the end is what a killed writer leaves.
        whole = data[: len(data) - len(data) % width]
        left -= len(whole) // width
        yield frame_of(from_mulaw(whole) if codec is Codec.MULAW else whole, "mono", sample_rate)


def frame_of(samples: bytes, layout: str, sample_rate: int) -> AudioFrame:
    """Signed 16-bit samples (of all channels, interleaved) as a frame."""
    width = 4 if layout == "stereo" else 2
    frame = AudioFrame(format="s16", layout=layout, samples=len(samples) // width)
    if samples:
        frame.planes[0].update(samples)
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    return frame


def in_stereo(left: Iterable[AudioFrame], right: Iterable[AudioFrame], sample_rate: int) -> Iterator[AudioFrame]:
    """Two tracks as the channels of one, at a sample rate; silence fills the shorter one up."""
    taps = _Tap(left, sample_rate), _Tap(right, sample_rate)
    while any(parts := [tap.take(2 * _CHUNK) for tap in taps]):
        size = max(len(part) for part in parts)
        both = array("h", bytes(2 * size))
        for channel, part in enumerate(parts):
            both[channel::2] = array("h", part.ljust(size, b"\0"))
        yield frame_of(both.tobytes(), "stereo", sample_rate)


class _Tap:
    """The 16-bit mono samples of a track, in portions of any size."""

    def __init__(self, frames: Iterable[AudioFrame], sample_rate: int) -> None:
        self._parts = _mono_samples(frames, sample_rate)
        self._kept = b""

    def take(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        kept = bytearray(self._kept)
        while len(kept) < size and (part := next(self._parts, None)) is not None:
            kept += part
        self._kept = bytes(kept[size:])
        return bytes(kept[:size])


def _mono_samples(frames: Iterable[AudioFrame], sample_rate: int) -> Iterator[bytes]:
    for frame in resampled(frames, "s16", "mono", sample_rate):
        # A plane may be longer than its samples.
        yield bytes(frame.planes[0])[: 2 * frame.samples]


def resampled(frames: Iterable[AudioFrame], format: str, layout: str, sample_rate: int) -> Iterator[AudioFrame]:
    """Frames in one format, layout and rate, whatever they come in and however often that changes."""
    resampler, shape = None, None
    for frame in frames:
        frame.pts = None
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from resampler.resample(None)
            resampler = AudioResampler(format=format, layout=layout, rate=sample_rate)
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is not None:
            yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)
