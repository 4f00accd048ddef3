"""A call whose audio arrives: its stream position, its clock and its open takes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from adapters.recorders.dialects.media_streams import BYTES_PER_MS, SAMPLE_RATE, Audio, ProtocolError
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.take import OpenTake
from adapters.recorders.embedded.timers import Timer
from recordings.model.call import Call
from recordings.model.recording import EndCause

JITTER: Final = 0.5
"""A gap without frames of up to this many seconds is network jitter. After a longer gap the call's position advances
with the clock, as if the call had continued in silence."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ends: the cause for its takes, and a WebSocket close code and reason for its sender."""

    cause: EndCause
    code: int
    reason: str


class LiveCall:
    """One media stream of a call. `close` ends its connection.

    Positions are samples since the start of the stream, by the timestamps of its frames.
    """

    def __init__(self, call: Call, now: float, limits: Limits, close: Callable[[StreamEnd], None]) -> None:
        self.call = call
        self.close = close
        self.takes: dict[str, OpenTake] = {}
        self.ended = False
        self.opening = asyncio.Lock()
        """Held while a take of this call is opened, so that takes open one at a time."""
        self.timers: list[Timer] = []
        self.last_audio_at = now
        self._started_at = now
        self._max_lead_ms = limits.max_lead * 1_000
        self._resume_lead_ms = limits.resume_lead * 1_000
        self._has_audio = [False, False]
        self._end_position = 0

    @property
    def answered(self) -> bool:
        """Whether audio of any side arrived."""
        return self._has_audio[0] or self._has_audio[1]

    @property
    def bridged(self) -> bool:
        """Whether audio of both sides arrived."""
        return self._has_audio[0] and self._has_audio[1]

    def position(self, now: float) -> int:
        """Return the current position of the call, in samples."""
        silent = now - self.last_audio_at
        return self._end_position + (int(silent * SAMPLE_RATE) if silent > JITTER else 0)

    def receive_audio(self, audio: Audio, now: float) -> float:
        """Count a frame. Return for how many seconds its stream must not be read: it is too far ahead of the clock.

        Raises:
            ProtocolError: the timestamp is too far ahead of both the clock and the audio received so far.
        """
        ahead = audio.timestamp_ms - (now - self._started_at) * 1_000
        position = audio.timestamp_ms * BYTES_PER_MS
        if ahead > self._max_lead_ms and position - self._end_position > self._max_lead_ms * BYTES_PER_MS:
            raise ProtocolError(f"a timestamp is {round(ahead / 1_000)} seconds ahead of the clock and of the audio")
        self._has_audio[audio.side] = True
        self._end_position = max(self._end_position, position + len(audio.payload))
        wait = (ahead - self._resume_lead_ms) / 1_000 if ahead > self._max_lead_ms else 0.0
        self.last_audio_at = now + wait
        return wait
