"""Headerless audio: read the tracks of live calls as frames, and join two mono tracks to one stereo track."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import BinaryIO, Final, cast

from av import CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from adapters.audio.opus_packets import read_opus
from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Codec

_CHUNK: Final = 32_768
"""Samples read at a time."""
_DECODERS: Final[Mapping[Codec, tuple[str, int]]] = {
    Codec.MULAW: ("pcm_mulaw", 1),
    Codec.ALAW: ("pcm_alaw", 1),
    Codec.G722: ("g722", 2),
}
"""FFmpeg's decoder of a codec, and the number of samples in a byte."""


def read_track(file: BinaryIO, codec: Codec, sample_rate: int, limit_ms: Millis) -> Iterator[AudioFrame]:
    """Return the frames of a headerless mono track, up to the limit."""
    if codec is Codec.OPUS:
        yield from read_opus(file, limit_ms)
        return
    if codec in _DECODERS:
        yield from _decode(file, codec, sample_rate, limit_ms)
        return
    left = limit_ms * sample_rate // SECOND
    while left and (data := file.read(min(left, _CHUNK) * 2)):
        # A writer that was killed may leave half a sample at the end.
        whole = data[: len(data) - len(data) % 2]
        left -= len(whole) // 2
        yield frame_of(whole, "mono", sample_rate)


def _decode(file: BinaryIO, codec: Codec, sample_rate: int, limit_ms: Millis) -> Iterator[AudioFrame]:
    name, per_byte = _DECODERS[codec]
    decoder = cast("AudioCodecContext", CodecContext.create(name, "r"))
    decoder.sample_rate, decoder.layout = sample_rate, "mono"
    left = limit_ms * sample_rate // SECOND // per_byte
    while left > 0 and (data := file.read(min(left, _CHUNK))):
        left -= len(data)
        yield from decoder.decode(Packet(data))


def frame_of(samples: bytes, layout: str, sample_rate: int) -> AudioFrame:
    """Return a frame of signed 16-bit samples. The channels are interleaved."""
    width = 4 if layout == "stereo" else 2
    frame = _empty_frame("s16", layout, len(samples) // width, sample_rate)
    if samples:
        frame.planes[0].update(samples)
    return frame


def _empty_frame(format: str, layout: str, samples: int, sample_rate: int) -> AudioFrame:
    frame = AudioFrame(format=format, layout=layout, samples=samples)
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    return frame


def join_stereo(left: Iterable[AudioFrame], right: Iterable[AudioFrame], sample_rate: int) -> Iterator[AudioFrame]:
    """Join two mono tracks to one stereo track. Silence fills the end of the shorter one."""
    readers = _MonoReader(left, sample_rate), _MonoReader(right, sample_rate)
    while any(parts := [reader.read(2 * _CHUNK) for reader in readers]):
        # FFmpeg interleaves the two sides later, faster than Python.
        frame = _empty_frame("s16p", "stereo", max(len(part) for part in parts) // 2, sample_rate)
        for plane, part in zip(frame.planes, parts, strict=True):
            plane.update(part.ljust(plane.buffer_size, b"\0"))
        yield frame


class _MonoReader:
    """Reads the 16-bit mono samples of a track in portions of any size."""

    def __init__(self, frames: Iterable[AudioFrame], sample_rate: int) -> None:
        self._parts = _mono_samples(frames, sample_rate)
        self._unread = b""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end of the track."""
        data = bytearray(self._unread)
        while len(data) < size and (part := next(self._parts, None)) is not None:
            data += part
        self._unread = bytes(data[size:])
        return bytes(data[:size])


def _mono_samples(frames: Iterable[AudioFrame], sample_rate: int) -> Iterator[bytes]:
    for frame in resample(frames, "s16", "mono", sample_rate):
        # A plane may be longer than its samples.
        yield bytes(frame.planes[0])[: 2 * frame.samples]


def resample(frames: Iterable[AudioFrame], format: str, layout: str, sample_rate: int) -> Iterator[AudioFrame]:
    """Convert frames to one format, layout and rate. The input may change its own at any frame."""
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
