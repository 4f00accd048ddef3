"""Maps the timestamps of a call's streams to positions in the call, so that no audio overwrites other audio.

A position is a number of ticks since the start of the call (`StreamFormat`). The timestamps of a stream may start
again, after a reconnect or within a stream. They may jump ahead, or count from another instant. Then the audio
continues at the call's position by this server's clock. The time in between becomes silence.
"""

from array import array
from collections.abc import Sequence
from typing import Final

from adapters.recorders.dialects.stream_events import Audio, Timed
from adapters.recorders.dialects.stream_format import StreamFormat
from recordings.ports.audio import Codec

JITTER: Final = 0.5
"""A gap without frames of up to this many seconds is network jitter. After a longer gap the call's position advances
with the clock, as if the call had continued in silence."""
OVERLAP: Final = 0.2
"""A frame that begins up to this many seconds before the end of its side follows that end: its timestamp is not exact.
"""
ROUNDING: Final = 0.01
"""How many seconds the timestamp of a late frame may differ from the gap that the frame fills."""
MIN_GAP: Final = 0.06
"""A time without audio of any side, in seconds, from which on it is reported as a gap."""
MAX_GAPS: Final = 64
"""Maximum number of gaps that late frames can fill, for each side."""
REMEMBERED: Final = 16
"""Number of frames in which a repeated frame is found, for each side. A power of two."""


class _SideState:
    """The audio of one side so far."""

    __slots__ = ("_rate", "end", "gaps", "is_unsure", "last_at", "offset", "reached", "recent", "seen")

    def __init__(self, now: float, rate: int) -> None:
        self._rate = rate
        self.offset = 0
        """Ticks from the timestamps of the stream to positions of the call."""
        self.end = 0
        self.last_at = now
        self.gaps: list[tuple[int, int]] = []
        self.recent = array("q", bytes(8 * REMEMBERED))
        """Hashes of the last frames. The frames themselves would use all CPU caches, with hundreds of streams."""
        self.seen = 0
        self.is_unsure = False
        """Whether the other side's timestamps have started again since the last frame of this side."""
        self.reached = 0
        """The position of a take or mask that began in a silence of this side, until its next frame."""

    def remember(self, frames: Sequence[Timed]) -> None:
        """Note frames, so that a repeated one is found."""
        recent, seen = self.recent, self.seen
        for frame in frames:
            recent[seen & (REMEMBERED - 1)] = hash((frame.at_ms, frame.payload))
            seen += 1
        self.seen = seen

    def forget(self) -> None:
        """Find none of the frames so far again."""
        self.recent = array("q", bytes(8 * REMEMBERED))

    def expected(self, now: float, length: int) -> int:
        """Return the position, by the clock, of a frame of this length that arrives now."""
        return max(self.end, self.end + round((now - self.last_at) * self._rate) - length)


