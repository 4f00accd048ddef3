"""Headerless audio: read the tracks of live calls as frames, and join two mono tracks to one stereo track."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import BinaryIO, Final

from av import CodecContext, Packet
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from adapters.audio.opus_packets import read_opus
from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Codec

_CHUNK: Final = 32_768
"""Samples read at a time."""


def _mulaw(code: int) -> int:
    """Return the 16-bit sample for a mu-law byte (ITU-T G.711, table 2a)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw(code: int) -> int:
    """Return the 16-bit sample for an A-law byte (ITU-T G.711, table 1a)."""
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


_TABLES: Final[Mapping[Codec, tuple[bytes, bytes]]] = {
    codec: (
        bytes(linear(code) & 0xFF for code in range(256)),
        bytes(linear(code) >> 8 & 0xFF for code in range(256)),
    )
    for codec, linear in ((Codec.MULAW, _mulaw), (Codec.ALAW, _alaw))
}
"""The low and the high byte of the sample for each byte of G.711."""


def from_g711(data: bytes, codec: Codec = Codec.MULAW) -> bytes:
    """Decode mu-law or A-law to signed 16-bit little-endian samples."""
    samples = bytearray(2 * len(data))
    samples[0::2], samples[1::2] = (data.translate(table) for table in _TABLES[codec])
    return bytes(samples)


def read_track(file: BinaryIO, codec: Codec, sample_rate: int, limit_ms: Millis) -> Iterator[AudioFrame]:
    """Return the frames of a headerless mono track, up to the limit."""
    if codec is Codec.OPUS:
        yield from read_opus(file, limit_ms)
        return
    if codec is Codec.G722:
        yield from _read_g722(file, sample_rate, limit_ms)
        return
    width = 2 if codec is Codec.S16 else 1
    left = limit_ms * sample_rate // SECOND
    while left and (data := file.read(min(left, _CHUNK) * width)):
        # A writer that was killed may leave half a sample at the end.
        whole = data[: len(data) - len(data) % width]
        left -= len(whole) // width
        yield frame_of(whole if codec is Codec.S16 else from_g711(whole, codec), "mono", sample_rate)


def _read_g722(file: BinaryIO, sample_rate: int, limit_ms: Millis) -> Iterator[AudioFrame]:
    decoder = CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = sample_rate, "mono"
    left = limit_ms * sample_rate // SECOND // 2
    while left > 0 and (data := file.read(min(left, _CHUNK))):
        left -= len(data)
        yield from decoder.decode(Packet(data))


def frame_of(samples: bytes, layout: str, sample_rate: int) -> AudioFrame:
    """Return a frame of signed 16-bit samples. The channels are interleaved."""
    width = 4 if layout == "stereo" else 2
    frame = AudioFrame(format="s16", layout=layout, samples=len(samples) // width)
    if samples:
        frame.planes[0].update(samples)
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    return frame


def join_stereo(left: Iterable[AudioFrame], right: Iterable[AudioFrame], sample_rate: int) -> Iterator[AudioFrame]:
    """Join two mono tracks to one stereo track. Silence fills the end of the shorter one."""
    readers = _MonoReader(left, sample_rate), _MonoReader(right, sample_rate)
    while any(parts := [reader.read(2 * _CHUNK) for reader in readers]):
        size = max(len(part) for part in parts)
        both = array("h", bytes(2 * size))
        for channel, part in enumerate(parts):
            both[channel::2] = array("h", part.ljust(size, b"\0"))
        yield frame_of(both.tobytes(), "stereo", sample_rate)


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
