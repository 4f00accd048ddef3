"""A spooled track of Opus packets: decode them at their positions, with silence in between."""

from collections.abc import Iterator
from fractions import Fraction
from heapq import heappop, heappush
from struct import Struct
from typing import BinaryIO, Final

from av import CodecContext, FFmpegError, Packet
from av.audio.frame import AudioFrame

from recordings.model.instants import SECOND, Millis

RATE: Final = 48_000
_HEADER: Final = Struct("<QH")
_REORDERED: Final = 16
"""Packets that are read in advance, because the order in the file is that of their arrival."""
_JITTER: Final = RATE // 50
"""Samples that a position may differ from the end of the last packet."""
_SILENCE: Final = RATE


def read_opus(file: BinaryIO, limit_ms: Millis) -> Iterator[AudioFrame]:
    """Return the frames of a track at 48 kHz, up to the limit. A damaged packet becomes silence."""
    decoder = CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    end, limit = 0, limit_ms * RATE // SECOND
    for position, data in _in_order(file):
        if position >= limit:
            return
        if position + _JITTER < end:
            # It is a repeated packet, or one that came too late.
            continue
        while position - end > _JITTER:
            count = min(position - end, _SILENCE)
            yield _silence(count)
            end += count
        try:
            frames = list(decoder.decode(Packet(data)))
        except FFmpegError:
            continue
        end += sum(frame.samples for frame in frames)
        yield from frames


def _in_order(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    waiting: list[tuple[int, bytes]] = []
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        position, length = _HEADER.unpack(header)
        data = file.read(length)
        if len(data) < length:
            # A writer that was killed may leave a part of a packet at the end.
            break
        heappush(waiting, (position, data))
        if len(waiting) > _REORDERED:
            yield heappop(waiting)
    while waiting:
        yield heappop(waiting)


def _silence(count: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=count)
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
    return frame
