"""Maps positions of a call's stream to offsets in a take's audio, without its pauses and with its masks.

All positions and offsets are ticks of the stream's format: samples, or the bytes of G.722. Positions count from the
start of the stream, offsets from the start of the take.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_SEGMENTS: Final = 64
"""How many segments a take keeps. Audio that arrives too late for them is dropped."""


class Treatment(Enum):
    """How a take treats the audio of a segment."""

    RECORDED = auto()
    MASKED = auto()
    """The take contains silence of the same length."""
    PAUSED = auto()
    """The take leaves the audio out, so its length does not grow."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the stream from `begin`, which is `offset` in the take, to the next segment."""

    begin: int
    offset: int
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class PayloadPart:
    """A part of a payload, from `start` to `stop`, and its offset in the take."""

    start: int
    stop: int
    offset: int
    masked: bool


class Timeline:
    """The segments of one take. The first begins at a position of the stream and is recorded."""

    def __init__(self, base: int) -> None:
        self._segments = [Segment(base, 0, Treatment.RECORDED)]
        self.recorded_from: float = base
        """From which position on audio is simply recorded; infinity in a pause or a mask. Nearly all audio is."""
        self.shift = -base
        """From a position to the offset of such audio."""

    @property
    def treatment(self) -> Treatment:
        """How the take treats current audio."""
        return self._segments[-1].treatment

    @property
    def changed_at(self) -> int:
        """The offset in the take at which the current treatment began."""
        return self._segments[-1].offset

    @property
    def length_before(self) -> int:
        """The length in the stream of the treatment before the current one. 0 if there was none."""
        *_, before, last = (self._segments[0], *self._segments)
        return last.begin - before.begin

    def offset(self, position: int) -> int:
        """Return the offset in the take for a position of the stream in the last segment."""
        last = self._segments[-1]
        return last.offset if last.treatment is Treatment.PAUSED else last.offset + max(0, position - last.begin)

    def change(self, position: int, treatment: Treatment) -> None:
        """Start a new segment at a position of the stream."""
        begin = max(position, self._segments[-1].begin)
        offset = self.offset(begin)
        self._segments.append(Segment(begin, offset, treatment))
        self.recorded_from, self.shift = begin if treatment is Treatment.RECORDED else math.inf, offset - begin
        del self._segments[:-MAX_SEGMENTS]

    def split(self, position: int, length: int) -> Iterator[PayloadPart]:
        """Yield the parts of a payload that belong in the take: not those before its start or in a pause."""
        end = position + length
        for segment in reversed(self._segments):
            begin = max(position, segment.begin)
            if begin < end:
                if segment.treatment is not Treatment.PAUSED:
                    offset = segment.offset + begin - segment.begin
                    masked = segment.treatment is Treatment.MASKED
                    yield PayloadPart(begin - position, end - position, offset, masked)
                end = begin
            if end <= position:
                return
