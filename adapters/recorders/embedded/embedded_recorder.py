"""The embedded recorder: a `Recorder` for calls whose audio is sent to this process, with no switch in between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from adapters.recorders.dialects.media_streams import BYTES_PER_MS, SAMPLE_RATE, Audio
from adapters.recorders.embedded.event_queue import EventQueue
from adapters.recorders.embedded.live_call import LiveCall, Verdict
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.spool_ports import TrackSpool
from adapters.recorders.embedded.take import OpenTake
from adapters.recorders.embedded.timeline import Kind
from adapters.recorders.embedded.timers import Timers
from recordings.model.call import Call
from recordings.model.events import Armed, Begun, Ended
from recordings.model.instants import Millis
from recordings.model.recording import EndCause
from recordings.ports.audio import Codec
from recordings.ports.process import Clock
from recordings.ports.recorder import Capability, Take, TakeEvent, TakeRefused

log = logging.getLogger(__name__)

CAPABILITIES: Final = frozenset({Capability.PAUSE, Capability.MASK, Capability.ON_ANSWER, Capability.ON_BRIDGE})
POLICY_VIOLATION: Final = 1008
RESTARTING: Final = 1012
"""WebSocket close codes (RFC 6455, 7.4.1, and the registry it made)."""
PATIENCE: Final = 10
"""Seconds for which a new take waits for events of others to be taken."""


class CallIsLive(Exception):  # noqa: N818 - an answer
    """Another stream brings the audio of that call already."""


class EmbeddedRecorder:
    """Records the live calls of this process. Make it in the event loop that it works in.

    A call is answered with its first frame, and bridged when both sides were heard. `time_limit` counts from a take's
    beginning, pauses included, by our own clock, and bounds the audio too. Every `Ended` is said only when all audio
    of the take is on the disk.
    """

    def __init__(
        self,
        *,
        spool: TrackSpool,
        clock: Clock,
        limits: Limits | None = None,
        timers: Timers | None = None,
        name: str = "embedded",
    ) -> None:
        self.limits = limits or Limits()
        self._name = name
        self._spool = spool
        self._clock = clock
        self._timers: Timers = timers or asyncio.get_running_loop()
        self._live: dict[tuple[str, str], LiveCall] = {}
        self._takes: dict[str, tuple[OpenTake, LiveCall]] = {}
        self._events = EventQueue()
        self._changed: Callable[[], None] = _nobody

    @property
    def name(self) -> str:
        """Its name in a recording's `recorder`."""
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        return CAPABILITIES

    # Streams

    def live_calls(self) -> Sequence[Call]:
        """The live calls of all accounts."""
        return [live.call for live in self._live.values()]

    def watch(self, changed: Callable[[], None]) -> None:
        """Have somebody called whenever a call came or went; it must not block."""
        self._changed = changed

    def answer(self, call: Call, close: Callable[[Verdict], None]) -> LiveCall:
        """A call's audio begins to come in. `close` will be called when its stream has to end; it must not block.

        Raises:
            CallIsLive: there is a stream of that call already; it goes on.
        """
        key = (call.account_id, call.call_id)
        if key in self._live:
            raise CallIsLive(f"another stream brings the call {call.call_id} already")
        live = self._live[key] = LiveCall(call, self._timers.time(), self.limits, close)
        reached = Verdict(EndCause.HANGUP, POLICY_VIOLATION, f"longer than {self.limits.max_call_seconds:g} seconds")
        live.timers = [
            self._timers.call_later(self.limits.max_call_seconds, close, reached),
            self._timers.call_later(self.limits.stream_idle, self._look_for_life, live),
        ]
        self._changed()
        return live

    def hear(self, live: LiveCall, audio: Audio) -> float:
        """A frame of a live call; how many seconds its stream is not to be read for.

        Raises:
            ProtocolError: its timestamp makes no sense.
        """
        wait = live.hear(audio, self._timers.time())
        if live.takes:
            position = audio.timestamp_ms * BYTES_PER_MS
            for take in tuple(live.takes.values()):
                self._record(live, take, audio, position)
        return wait

    async def hang_up(self, live: LiveCall, cause: EndCause) -> None:
        """A call's audio ended, and so do its takes. All of it is on the disk when this returns."""
        live.ended = True
        key = (live.call.account_id, live.call.call_id)
        # Said twice, it must not end the stream that came after it.
        if self._live.get(key) is live:
            del self._live[key]
            self._changed()
        for timer in live.timers:
            timer.cancel()
        # Shielded: whoever waits may be cancelled, the audio goes to the disk nevertheless.
        await asyncio.shield(asyncio.gather(*(self._end(live, take, cause) for take in tuple(live.takes.values()))))

    # The port

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """The live call of that id in that account."""
        live = self._live.get((account_id, call_id))
        return None if live is None else live.call

    async def calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Live calls of an account, newest first."""
        found = [live.call for (owner, _), live in reversed(self._live.items()) if owner == account_id]
        return found[:limit]

    async def start(self, take: Take) -> Armed | Begun:
        """Open a take on a live call, or arm it. The same take again is answered as before.

        Raises:
            TakeRefused: the call has ended, or the disk takes nothing.
        """
        await self._room()
        live = self._live.get((take.account_id, take.call_id))
        if live is None:
            raise TakeRefused(f"the call {take.call_id} has ended")
        async with live.opening:
            opened, _ = self._takes.get(take.recording_id, (None, None))
            if opened is None:
                opened = await self._open(live, take)
            return opened.answer or self._answer(live, opened)

    async def stop(self, recording_id: str) -> None:
        """Close a take: all its audio is on the disk when this returns. One that is closed already is fine."""
        if (found := self._takes.get(recording_id)) is not None:
            take, live = found
            await asyncio.shield(self._end(live, take, EndCause.STOPPED))

    async def pause(self, recording_id: str) -> Millis:
        """Cut out what follows; the offset in the audio. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Kind.PAUSED, Kind.MASKED)

    async def resume(self, recording_id: str) -> None:
        """Go on after a pause. Raises `TakeRefused` without an open take."""
        self._change(recording_id, Kind.RECORDED, Kind.MASKED)

    async def mask(self, recording_id: str) -> Millis:
        """Record silence for what follows; the offset in the audio. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Kind.MASKED, Kind.PAUSED)

    async def unmask(self, recording_id: str) -> None:
        """Record what is said again. Raises `TakeRefused` without an open take."""
        self._change(recording_id, Kind.RECORDED, Kind.PAUSED)

    async def is_open(self, recording_id: str) -> bool:
        """Whether a take is open (or armed, or still being brought to the disk) here."""
        return recording_id in self._takes

    def events(self) -> AsyncIterator[TakeEvent]:
        """What happens to takes, for one consumer, until the recorder is closed."""
        return self._events.all()

    async def close(self) -> None:
        """End all takes as `SHUTDOWN`, and then the events. All audio is on the disk when this returns."""
        verdict = Verdict(EndCause.SHUTDOWN, RESTARTING, "this server is going away")
        for live in tuple(self._live.values()):
            live.close(verdict)
            await self.hang_up(live, verdict.cause)
        await asyncio.gather(*(take.ending for take, _ in tuple(self._takes.values()) if take.ending is not None))
        self._events.close()

    # Parts

    async def _room(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._events.room()
        except TimeoutError as error:
            raise TakeRefused("nobody notes down what happens to takes") from error

    async def _open(self, live: LiveCall, take: Take) -> OpenTake:
        try:
            writer = await self._spool.open_tracks(take.recording_id, Codec.MULAW, SAMPLE_RATE)
        except OSError as error:
            log.exception("no take can be opened on the disk", extra={"recording_id": take.recording_id})
            raise TakeRefused("the disk takes nothing") from error
        if live.ended:
            await writer.close(sync=False)
            await self._spool.remove(take.recording_id)
            raise TakeRefused(f"the call {take.call_id} has ended")
        opened = live.takes[take.recording_id] = OpenTake(take, writer)
        self._takes[take.recording_id] = (opened, live)
        return opened

    def _answer(self, live: LiveCall, take: OpenTake) -> Armed | Begun:
        now = self._clock.now()
        if _is_due(live, take):
            self._begin(live, take, live.position(self._timers.time()))
            take.answer = Begun(at=now)
            # Said as well as answered: a call that ends before the answer is noted down must not look unrecorded.
            self._events.add(TakeEvent(take.id, take.answer))
        else:
            take.answer = Armed(at=now)
        return take.answer

    def _begin(self, live: LiveCall, take: OpenTake, position: int) -> None:
        take.begin(position)
        limit = take.options.time_limit
        take.timer = self._timers.call_later(limit, self._end, live, take, EndCause.TIME_LIMIT)

    def _record(self, live: LiveCall, take: OpenTake, audio: Audio, position: int) -> None:
        if take.timeline is None:
            if not _is_due(live, take):
                return
            self._begin(live, take, position)
            self._events.add(TakeEvent(take.id, Begun(at=self._clock.now())))
        try:
            full = take.write(audio.side, position, audio.payload)
        except OSError:
            log.exception("a take ends: the disk takes nothing", extra={"recording_id": take.id})
            self._end(live, take, EndCause.SPOOL_FULL)
            return
        if full:
            self._end(live, take, EndCause.TIME_LIMIT)

    def _change(self, recording_id: str, kind: Kind, impossible: Kind) -> Millis:
        take, live = self._takes.get(recording_id, (None, None))
        if take is None or live is None or take.timeline is None or take.ending is not None:
            raise TakeRefused(f"no take of {recording_id} is open")
        timeline = take.timeline
        if timeline.kind is impossible:
            raise TakeRefused(f"the take of {recording_id} is {impossible.name}")
        if timeline.kind is not kind:
            timeline.change(live.position(self._timers.time()), kind)
        return timeline.since // BYTES_PER_MS

    def _end(self, live: LiveCall, take: OpenTake, cause: EndCause) -> asyncio.Task[None]:
        """From now on a take hears nothing; the task is done when it is on the disk and that has been said."""
        if take.ending is None:
            live.takes.pop(take.id, None)
            if take.timer is not None:
                take.timer.cancel()
            take.ending = asyncio.get_running_loop().create_task(self._put_away(take, cause))
        return take.ending

    async def _put_away(self, take: OpenTake, cause: EndCause) -> None:
        try:
            await take.writer.close()
            if take.timeline is None:
                await self._spool.remove(take.id)
        except OSError:
            log.exception("a take could not be brought to the disk", extra={"recording_id": take.id})
            cause = EndCause.SPOOL_FULL
        self._events.add(TakeEvent(take.id, Ended(at=self._clock.now(), cause=cause)))
        self._takes.pop(take.id, None)

    def _look_for_life(self, live: LiveCall) -> None:
        silent = self._timers.time() - live.heard_at
        idle = self.limits.stream_idle
        if silent >= idle:
            live.close(Verdict(EndCause.IDLE, POLICY_VIOLATION, f"no audio for {idle:g} seconds"))
        else:
            live.timers[1] = self._timers.call_later(idle - silent, self._look_for_life, live)


def _nobody() -> None:
    """Hears of calls that come and go where nobody else does."""


def _is_due(live: LiveCall, take: OpenTake) -> bool:
    """Whether a take may begin. Waiting for the answer wins over waiting for the bridge (contract section 6.2)."""
    if take.options.record_on_answer:
        return live.answered
    return live.bridged if take.options.record_on_bridge else True
