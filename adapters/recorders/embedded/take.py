"""A take that is open: it puts what it hears where it belongs on the disk."""

import asyncio
from typing import Final

from adapters.recorders.dialects.media_streams import SAMPLE_RATE
from adapters.recorders.embedded.spool_ports import TrackWriter
from adapters.recorders.embedded.timeline import Kind, Timeline
from adapters.recorders.embedded.timers import Timer
from recordings.model.events import Armed, Begun
from recordings.ports.recorder import Take

SILENCE: Final = b"\xff" * 65_536
"""Mu-law for nothing, as much as is written at once. A hole in the file would read as zero bytes: a loud click."""


class OpenTake:
    """One take of a live call, with a track for each side. Positions are samples of the stream, as in `timeline`."""

    def __init__(self, take: Take, writer: TrackWriter) -> None:
        self.id = take.recording_id
        self.options = take.options
        self.writer = writer
        self.timeline: Timeline | None = None
        self.answer: Armed | Begun | None = None
        """What `start` answered, to be answered again."""
        self.timer: Timer | None = None
        self.ending: asyncio.Task[None] | None = None
        self._limit = take.options.time_limit * SAMPLE_RATE
        self._ends = [0, 0]

    def begin(self, position: int) -> None:
        """Record from this position of the stream on."""
        self.timeline = Timeline(position)

    @property
    def kind(self) -> Kind | None:
        """What becomes of what is said now; `None` while nothing has begun."""
        return self.timeline.kind if self.timeline is not None else None

    def write(self, track: int, position: int, payload: bytes) -> bool:
        """Write a frame; whether the take is as long now as it may be.

        Raises:
            OSError: the disk is full or broken.
        """
        if self.timeline is None:
            return False
        straight = self.timeline.straight(position)
        if straight is not None and straight + len(payload) < self._limit:
            self._put(track, straight, payload)
            return False
        return self._write_pieces(self.timeline, track, position, payload)

    def _write_pieces(self, timeline: Timeline, track: int, position: int, payload: bytes) -> bool:
        full = False
        for piece in timeline.place(position, len(payload)):
            length = piece.stop - piece.start
            fits = min(length, self._limit - piece.offset)
            if fits > 0:
                data = SILENCE[:fits] if piece.masked else payload[piece.start : piece.start + fits]
                self._put(track, piece.offset, data)
            full = full or fits <= 0 or piece.offset + length >= self._limit
        return full

    def _put(self, track: int, offset: int, data: bytes) -> None:
        end = self._ends[track]
        while end < offset:
            fill = min(offset - end, len(SILENCE))
            self.writer.write_at(track, end, SILENCE[:fill])
            self._ends[track] = end = end + fill
        self.writer.write_at(track, offset, data)
        if offset + len(data) > end:
            self._ends[track] = offset + len(data)
