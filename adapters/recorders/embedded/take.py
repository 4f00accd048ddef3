"""An open take: writes the frames of a call to the right offsets of its tracks."""

import asyncio
from typing import Final

from adapters.recorders.dialects.media_streams import SAMPLE_RATE
from adapters.recorders.embedded.spool_ports import TrackWriter
from adapters.recorders.embedded.timeline import Timeline, Treatment
from adapters.recorders.embedded.timers import Timer
from recordings.model.events import Armed, Begun
from recordings.ports.recorder import Take

SILENCE: Final = b"\xff" * 65_536
"""Mu-law silence, one write at most. A hole in the file would read as zero bytes, which is a loud click."""


class OpenTake:
    """One take of a live call, with a track for each side. Positions are samples of the stream, as in `timeline`."""

    def __init__(self, take: Take, writer: TrackWriter) -> None:
        self.id = take.recording_id
        self.options = take.options
        self.writer = writer
        self.timeline: Timeline | None = None
        self.start_result: Armed | Begun | None = None
        """The result of the first `start`. A repeated `start` returns it again."""
        self.timer: Timer | None = None
        self.ending: asyncio.Task[None] | None = None
        self._max_samples = take.options.time_limit * SAMPLE_RATE
        self._track_ends = [0, 0]

    def begin(self, position: int) -> None:
        """Record from this position of the stream on."""
        self.timeline = Timeline(position)

    @property
    def treatment(self) -> Treatment | None:
        """How the take treats current audio; `None` before it begins."""
        return self.timeline.treatment if self.timeline is not None else None

    def write(self, track: int, position: int, payload: bytes) -> bool:
        """Write a frame. Return true if the take has reached its time limit.

        Raises:
            OSError: the disk is full or broken.
        """
        if self.timeline is None:
            return False
        offset = self.timeline.recorded_offset(position)
        if offset is not None and offset + len(payload) < self._max_samples:
            self._write_at(track, offset, payload)
            return False
        return self._write_parts(self.timeline, track, position, payload)

    def _write_parts(self, timeline: Timeline, track: int, position: int, payload: bytes) -> bool:
        full = False
        for part in timeline.split(position, len(payload)):
            length = part.stop - part.start
            fits = min(length, self._max_samples - part.offset)
            if fits > 0:
                data = SILENCE[:fits] if part.masked else payload[part.start : part.start + fits]
                self._write_at(track, part.offset, data)
            full = full or fits <= 0 or part.offset + length >= self._max_samples
        return full

    def _write_at(self, track: int, offset: int, data: bytes) -> None:
        end = self._track_ends[track]
        while end < offset:
            fill = min(offset - end, len(SILENCE))
            self.writer.write_at(track, end, SILENCE[:fill])
            self._track_ends[track] = end = end + fill
        self.writer.write_at(track, offset, data)
        if offset + len(data) > end:
            self._track_ends[track] = offset + len(data)