class StreamPositions:
    """The positions of one call. Times are monotonic, in seconds; `max_lead` is the longest plausible lead."""

    def __init__(self, now: float, max_lead: float, format: StreamFormat | None = None) -> None:
        self.last_audio_at = now
        self.gap: tuple[int, int] | None = None
        """The begin and the end of the time without audio before the last frame, if that is worth a note."""
        self._started_at = now
        self._format = format or StreamFormat()
        self._rate = self._format.ticks_per_second
        # Whole numbers are faster, and all usual rates are whole numbers.
        self._per_ms = self._rate / 1_000 if self._rate % 1_000 else self._rate // 1_000
        self._width = 0 if self._format.codec is Codec.OPUS else self._format.width
        self._max_lead = max_lead * self._rate
        self._sides = (_SideState(now, self._rate), _SideState(now, self._rate))
        self._is_new_stream = False

    def current(self, now: float) -> int:
        """Return the current position of the call. Audio that arrives later follows it, apart from late frames."""
        silent = now - self.last_audio_at
        end = max(side.end for side in self._sides)
        reached = end + (round(silent * self._rate) if silent > JITTER else 0)
        if not end and reached:
            # The timestamps may count from the first audio, which must not be before a take or a mask that begins now.
            self.restart()
        for side in self._sides:
            if now - side.last_at > JITTER:
                side.reached = reached
        return reached

    def is_ahead(self, position: int, now: float) -> bool:
        """Return true if a position is further ahead of the clock than is plausible."""
        return position > (now - self._started_at) * self._rate + self._max_lead

    def lead(self, position: int, now: float) -> float:
        """Return by how many seconds a position is ahead of the clock."""
        return position / self._rate - (now - self._started_at)

    def postpone(self, until: float) -> None:
        """Expect no audio before an instant, because the stream is not read until then."""
        for side in self._sides:
            side.last_at = until
        self.last_audio_at = until

    def restart(self) -> None:
        """Expect timestamps that start again: another stream of the call follows."""
        self._is_new_stream = True

    def position_of(self, audio: Audio, now: float) -> int | None:
        """Return the position of a frame; `None` for a repeated frame, which is already there."""
        side = self._sides[audio.track]
        at_ms, payload, position = audio.at_ms, audio.payload, side.end
        self.gap = None
        if (
            (at_ms is not None and at_ms * self._per_ms + side.offset != position)
            or self._is_new_stream
            or side.is_unsure
            or side.reached
        ):
            found = self._find(audio, now)
            if found is None:
                return None
            position = found
            self._note_gap(position)
        side.remember((audio,))
        side.last_at = self.last_audio_at = now
        end = position + (len(payload) // self._width if self._width else self._format.ticks(payload))
        if end > side.end:  # noqa: PLR1730 - faster than `max`
            side.end = end
        return position

    def end(self, track: int) -> int:
        """Return the position at which the audio of a track ends."""
        return self._sides[track].end

    def end_after(self, track: int, frames: Sequence[Timed]) -> int | None:
        """Return the position at which frames of a track end, if each of them simply follows the last one."""
        side, width, per_ms = self._sides[track], self._width, self._per_ms
        if self._is_new_stream or side.is_unsure or side.reached or not width:
            return None
        end, offset = side.end, side.offset
        for frame in frames:
            length = len(frame.payload)
            if frame.at_ms is None or frame.at_ms * per_ms + offset != end or length % width:
                return None
            end += length // width
        return end

    def follow(self, track: int, frames: Sequence[Timed], end: int, now: float) -> None:
        """Count frames for which `end_after` has returned `end`, as `position_of` does for each of them."""
        side = self._sides[track]
        side.remember(frames)
        side.last_at = self.last_audio_at = now
        side.end, self.gap = end, None

    def _start(self, audio: Audio) -> int:
        """Return the timestamp of a frame in ticks. A frame without one follows the last."""
        if audio.at_ms is None:
            side = self._sides[audio.track]
            return side.end - side.offset
        return round(audio.at_ms * self._per_ms)

    def _note_gap(self, position: int) -> None:
        begin = max(side.end for side in self._sides)
        if begin and position - begin > MIN_GAP * self._rate:
            self.gap = begin, position

    def _find(self, audio: Audio, now: float) -> int | None:
        """Return the position of a frame that does not simply follow the last one."""
        side = self._sides[audio.track]
        if self._is_new_stream or side.is_unsure:
            self._set_offset(audio, now)
        position, length = self._start(audio) + side.offset, self._format.ticks(audio.payload)
        furthest = max(each.end for each in self._sides)
        # Timestamps that stood still in a silence would place this audio before a take or a mask that began in it.
        is_behind = side.reached - position > JITTER * self._rate
        if position >= side.end:
            is_far = position - furthest > self._max_lead
            if is_behind or (is_far and self.lead(position, now) * self._rate > self._max_lead):
                return self._restart(audio, now)
            side.reached = 0
            if position > side.end:
                side.gaps = [*side.gaps[1 - MAX_GAPS :], (side.end, position)]
            return position
        if (filled := _fill(side.gaps, position, length, self._rate)) is not None:
            return filled
        if hash((audio.at_ms, audio.payload)) in side.recent:
            return None
        return self._restart(audio, now) if is_behind or side.end - position > OVERLAP * self._rate else side.end

    def _set_offset(self, audio: Audio, now: float) -> None:
        """Set the offset of a side whose timestamps may have started again."""
        side, other = self._sides[audio.track], self._sides[1 - audio.track]
        length, start = self._format.ticks(audio.payload), self._start(audio)
        if self._is_new_stream:
            self._is_new_stream = False
            expected = max(each.expected(now, length) for each in self._sides)
            side.offset = other.offset = expected - start
            for each in self._sides:
                each.forget()
                each.is_unsure = False
            return
        side.is_unsure = False
        expected = side.expected(now, length)
        if abs(start + other.offset - expected) < abs(start + side.offset - expected):
            side.offset = other.offset
            side.forget()

    def _restart(self, audio: Audio, now: float) -> int:
        """Continue a side at the position by the clock, because its timestamps started again or jumped."""
        side, other = self._sides[audio.track], self._sides[1 - audio.track]
        position = side.expected(now, self._format.ticks(audio.payload))
        position = max(position, min(side.reached, side.expected(now, 0)))
        side.offset = position - self._start(audio)
        side.forget()
        side.reached = 0
        other.is_unsure = True
        return position


def _fill(gaps: list[tuple[int, int]], position: int, length: int, rate: int) -> int | None:
    """Return the position of a late frame in a gap, and take that part from the gap; `None` if it fits in no gap."""
    rounding = ROUNDING * rate
    for index, (begin, end) in enumerate(gaps):
        if begin - rounding <= position and position + length <= end + rounding and length <= end - begin:
            found = min(max(position, begin), end - length)
            gaps[index : index + 1] = [gap for gap in ((begin, found), (found + length, end)) if gap[0] < gap[1]]
            return found
    return None
