"""Gives a time to audio that has none: it follows the last audio, unless the sender stopped for a while.

The connection loses no bytes, so audio after a stall is late or missing. Late audio comes in a burst and catches up
with the clock; then it simply follows. If it does not catch up, the sender has sent nothing for that time, and the
audio continues later. The first messages after a stall wait until this is clear, usually for one message.
"""

from collections.abc import Sequence
from typing import Final

from adapters.recorders.dialects.stream_events import Audio
from adapters.recorders.dialects.stream_format import StreamFormat

STALL: Final = 0.06
"""A pause between two messages of up to this many seconds, after their length, is jitter."""
MAX_HELD: Final = 2.0
"""Maximum length (seconds) of the audio that waits."""


class ArrivalClock:
    """The time of one stream, whose messages have audio for each of its tracks. Times are monotonic, in seconds."""

    def __init__(self, format: StreamFormat) -> None:
        self._format = format
        self._end = 0
        """Ticks from the start of the stream to the end of the audio, without the audio that waits."""
        self._held: list[Sequence[Audio]] = []
        self._held_ticks = 0
        self._late = 0.0
        """By how many seconds the audio is behind the clock."""
        self._last: float | None = None
        self._origin = 0.0

    def place(self, audios: Sequence[Audio], now: float) -> Sequence[Audio]:
        """Return the audio whose time is clear now, with its time. `audios` are the tracks of one message."""
        ticks = max((self._format.ticks(audio.payload) for audio in audios), default=0)
        duration = ticks / self._format.ticks_per_second
        if self._last is None:
            self._origin = now - duration
            self._last = now
        since, self._last = now - self._last, now
        ready: Sequence[Audio] = ()
        if self._held and since >= duration / 2:
            # The burst is over.
            ready = self.flush()
        late = now - self._origin - (self._end + self._held_ticks + ticks) / self._format.ticks_per_second
        if not self._held and since - duration <= STALL:
            # The clocks of the sender and of this server may run at slightly different speeds.
            self._origin += max(0.0, late)
            return [*ready, *self._placed(audios, ticks)]
        if not self._held and late <= STALL:
            return [*ready, *self._placed(audios, ticks)]
        self._held.append(audios)
        self._held_ticks += ticks
        self._late = max(0.0, late)
        if late <= STALL or self._held_ticks > MAX_HELD * self._format.ticks_per_second:
            if late <= STALL:
                self._late = 0.0
            return [*ready, *self.flush()]
        return ready

    def flush(self) -> Sequence[Audio]:
        """Return the audio that still waits, at the end of the stream."""
        held, self._held, self._held_ticks = self._held, [], 0
        if held:
            self._end += round(self._late * self._format.ticks_per_second)
            self._late = 0.0
        return [
            audio
            for audios in held
            for audio in self._placed(audios, max(self._format.ticks(each.payload) for each in audios))
        ]

    def _placed(self, audios: Sequence[Audio], ticks: int) -> Sequence[Audio]:
        at_ms = self._end * 1_000 / self._format.ticks_per_second
        self._end += ticks
        return [Audio(audio.track, at_ms, audio.payload) for audio in audios]
