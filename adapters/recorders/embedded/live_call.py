"""A call whose audio arrives: its stream, its position and its open takes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.recorders.dialects.stream_events import Audio, Timed
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.stream_positions import StreamPositions
from adapters.recorders.embedded.take import OpenTake
from adapters.recorders.embedded.timers import Timer, Timers
from recordings.model.call import Call
from recordings.model.options import RecordingOptions
from recordings.model.recording import EndCause, SpanKind

POLICY_VIOLATION: Final = 1008
RESTARTING: Final = 1012
"""WebSocket close codes (RFC 6455, section 7.4.1, and its IANA registry)."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ends: the cause for its takes, and a WebSocket close code and reason for its sender."""

    cause: EndCause
    code: int
    reason: str


class LiveCall:
    """A call with one media stream at a time. `close` ends the connection of that stream.

    Positions are ticks since the start of the call. `reconnect_timer` runs while the call has no stream.
    """

    def __init__(
        self,
        call: Call,
        now: float,
        limits: Limits,
        close: Callable[[StreamEnd], None],
        format: StreamFormat | None = None,
    ) -> None:
        self.call = call
        self.format = format or StreamFormat()
        self.close = close
        self.catch_up: Callable[[], None] = lambda: None
        """Records the audio that has arrived, so that what happens now applies to later audio."""
        self.is_paused = False
        """Whether the sender paused the stream. Then no audio is expected."""
        self.takes: dict[str, OpenTake] = {}
        self.ended = False
        self.is_answer_reported = False
        self.opening = asyncio.Lock()
        """Held while a take of this call is opened, so that takes open one at a time."""
        self.is_replaced = False
        """Whether the sender says that another stream takes over, although this one is open."""
        self.timers: list[Timer] = []
        self.reconnect_timer: Timer | None = None
        self.positions = StreamPositions(now, limits.max_lead, self.format)
        self.gap_kind = SpanKind.GAP
        """The reason for the next time without audio."""
        self._limits = limits
        self._has_audio = [False, False]

    def watch(self, timers: Timers) -> None:
        """Start the timers that end a call that is too long, and one without audio."""
        self.timers = [
            timers.call_later(self._limits.max_call_seconds, self._end_long_call),
            timers.call_later(self._limits.stream_idle, self._check_idle, timers),
        ]

    def _end_long_call(self) -> None:
        reason = f"the call is longer than {self._limits.max_call_seconds:g} seconds"
        self.close(StreamEnd(EndCause.HANGUP, POLICY_VIOLATION, reason))

    def _check_idle(self, timers: Timers) -> None:
        idle, silent = self._limits.stream_idle, self.silent_for(timers.time())
        if silent >= idle and not self.is_paused:
            self.close(StreamEnd(EndCause.IDLE, POLICY_VIOLATION, f"no audio for {idle:g} seconds"))
        else:
            wait = idle if self.is_paused else idle - silent
            self.timers[1] = timers.call_later(wait, self._check_idle, timers)

    @property
    def answered(self) -> bool:
        """Whether audio of any side arrived."""
        return self._has_audio[0] or self._has_audio[1]

    def report_answer(self) -> bool:
        """Return true once, when the call is answered."""
        self.is_answer_reported = self.answered
        return self.is_answer_reported

    @property
    def bridged(self) -> bool:
        """Whether audio of both sides arrived. A stream of one track has no sides to tell apart."""
        return self.answered if self.format.tracks == 1 else self._has_audio[0] and self._has_audio[1]

    def may_begin(self, options: RecordingOptions) -> bool:
        """Return true if a take may begin. `record_on_answer` overrides `record_on_bridge`.

        Source: docs/v2_contract.md, section 6.2.
        """
        if options.record_on_answer:
            return self.answered
        return self.bridged if options.record_on_bridge else True

    def position(self, now: float) -> int:
        """Return the current position of the call, in ticks: audio that has been read is before it."""
        return self.positions.current(now)

    def silent_for(self, now: float) -> float:
        """Return for how many seconds no audio arrived, without the time in which the stream must not be read."""
        return now - self.positions.last_audio_at

    def receive_audio(self, audio: Audio, now: float) -> tuple[int | None, float]:
        """Count a frame. Return its position, and for how many seconds its stream must not be read.

        The position is `None` if the frame must not be recorded. The stream must wait if it is far ahead of the clock.
        """
        position = self.positions.position_of(audio, now)
        if position is None:
            return None, 0.0
        if audio.payload:
            self._has_audio[audio.track] = True
        if not self.positions.is_ahead(position, now):
            return position, 0.0
        wait = self.positions.lead(position, now) - self._limits.resume_lead
        self.positions.postpone(now + wait)
        return position, wait

    def receive_usual(self, tracks: Sequence[Sequence[Timed]], now: float) -> Sequence[tuple[int, int, bytes]] | None:
        """Count frames of both tracks at once, if `receive_audio` would find nothing unusual in any of them.

        Return the track, the position and the audio of each track that has frames. `None`: nothing is counted.
        """
        if not self.is_answer_reported:
            return None
        positions, takes, ends = self.positions, self.takes.values(), []
        for track, frames in enumerate(tracks):
            end = positions.end_after(track, frames) if frames else positions.end(track)
            if end is None or positions.is_ahead(end, now) or not all(take.has_room(end) for take in takes):
                return None
            ends.append(end)
        found = []
        for track, frames in enumerate(tracks):
            if frames:
                begin = positions.end(track)
                positions.follow(track, frames, ends[track], now)
                payload = b"".join([frame.payload for frame in frames])
                if payload:
                    self._has_audio[track] = True
                found.append((track, begin, payload))
        return found


def end_of_leg(cause: EndCause, call: Call, live_calls: Iterable[LiveCall]) -> EndCause:
    """Return the cause of a call's end: `LEG_ENDED` if another leg of the conversation is live after a hang-up."""
    name = call.interaction_id
    if cause is not EndCause.HANGUP or name is None:
        return cause
    others = (live.call for live in live_calls if live.call.account_id == call.account_id)
    return EndCause.LEG_ENDED if any(name in {other.interaction_id, other.call_id} for other in others) else cause
