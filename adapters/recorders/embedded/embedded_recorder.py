"""The embedded recorder: a `Recorder` for calls that send their audio to this process, without a telephone switch."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog

from adapters.recorders.dialects.stream_events import Audio, Timed
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.embedded.gathered_reads import NOTICED
from adapters.recorders.embedded.live_call import POLICY_VIOLATION, RESTARTING, LiveCall, StreamEnd, end_of_leg
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.spool_ports import TrackSpool
from adapters.recorders.embedded.take import OpenTake
from adapters.recorders.embedded.timeline import Treatment
from adapters.recorders.embedded.timers import Timers
from adapters.recorders.event_queue import EventQueue
from recordings.model.call import EMBEDDED, Call, position_of_call
from recordings.model.events import Armed, Begun, Ended, Interrupted
from recordings.model.instants import Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.model.recording import EndCause, SpanKind
from recordings.ports.clock import Clock
from recordings.ports.recorder import CallChange, CallEvent, Capability, Take, TakeEvent, TakeRefused

_log: Final[Any] = structlog.get_logger("recorder")

CAPABILITIES: Final = frozenset({Capability.PAUSE, Capability.MASK, Capability.ON_ANSWER, Capability.ON_BRIDGE})
_REPLACED: Final = StreamEnd(EndCause.DISCONNECTED, POLICY_VIOLATION, "another stream continues this call")
STALE: Final = 2
"""After this many seconds without audio, another stream of the same call takes over."""
EVENT_QUEUE_TIMEOUT: Final = 10
"""How long (seconds) the start of a take waits for space in the event queue."""


class CallIsLive(Exception):  # noqa: N818 - an expected result
    """Another stream already sends the audio of this call."""


class EmbeddedRecorder:
    """Records the live calls of this process. Create it in the event loop that it runs in.

    A call counts as answered after its first frame, and as bridged after frames of both sides. `time_limit` starts
    with the take and includes pauses. It limits both the time by this server's clock and the length of the audio. The
    `Ended` event of a take comes after all of its audio is on the disk.
    """

    def __init__(
        self,
        *,
        spool: TrackSpool,
        clock: Clock,
        limits: Limits | None = None,
        timers: Timers | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._spool = spool
        self._clock = clock
        self._timers: Timers = timers or asyncio.get_running_loop()
        self._live: dict[tuple[str, str], LiveCall] = {}
        self._takes: dict[str, tuple[OpenTake, LiveCall]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.uploads: set[str] = set()
        """The recordings whose uploads are received now."""
        self._events = EventQueue()
        self._calls_changed: Callable[[], None] = lambda: None

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return the optional features that it supports."""
        return CAPABILITIES if recorder == EMBEDDED else frozenset()

    # Streams

    def live_calls(self) -> Sequence[Call]:
        """Return the live calls of all accounts."""
        return [live.call for live in self._live.values()]

    def on_calls_changed(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each start and each end of a live call. It must not block."""
        self._calls_changed = callback

    def open_call(self, call: Call, close: Callable[[StreamEnd], None], format: StreamFormat | None = None) -> LiveCall:
        """Register a call whose audio starts to arrive.

        Args:
            call: the call.
            close: ends the call's stream. It must not block.
            format: the format of its audio, by default Twilio's.

        If a stream of this call has ended without a hang-up, and its takes wait for another one, this stream continues
        them.

        Raises:
            CallIsLive: another stream of this call is open and sends audio. It stays open.
        """
        key = (call.account_id, call.call_id)
        if (live := self._live.get(key)) is not None:
            self._reconnect(live, close)
            return live
        live = self._live[key] = LiveCall(call, self._timers.time(), self.limits, close, format)
        live.watch(self._timers)
        self._calls_changed()
        self._events.add(CallEvent(call, CallChange.ARRIVED))
        return live

    async def open_stream(
        self, call: Call, close: Callable[[StreamEnd], None], format: StreamFormat, *, continues: bool = False
    ) -> LiveCall:
        """Open a call as `open_call` does. If a stream returns in another format, its audio is another call's.

        If it `continues` another stream, that one may still be open. It ends now.
        """
        if (live := self._live.get((call.account_id, call.call_id))) is not None:
            live.is_replaced = continues
        live = await self._settled(call.account_id, call.call_id)
        if live is not None and live.format != format and self._may_reconnect(live):
            old_stream = live.close
            await self.end_call(live, EndCause.DISCONNECTED)
            old_stream(_REPLACED)
        return self.open_call(call, close, format)

    async def _settled(self, account_id: str, call_id: str) -> LiveCall | None:
        """Return a live call. If its stream seems to be open, wait until this server would have noticed its end."""
        live = self._live.get((account_id, call_id))
        if live is not None and not self._may_reconnect(live):
            await asyncio.sleep(NOTICED)
            live = self._live.get((account_id, call_id))
        return live

    def _may_reconnect(self, live: LiveCall) -> bool:
        """Return true if another stream of a call may take over now."""
        is_waiting = live.reconnect_timer is not None
        return is_waiting or live.is_replaced or live.silent_for(self._timers.time()) >= STALE

    def _reconnect(self, live: LiveCall, close: Callable[[StreamEnd], None]) -> None:
        """Continue a call with another stream. The time without audio becomes silence in its takes."""
        if not self._may_reconnect(live):
            raise CallIsLive(f"another stream already sends the audio of call {live.call.call_id}")
        if live.reconnect_timer is not None:
            live.reconnect_timer.cancel()
            live.reconnect_timer = None
        else:
            # The sender lost the connection of the first stream, and this server has not noticed yet.
            live.close(_REPLACED)
        silent = live.silent_for(self._timers.time())
        live.is_replaced = False
        live.close = close
        live.positions.restart()
        live.gap_kind = SpanKind.DISCONNECTED
        _log.info("media stream reconnected", call_id=live.call.call_id, silent_seconds=round(max(silent, 0), 1))

    def receive_audio(self, live: LiveCall, audio: Audio, now: float | None = None) -> float:
        """Record a frame. If `now` is given, it waits for `flush`. Return how long (seconds) not to read the stream."""
        position, wait = live.receive_audio(audio, self._timers.time() if now is None else now)
        if not live.is_answer_reported and live.report_answer():
            self._events.add(CallEvent(live.call, CallChange.ANSWERED))
        if live.takes and position is not None:
            if live.positions.gap is not None:
                self._note_gap(live, *live.positions.gap)
            for take in tuple(live.takes.values()):
                self._record(live, take, audio, position)
        if now is None:
            self.flush(live)
        return wait

    def receive_usual(self, live: LiveCall, tracks: Sequence[Sequence[Timed]], now: float) -> bool:
        """Record the frames of one read at once. Return false, and record none, if something about one is unusual.

        The result is that of `receive_audio` for each frame and of `flush`.
        """
        found = live.receive_usual(tracks, now)
        if found is None:
            return False
        for take in tuple(live.takes.values()):
            try:
                for track, position, payload in found:
                    take.write(track, position, payload)
                take.flush()
            except OSError:
                self._end_after_error(live, take)
        return True

    def flush(self, live: LiveCall) -> None:
        """Write the frames that wait."""
        for take in tuple(live.takes.values()):
            try:
                take.flush()
            except OSError:
                self._end_after_error(live, take)

    def _note_gap(self, live: LiveCall, begin: int, end: int) -> None:
        """Report a part of the stream without audio, for each open take."""
        kind, live.gap_kind = live.gap_kind, SpanKind.GAP
        for take in live.takes.values():
            if (found := take.gap(begin, end)) is not None:
                at_ms, duration_ms = found
                gap = Interrupted(at=self._clock.now(), kind=kind, at_ms=at_ms, duration_ms=duration_ms)
                self._events.add(TakeEvent(take.id, gap))

    async def end_stream(self, live: LiveCall, close: Callable[[StreamEnd], None], end: StreamEnd) -> None:
        """End the stream that was opened with `close`, and its call.

        If the connection was lost, open takes wait for `reconnect` seconds: the sender may reconnect. Otherwise, all of
        their audio is on the disk when this returns.
        """
        if live.close != close:
            # Another stream continues the call.
            return
        if end.cause is not EndCause.DISCONNECTED or not live.takes or not self.limits.reconnect:
            await self.end_call(live, end.cause)
            return
        at = self._clock.now()
        live.close = partial(self._end_waiting_call, live, at)
        live.reconnect_timer = self._timers.call_later(self.limits.reconnect, live.close, end)

    def _end_waiting_call(self, live: LiveCall, at: Millis, end: StreamEnd) -> None:
        ending = asyncio.get_running_loop().create_task(self.end_call(live, end.cause, at))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def end_call(self, live: LiveCall, cause: EndCause, at: Millis | None = None) -> None:
        """End a call and its takes, at `at` or now. All of their audio is on the disk when this returns."""
        live.catch_up()
        live.ended = True
        if live.reconnect_timer is not None:
            live.reconnect_timer.cancel()
        key = (live.call.account_id, live.call.call_id)
        # A second `end_call` for the same stream must not end a later stream of the same call.
        if self._live.get(key) is live:
            del self._live[key]
            self._calls_changed()
            self._events.add(CallEvent(live.call, CallChange.ENDED))
        for timer in live.timers:
            timer.cancel()
        cause = end_of_leg(cause, live.call, self._live.values())
        # The shield lets the audio reach the disk although the task that waits here is cancelled.
        await asyncio.shield(asyncio.gather(*(self._end(live, take, cause, at) for take in tuple(live.takes.values()))))

    # The methods of `Recorder`

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in an account."""
        live = self._live.get((account_id, call_id))
        return None if live is None else live.call

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        return take_page(self._calls_of(account_id, owner_id), request, position_of_call, descending=True)

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account."""
        return len(self._calls_of(account_id, owner_id))

    def _calls_of(self, account_id: str, owner_id: str | None) -> list[Call]:
        found = [live.call for (account, _), live in self._live.items() if account == account_id]
        return [call for call in found if owner_id in {None, call.owner_id}]

    async def check_server(self, node: str | None) -> None:
        """Do nothing: this recorder has only calls of this server."""

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """End a call of this server that came back on another server. Return false if it still sends audio here."""
        live = await self._settled(account_id, call_id)
        if live is None:
            return True
        end = StreamEnd(EndCause.DISCONNECTED, POLICY_VIOLATION, "another server continues this call")
        if live.reconnect_timer is not None:
            live.close(end)
            await asyncio.gather(*self._ending)
            return True
        if live.silent_for(self._timers.time()) < STALE:
            return False
        # The sender lost the connection, and this server has not noticed yet.
        await self.end_call(live, end.cause)
        live.close(end)
        return True

    async def is_gone(self, node: str) -> bool:  # noqa: ARG002 - a method of the port
        """Return true: this recorder knows no other servers."""
        return True

    async def start(self, take: Take) -> Armed | Begun:
        """Begin or arm a take on a live call. A repeated start of the same take returns the same result.

        Raises:
            TakeRefused: the call has ended, the disk cannot be written, or too many events wait.
        """
        await self._wait_for_event_space()
        live = self._live.get((take.account_id, take.call_id))
        if live is None:
            raise TakeRefused(f"the call {take.call_id} has ended")
        async with live.opening:
            opened, _ = self._takes.get(take.recording_id, (None, None))
            if opened is None:
                opened = await self._open(live, take)
            return opened.start_result or self._begin_or_arm(live, opened)

    async def stop(self, recording_id: str) -> None:
        """End a take. All of its audio is on the disk when this returns. Does nothing if the take is not open."""
        if (found := self._takes.get(recording_id)) is not None:
            take, live = found
            live.catch_up()
            await asyncio.shield(self._end(live, take, EndCause.STOPPED))

    async def pause(self, recording_id: str) -> Millis:
        """Leave out the audio from now on. Return the offset in the take. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Treatment.PAUSED, Treatment.MASKED).changed_at_ms

    async def resume(self, recording_id: str) -> Millis | None:
        """End a pause and return its length. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Treatment.RECORDED, Treatment.MASKED).length_before_ms

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on. Return the offset in the take. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Treatment.MASKED, Treatment.PAUSED).changed_at_ms

    async def unmask(self, recording_id: str) -> Millis | None:
        """End a mask and return its length. Raises `TakeRefused` without an open take."""
        return self._change(recording_id, Treatment.RECORDED, Treatment.PAUSED).length_before_ms

    async def is_open(self, recording_id: str) -> bool:
        """Return true if a take is armed, open, or not yet completely on the disk, or its upload is received now."""
        return recording_id in self._takes or recording_id in self.uploads

    def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Yield the events of takes and calls until the recorder closes. Only one consumer may read them."""
        return self._events.read()

    async def close(self) -> None:
        """End all takes as `SHUTDOWN`, then end the events. All audio is on the disk when this returns."""
        end = StreamEnd(EndCause.SHUTDOWN, RESTARTING, "this server shuts down")
        for live in tuple(self._live.values()):
            live.close(end)
            await self.end_call(live, end.cause)
        await asyncio.gather(*self._ending)
        await asyncio.gather(*(take.ending for take, _ in tuple(self._takes.values()) if take.ending is not None))
        self._events.close()

    async def _wait_for_event_space(self) -> None:
        try:
            async with asyncio.timeout(EVENT_QUEUE_TIMEOUT):
                await self._events.wait_for_space()
        except TimeoutError as error:
            raise TakeRefused("too many events of other takes wait to be stored: try again later") from error

    async def _open(self, live: LiveCall, take: Take) -> OpenTake:
        try:
            format, names = live.format, ("left", "right")[: live.format.tracks]
            writer = await self._spool.open_tracks(take.recording_id, format.codec, format.rate, names)
        except OSError as error:
            _log.exception("take not opened: disk error", recording_id=take.recording_id)
            raise TakeRefused("the disk of this server cannot be written") from error
        if live.ended:
            await writer.close(sync=False)
            await self._spool.remove(take.recording_id)
            raise TakeRefused(f"the call {take.call_id} has ended")
        # Audio that has arrived before is not part of the take.
        live.catch_up()
        opened = live.takes[take.recording_id] = OpenTake(take, writer, live.format)
        self._takes[take.recording_id] = (opened, live)
        return opened

    def _begin_or_arm(self, live: LiveCall, take: OpenTake) -> Armed | Begun:
        now = self._clock.now()
        if live.may_begin(take.options):
            self._begin(live, take, live.position(self._timers.time()))
            take.start_result = Begun(at=now)
            # Also sent as an event: if the call ends before the result of `start` is stored, the recording must not
            # look as if it never began.
            self._events.add(TakeEvent(take.id, take.start_result))
        else:
            take.start_result = Armed(at=now)
        return take.start_result

    def _begin(self, live: LiveCall, take: OpenTake, position: int) -> None:
        take.begin(position)
        take.timer = self._timers.call_later(take.options.time_limit, self._end, live, take, EndCause.TIME_LIMIT)

    def _record(self, live: LiveCall, take: OpenTake, audio: Audio, position: int) -> None:
        if take.timeline is None:
            if not live.may_begin(take.options):
                return
            self._begin(live, take, position)
            self._events.add(TakeEvent(take.id, Begun(at=self._clock.now())))
        try:
            if take.write(audio.track, position, audio.payload):
                self._end(live, take, EndCause.TIME_LIMIT)
        except OSError:
            self._end_after_error(live, take)

    def _end_after_error(self, live: LiveCall, take: OpenTake) -> None:
        _log.exception("take ended: disk error", recording_id=take.id)
        self._end(live, take, EndCause.SPOOL_FULL)

    def _change(self, recording_id: str, treatment: Treatment, conflicting: Treatment) -> OpenTake:
        take, live = self._takes.get(recording_id, (None, None))
        if live is not None:
            # It can end the take.
            live.catch_up()
        if take is None or live is None or take.timeline is None or take.ending is not None:
            raise TakeRefused(f"no take of {recording_id} is open")
        timeline = take.timeline
        if timeline.treatment is conflicting:
            raise TakeRefused(f"the take of {recording_id} is {conflicting.name}")
        if timeline.treatment is not treatment:
            timeline.change(live.position(self._timers.time()), treatment)
        return take

    def _end(self, live: LiveCall, take: OpenTake, cause: EndCause, at: Millis | None = None) -> asyncio.Task[None]:
        """End a take. The returned task is done when the audio is on the disk and the `Ended` event is queued."""
        if take.ending is None:
            live.takes.pop(take.id, None)
            if take.timer is not None:
                take.timer.cancel()
            take.ending = asyncio.get_running_loop().create_task(self._finish(take, cause, at))
        return take.ending

    async def _finish(self, take: OpenTake, cause: EndCause, at: Millis | None) -> None:
        try:
            await take.writer.close()
            if take.timeline is None:
                await self._spool.remove(take.id)
        except OSError:
            _log.exception("take not completely written: disk error", recording_id=take.id)
            cause = EndCause.SPOOL_FULL
        self._events.add(TakeEvent(take.id, Ended(at=at or self._clock.now(), cause=cause)))
        self._takes.pop(take.id, None)
