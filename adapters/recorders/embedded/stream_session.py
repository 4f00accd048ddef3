"""One media stream: passes the events of a connection to the recorder, until the stream ends.

The connection may be a WebSocket or a TCP connection. A stream may send faster than real time. If it is more than
`max_lead` ahead, it is read only in real time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Protocol

import structlog

from adapters.recorders.dialects.detect import AnyStream
from adapters.recorders.dialects.stream_call import call_of, unused_values
from adapters.recorders.dialects.stream_events import (
    Audio,
    Discarded,
    Event,
    Paused,
    Reply,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_limits import ProtocolError, UnknownDialect
from adapters.recorders.embedded.arrival_clock import ArrivalClock
from adapters.recorders.embedded.embedded_recorder import CallIsLive, EmbeddedRecorder
from adapters.recorders.embedded.live_call import POLICY_VIOLATION, RESTARTING, LiveCall, StreamEnd
from adapters.recorders.embedded.slot_shares import SlotShares
from recordings.model.call import Call
from recordings.model.errors import Refused
from recordings.model.recording import EndCause, SpanKind
from recordings.ports.clock import Clock
from recordings.ports.recording_store import StoreUnavailableError

_log: Final[Any] = structlog.get_logger("recorder")

NORMAL: Final = 1000
UNSUPPORTED_DATA: Final = 1003
INVALID_DATA: Final = 1007

IsAllowed = Callable[[], Awaitable[bool]]
"""Returns whether the sender of a stream may still send audio."""

Claim = Callable[[Call], Awaitable[bool]]
"""Claims a call for this server. Returns false if it is live on another server. Raises `Refused` to reject it."""


class Disconnected(Exception):  # noqa: N818 - an expected result
    """The sender closed the connection."""

    def __init__(self, end: StreamEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class DirectRecorder(Protocol):
    """Records messages that are only audio, without waiting."""

    def record_now(self, messages: Sequence[bytes], is_text: bool, stream: AnyStream) -> tuple[int, bool]:  # noqa: FBT001 - faster
        """Record messages up to the first one that is not usual audio.

        The kernel has the audio when this returns. Return how many messages were recorded, and whether the next one can
        be recorded at once. Otherwise the stream must wait.
        """


class Connection(Protocol):
    """A connection whose messages are decoded."""

    async def receive(self, recorder: DirectRecorder | None) -> Sequence[Event]:
        """Return the events of the next message. Raise `ProtocolError` or `Disconnected`.

        The connection may pass messages that are only audio to `recorder`, and return the events of a later message.
        """

    def read_waiting(self) -> None:
        """Pass messages that have arrived to the recorder of `receive` now."""

    async def send(self, message: str) -> None:
        """Send a text message, as the dialect requires it."""


async def _claim_always(_call: Call) -> bool:
    return True


class StreamHost:
    """Runs media streams, up to the recorder's `max_streams` at once."""

    def __init__(self, recorder: EmbeddedRecorder, clock: Clock, claim: Claim | None = None) -> None:
        self.recorder = recorder
        self.clock = clock
        self.claim = claim or _claim_always
        limits = recorder.limits
        self._slots = SlotShares("streams", limits.max_streams, limits.account_share, "--max-streams")

    @property
    def is_full(self) -> bool:
        """Whether no further stream may be opened now."""
        return self._slots.is_full

    async def run(
        self, connection: Connection, account_id: str, is_allowed: IsAllowed, client: str, *, record_all: bool = False
    ) -> StreamEnd:
        """Run a stream of a client address to its end, and return the reason of the end.

        With `record_all`, the call is recorded, unless the sender says not to.

        Raises:
            NoSlot: the account or the client address has too many streams, or the server has.
        """
        with self._slots.slot(account_id, client):
            session = _StreamSession(connection, account_id, self, record_all=record_all)
            async with session.closed_on_revocation(is_allowed):
                return await session.run()


