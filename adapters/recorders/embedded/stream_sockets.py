"""Media streams as WebSockets: the shell between a connection, the protocol and the recorder.

How a stream ends, for its sender and for its take:

    `stop`                                    1000   HANGUP
    the connection breaks                     -      DISCONNECTED
    a message that is none, a leap in time    1007   PROTOCOL_ERROR
    no audio for `stream_idle`                1008   IDLE
    longer than `max_call_seconds`            1008   HANGUP
    its address was revoked                   1008   HANGUP
    another stream of a call that is live     1008   (the first goes on)
    more than `max_streams`                   1013   (nothing begins)
    this server stops                         1012   SHUTDOWN
    faster than real time                     read no faster than real time, beyond a lead of `max_lead`
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.recorders.dialects.media_streams import Audio, MediaStream, ProtocolError, StreamStarted, StreamStopped
from adapters.recorders.dialects.stream_call import call_of
from adapters.recorders.embedded.embedded_recorder import POLICY_VIOLATION, RESTARTING, CallIsLive, EmbeddedRecorder
from adapters.recorders.embedded.live_call import LiveCall, Verdict
from recordings.model.account import Principal
from recordings.model.recording import EndCause
from recordings.ports.process import Clock
from recordings.ports.recording_store import StoreUnavailableError

log = logging.getLogger(__name__)

NORMAL: Final = 1000
INVALID_DATA: Final = 1007
TRY_AGAIN_LATER: Final = 1013
MAX_REASON: Final = 120
"""Bytes of a close frame's reason (RFC 6455 allows 123)."""

Allowed = Callable[[], Awaitable[bool]]
"""Whether whoever opened a connection may still hand in audio."""


class MediaSockets:
    """Serves WebSockets that bring calls to a recorder, no more at once than its limits say."""

    def __init__(self, recorder: EmbeddedRecorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._open = 0

    async def serve(self, websocket: WebSocket, principal: Principal, is_allowed: Allowed) -> None:
        """One connection of somebody who may hand in audio, from its handshake to its end."""
        await websocket.accept()
        if self._open >= self._recorder.limits.max_streams:
            await websocket.close(TRY_AGAIN_LATER, "too many streams: try again later")
            return
        self._open += 1
        try:
            connection = _MediaSocket(websocket, principal, self._recorder, self._clock)
            async with connection.watched(is_allowed):
                await connection.run()
        finally:
            self._open -= 1


class _MediaSocket:
    """One connection."""

    def __init__(self, websocket: WebSocket, principal: Principal, recorder: EmbeddedRecorder, clock: Clock) -> None:
        self._websocket = websocket
        self._account_id = principal.account_id
        self._recorder = recorder
        self._clock = clock
        self._stream = MediaStream()
        self._live: LiveCall | None = None
        self._verdict: Verdict | None = None
        self._deadline: asyncio.Timeout | None = None

    async def run(self) -> None:
        verdict = Verdict(EndCause.SHUTDOWN, RESTARTING, "")
        try:
            verdict = await self._end()
        finally:
            # Whoever would end it now comes too late.
            self._deadline = None
            if self._live is not None:
                await self._recorder.hang_up(self._live, verdict.cause)
        self._log(verdict)
        # The other side may be gone, or have said so at the same moment.
        with suppress(WebSocketDisconnect, RuntimeError):
            reason = verdict.reason.encode()[:MAX_REASON].decode(errors="ignore")
            await self._websocket.close(verdict.code, reason)

    @asynccontextmanager
    async def watched(self, is_allowed: Allowed) -> AsyncIterator[None]:
        """Close it when it is no longer allowed: calls last for hours, a secret that got out cannot wait for that."""
        watch = asyncio.create_task(self._watch(is_allowed))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch(self, is_allowed: Allowed) -> None:
        while True:
            await asyncio.sleep(self._recorder.limits.still_allowed)
            try:
                if await is_allowed():
                    continue
            except StoreUnavailableError:
                # Nobody can say: a call is not cut off for that.
                continue
            except Exception:
                log.exception("whether a stream's address still holds could not be found out")
                continue
            self._close(Verdict(EndCause.HANGUP, POLICY_VIOLATION, "its address was revoked"))
            return

    async def _end(self) -> Verdict:
        idle = self._recorder.limits.stream_idle
        try:
            async with asyncio.timeout(idle) as self._deadline:
                return await self._converse()
        except TimeoutError:
            unheard = Verdict(EndCause.IDLE, POLICY_VIOLATION, f"no stream was started for {idle:g} seconds")
            return self._verdict or unheard
        except CallIsLive as live:
            return Verdict(EndCause.HANGUP, POLICY_VIOLATION, str(live))
        except ProtocolError as error:
            return Verdict(EndCause.PROTOCOL_ERROR, INVALID_DATA, str(error))
        except WebSocketDisconnect as gone:
            cause = EndCause.SHUTDOWN if gone.code == RESTARTING else EndCause.DISCONNECTED
            return Verdict(cause, gone.code, gone.reason)

    async def _converse(self) -> Verdict:
        receive, hear, understand = self._websocket.receive, self._recorder.hear, self._stream.receive
        while True:
            message = await receive()
            text = message.get("text")
            if text is None:
                raise _not_text(message)
            event = understand(text)
            if isinstance(event, Audio) and self._live is not None:
                wait = hear(self._live, event)
                if wait > 0:
                    # Nothing is read meanwhile: the sender's own connection slows it down.
                    await asyncio.sleep(wait)
            elif isinstance(event, StreamStarted):
                self._answer(event)
            elif isinstance(event, StreamStopped):
                return Verdict(EndCause.HANGUP, NORMAL, "")

    def _answer(self, started: StreamStarted) -> None:
        call = call_of(started, self._account_id, self._clock.now())
        self._live = self._recorder.answer(call, self._close)
        if self._deadline is not None:
            # From here on the recorder watches over the stream, without a timer for each frame.
            self._deadline.reschedule(None)

    def _close(self, verdict: Verdict) -> None:
        if self._verdict is None and self._deadline is not None:
            self._verdict = verdict
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _log(self, verdict: Verdict) -> None:
        call_id = self._live.call.call_id if self._live is not None else None
        details = {"call_id": call_id, "cause": verdict.cause.value, "code": verdict.code, "reason": verdict.reason}
        log.info("a media stream ended: %s %s", verdict.cause.value, verdict.reason, extra=details)


def _not_text(message: object) -> Exception:
    if isinstance(message, dict) and message["type"] == "websocket.disconnect":
        return WebSocketDisconnect(message.get("code", 1006), message.get("reason"))
    return ProtocolError("a binary message: Media Streams are text")
