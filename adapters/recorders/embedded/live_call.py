"""A call whose audio is coming in: its clocks, and what of it is being recorded."""

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
"""Seconds without a frame that are the network's; after more of them the call is taken to have gone on unheard."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a stream ends: for its takes, and for its sender (a WebSocket close code and a reason)."""

    cause: EndCause
    code: int
    reason: str


class LiveCall:
    """One media stream of a call. `close` makes its connection end with a verdict.

    Positions are samples since the stream began, by the timestamps of its frames.
    """

    def __init__(self, call: Call, now: float, limits: Limits, close: Callable[[Verdict], None]) -> None:
        self.call = call
        self.close = close
        self.takes: dict[str, OpenTake] = {}
        self.ended = False
        self.opening = asyncio.Lock()
        """Takes of a call are opened one after the other."""
        self.timers: list[Timer] = []
        self.heard_at = now
        self._began = now
        self._lead = limits.max_lead * 1_000
        self._resume_lead = limits.resume_lead * 1_000
        self._heard = [False, False]
        self._end = 0

    @property
    def answered(self) -> bool:
        """Whether anything was heard of it."""
        return self._heard[0] or self._heard[1]

    @property
    def bridged(self) -> bool:
        """Whether both sides were heard."""
        return self._heard[0] and self._heard[1]

    def position(self, now: float) -> int:
        """Where the call is by now."""
        silent = now - self.heard_at
        return self._end + (int(silent * SAMPLE_RATE) if silent > JITTER else 0)

    def hear(self, audio: Audio, now: float) -> float:
        """Note a frame; how many seconds its stream is not to be read for, because it is too far ahead of our clock.

        Raises:
            ProtocolError: its timestamp is a leap ahead of everything that came.
        """
        ahead = audio.timestamp_ms - (now - self._began) * 1_000
        position = audio.timestamp_ms * BYTES_PER_MS
        if ahead > self._lead and position - self._end > self._lead * BYTES_PER_MS:
            raise ProtocolError(f"a timestamp {round(ahead / 1_000)} seconds ahead of the clock and of the audio")
        self._heard[audio.side] = True
        self._end = max(self._end, position + len(audio.payload))
        wait = (ahead - self._resume_lead) / 1_000 if ahead > self._lead else 0.0
        self.heard_at = now + wait
        return wait
