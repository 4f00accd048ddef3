"""An open take: writes the frames of a call to the right offsets of its tracks."""

import asyncio
from struct import Struct
from typing import Final

from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.embedded.spool_ports import TrackWriter
from adapters.recorders.embedded.timeline import Timeline, Treatment
from adapters.recorders.embedded.timers import Timer
from recordings.model.events import Armed, Begun
from recordings.model.instants import Millis
from recordings.ports.audio import Codec
from recordings.ports.recorder import Take

MAX_FILL: Final = 65_536
"""Maximum number of bytes of silence in one write. A hole in a file would read as zero bytes: a loud click in mu-law.
"""
MAX_PACKET_TICKS: Final = 5_760
"""Maximum length of an Opus packet: 120 ms."""
MAX_GAPS: Final = 100
"""Maximum number of gaps of a take that are reported. Each is one write of the recording."""
_PACKET: Final = Struct("<QH")


class OpenTake:
    """One take of a live call, with a track for each side. Positions are ticks of the stream, as in `timeline`."""

    def __init__(self, take: Take, writer: TrackWriter, format: StreamFormat | None = None) -> None:
        self.id = take.recording_id
        self.options = take.options
        self.writer = writer
        self.timeline: Timeline | None = None
        self.start_result: Armed | Begun | None = None
        """The result of the first `start`. A repeated `start` returns it again."""
        self.timer: Timer | None = None
        self.ending: asyncio.Task[None] | None = None
        self._format = format or StreamFormat()
        self._width = self._format.width
        self._max_ticks = take.options.time_limit * self._format.ticks_per_second
        self._safe_end = self._max_ticks - MAX_PACKET_TICKS
        self._silence = self._format.silent_byte * MAX_FILL
        self._is_opus = self._format.codec is Codec.OPUS
        self._track_ends = [0, 0]
        """The length of each file in bytes, with the bytes that wait."""
        self._waiting: tuple[list[bytes], list[bytes]] = ([], [])
        """The audio at the end of each track that `flush` writes at once."""
        self._gaps = 0

    def begin(self, position: int) -> None:
        """Record from this position of the stream on."""
        self.timeline = Timeline(position)

    @property
    def treatment(self) -> Treatment | None:
        """How the take treats current audio; `None` before it begins."""
        return self.timeline.treatment if self.timeline is not None else None

    @property
    def changed_at_ms(self) -> Millis:
        """The offset at which the current treatment began."""
        return self.milliseconds(self.timeline.changed_at) if self.timeline is not None else 0

    @property
    def length_before_ms(self) -> Millis:
        """The length in the stream of the treatment before the current one."""
        return self.milliseconds(self.timeline.length_before) if self.timeline is not None else 0

    def write(self, track: int, position: int, payload: bytes) -> bool:
        """Write a frame, which may wait for `flush`. Return true if the take has reached its time limit.

        Raises:
            OSError: the disk is full or broken.
        """
        timeline = self.timeline
        if timeline is None:
            return False
        offset, length = position + timeline.shift, len(payload)
        # A payload has no more ticks than bytes, except in Opus.
        if position < timeline.recorded_from or offset + length >= self._safe_end:
            return self._write_parts(timeline, track, position, payload)
        end = self._track_ends[track]
        if offset * self._width == end and not self._is_opus:
            # Nearly all frames follow the last one.
            self._waiting[track].append(payload)
            self._track_ends[track] = end + length
        else:
            self.flush()
            self._write_at(track, offset, payload)
        return False

    def has_room(self, end: int) -> bool:
        """Return true if the take has begun and does not reach its time limit with audio that ends here."""
        return self.timeline is not None and end + self.timeline.shift < self._safe_end

    def flush(self) -> None:
        """Write the frames that wait. Raises `OSError`, as `write` does."""
        for track, waiting in enumerate(self._waiting):
            if waiting:
                data = b"".join(waiting) if len(waiting) > 1 else waiting[0]
                waiting.clear()
                self.writer.write_at(track, self._track_ends[track] - len(data), data)

    def gap(self, begin: int, end: int) -> tuple[Millis, Millis] | None:
        """Return the offset and the length, in milliseconds, of a part of the stream without audio.

        Return `None` if it is not in the take, or if the take has too many gaps already.
        """
        if self.timeline is None or self.timeline.treatment is not Treatment.RECORDED or self._gaps >= MAX_GAPS:
            return None
        first, last = self.timeline.offset(begin), self.timeline.offset(end)
        if last <= first:
            return None
        self._gaps += 1
        return self.milliseconds(first), self.milliseconds(last) - self.milliseconds(first)

    def milliseconds(self, offset: int) -> Millis:
        """Return an offset in milliseconds."""
        return offset * 1_000 // self._format.ticks_per_second

    def _write_parts(self, timeline: Timeline, track: int, position: int, payload: bytes) -> bool:
        self.flush()
        full, width, ticks = False, self._width, self._format.ticks(payload)
        for part in timeline.split(position, ticks):
            length = part.stop - part.start
            fits = min(length, self._max_ticks - part.offset)
            if fits > 0 and self._is_opus:
                # A packet cannot be cut: a part of it is recorded as a whole, and a masked part not at all.
                self._write_at(track, part.offset, b"" if part.masked or part.start else payload)
            elif fits > 0:
                data = payload[part.start * width : (part.start + fits) * width]
                self._write_at(track, part.offset, self._silence[: len(data)] if part.masked else data)
            full = full or fits <= 0 or part.offset + length >= self._max_ticks
        return full

    def _write_at(self, track: int, tick: int, data: bytes) -> None:
        end = self._track_ends[track]
        if self._is_opus:
            if data:
                record = _PACKET.pack(tick, len(data)) + data
                self.writer.write_at(track, end, record)
                self._track_ends[track] = end + len(record)
            return
        offset = tick * self._width
        while end < offset:
            fill = min(offset - end, MAX_FILL)
            self.writer.write_at(track, end, self._silence[:fill])
            self._track_ends[track] = end = end + fill
        self.writer.write_at(track, offset, data)
        if offset + len(data) > end:
            self._track_ends[track] = offset + len(data)