class _StreamSession:
    """One stream."""

    def __init__(self, connection: Connection, account_id: str, host: StreamHost, *, record_all: bool) -> None:
        self._connection = connection
        self._account_id = account_id
        self._record_all = record_all
        self._host = host
        self._recorder = host.recorder
        self._live: LiveCall | None = None
        self._arrivals: ArrivalClock | None = None
        self._requested_end: StreamEnd | None = None
        self._deadline: asyncio.Timeout | None = None
        self._wait = 0.0
        self._time = asyncio.get_running_loop().time

    async def run(self) -> StreamEnd:
        end = StreamEnd(EndCause.SHUTDOWN, RESTARTING, "")
        try:
            end = await self._receive_until_end()
        finally:
            # After this point a request to close has no effect.
            self._deadline = None
            if self._live is not None:
                if self._arrivals is not None:
                    for audio in self._arrivals.flush():
                        self._recorder.receive_audio(self._live, audio)
                await self._recorder.end_stream(self._live, self._request_end, end)
        call_id = self._live.call.call_id if self._live is not None else None
        _log.info("media stream ended", call_id=call_id, cause=end.cause.value, code=end.code, reason=end.reason)
        return end

    @asynccontextmanager
    async def closed_on_revocation(self, is_allowed: IsAllowed) -> AsyncIterator[None]:
        """Close the stream when its address is revoked: a leaked secret must not work for the hours of a call."""
        checking = asyncio.create_task(self._check_revocation(is_allowed))
        try:
            yield
        finally:
            checking.cancel()
            await asyncio.wait([checking])

    async def _check_revocation(self, is_allowed: IsAllowed) -> None:
        while True:
            await asyncio.sleep(self._recorder.limits.revocation_check)
            try:
                if await is_allowed():
                    continue
            except StoreUnavailableError:
                # The stream stays open while the store is unavailable.
                continue
            except Exception:  # noqa: BLE001 - it is logged, and the stream stays open
                _log.exception("stream permission check failed")
                continue
            self._request_end(StreamEnd(EndCause.HANGUP, POLICY_VIOLATION, "the ingest address was revoked"))
            return

    async def _receive_until_end(self) -> StreamEnd:
        limits = self._recorder.limits
        self._wait = min(limits.first_message, limits.stream_idle)
        try:
            async with asyncio.timeout(self._wait) as self._deadline:
                return await self._receive()
        except TimeoutError:
            reason = f"no stream was started for {self._wait:g} seconds"
            return self._requested_end or StreamEnd(EndCause.IDLE, POLICY_VIOLATION, reason)
        except (CallIsLive, Refused) as error:
            return StreamEnd(EndCause.HANGUP, POLICY_VIOLATION, str(error))
        except UnknownDialect as error:
            return StreamEnd(EndCause.PROTOCOL_ERROR, UNSUPPORTED_DATA, str(error))
        except ProtocolError as error:
            return StreamEnd(EndCause.PROTOCOL_ERROR, INVALID_DATA, str(error))
        except Disconnected as error:
            return error.end

    async def _receive(self) -> StreamEnd:
        receive = self._connection.receive
        events = await receive(None)
        self._expect_start()
        while True:
            untimed: list[Audio] = []
            for event in events:
                if isinstance(event, Audio):
                    if event.at_ms is not None:
                        await self._record(event)
                        continue
                    if untimed and event.track <= untimed[-1].track:
                        await self._record_untimed(untimed)
                        untimed = []
                    untimed.append(event)
                elif isinstance(event, StreamStopped):
                    await self._record_untimed(untimed)
                    return StreamEnd(EndCause.DISCONNECTED if event.reconnects else EndCause.HANGUP, NORMAL, "")
                else:
                    await self._handle(event)
            if untimed:
                await self._record_untimed(untimed)
            events = await receive(None if self._live is None else self)

    def _expect_start(self) -> None:
        """After the first message, wait longer for the one that says which call it is."""
        limits = self._recorder.limits
        more = min(limits.stream_start, limits.stream_idle) - self._wait
        if self._live is None and self._deadline is not None and self._requested_end is None and more > 0:
            self._wait += more
            self._deadline.reschedule((self._deadline.when() or 0.0) + more)

    async def _record_untimed(self, audios: Sequence[Audio]) -> None:
        """Record the tracks of one message, whose time is that of their arrival."""
        if self._arrivals is not None and audios:
            for audio in self._arrivals.place(audios, asyncio.get_running_loop().time()):
                await self._record(audio)

    async def _record(self, audio: Audio) -> None:
        if self._live is None:
            return
        self._live.is_paused = False
        wait = self._recorder.receive_audio(self._live, audio)
        if wait > 0:
            # While nothing is read, TCP flow control slows the sender down.
            await asyncio.sleep(wait)

    def record_now(self, messages: Sequence[bytes], is_text: bool, stream: AnyStream) -> tuple[int, bool]:  # noqa: FBT001 - faster
        """Record messages without waiting. Nearly all messages of a stream come this way."""
        live, arrivals = self._live, self._arrivals
        if live is None or arrivals is None:
            return 0, False
        now = self._time()
        tracks = stream.tracks(messages, is_text)
        if tracks is not None and self._recorder.receive_usual(live, tracks, now):
            live.is_paused = False
            return len(messages), True
        record, decode, handled, may_go_on = self._recorder.receive_audio, stream.audio, 0, True
        for message in messages:
            audios = decode(message, is_text)
            if audios is None:
                # Marks and keys are not recorded.
                if not stream.is_note(message, is_text):
                    break
                handled += 1
                continue
            handled += 1
            live.is_paused = False
            if audios and audios[0].at_ms is None:
                audios = arrivals.place(audios, now)
            for audio in audios:
                if record(live, audio, now) > 0:
                    may_go_on = False
            if not may_go_on:
                break
        self._recorder.flush(live)
        return handled, may_go_on

    async def _handle(self, event: Event) -> None:
        if isinstance(event, StreamStarted):
            await self._open_call(event)
        elif isinstance(event, Reply):
            await self._connection.send(event.message)
        elif isinstance(event, Paused) and self._live is not None:
            self._live.is_paused = True
            self._live.gap_kind = SpanKind.SENDER_PAUSED
        elif isinstance(event, Discarded) and self._live is not None:
            self._live.gap_kind = SpanKind.SENDER_DISCARDED

    async def _open_call(self, started: StreamStarted) -> None:
        if self._live is not None:
            # The stream of the same call starts again.
            self._live.positions.restart()
            return
        call = call_of(started, self._account_id, self._host.clock.now())
        if values := unused_values(started):
            _log.warning("stream parameters not used", call_id=call.call_id, values=values)
        if self._record_all and call.record is None:
            call = replace(call, record=True)
        is_live_here = await self._recorder.find_call(call.account_id, call.call_id) is not None
        if not is_live_here and not await self._host.claim(call):
            raise CallIsLive(f"another server already receives the audio of call {call.call_id}")
        self._live = await self._recorder.open_stream(
            call, self._request_end, started.format, continues=started.continues
        )
        self._live.catch_up = self._connection.read_waiting
        self._arrivals = ArrivalClock(started.format)
        if self._deadline is not None:
            # After this point the recorder checks for idle streams, without a timer for each frame.
            self._deadline.reschedule(None)

    def _request_end(self, end: StreamEnd) -> None:
        if self._requested_end is None and self._deadline is not None:
            self._requested_end = end
            self._deadline.reschedule(asyncio.get_running_loop().time())
