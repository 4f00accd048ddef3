"""Media streams over WebSockets: connects a WebSocket, the protocol decoder and the recorder.

How a stream ends, for its sender (close code) and for its takes (cause):

    `stop`                                          1000   HANGUP
    the connection ends without `stop`              -      DISCONNECTED, unless the call reconnects within `reconnect`
    an invalid message                              1007   PROTOCOL_ERROR
    no audio for `stream_idle`                      1008   IDLE
    longer than `max_call_seconds`                  1008   HANGUP
    its ingest address was revoked                  1008   HANGUP
    another stream of the call sends audio, here    1008   (the first stream stays open)
    or on another server
    another stream continues the call               1008   (its takes stay open)
    more than `max_streams`                         1013   (no take begins)
    this server shuts down                          1012   SHUTDOWN

A stream may send faster than real time. If it is more than `max_lead` ahead, it is read only in real time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.recorders.dialects.media_streams import Audio, MediaStream, ProtocolError, StreamStarted, StreamStopped
from adapters.recorders.dialects.stream_call import call_of
from adapters.recorders.embedded.embedded_recorder import POLICY_VIOLATION, RESTARTING, CallIsLive, EmbeddedRecorder
from adapters.recorders.embedded.live_call import LiveCall, StreamEnd
from recordings.model.account import Principal
from recordings.model.call import Call
from recordings.model.recording import EndCause
from recordings.ports.clock import Clock
from recordings.ports.recording_store import StoreUnavailableError

_log: Final[Any] = structlog.get_logger("recorder")

NORMAL: Final = 1000
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
TRY_AGAIN_LATER: Final = 1013
MAX_REASON: Final = 120
"""Maximum length (bytes) of the reason in a close frame. RFC 6455, section 5.5, allows 123."""

IsAllowed = Callable[[], Awaitable[bool]]
"""Returns whether the sender of a stream may still send audio."""

Claim = Callable[[Call], Awaitable[bool]]
"""Claims a call for this server. Returns false if it is live on another server."""


async def _claim_always(_call: Call) -> bool:
    return True


class MediaSockets:
    """Serves WebSockets with media streams, up to the recorder's `max_streams` at once."""

    def __init__(self, recorder: EmbeddedRecorder, clock: Clock, claim: Claim | None = None) -> None:
        self._recorder = recorder
        self._clock = clock
        self._claim = claim or _claim_always
        self._open = 0

    async def serve(self, websocket: WebSocket, principal: Principal, is_allowed: IsAllowed) -> None:
        """Serve one authenticated connection, from its handshake to its end."""
        await websocket.accept()
        if self._open >= self._recorder.limits.max_streams:
            await websocket.close(TRY_AGAIN_LATER, "too many streams: try again later")
            return
        self._open += 1
        try:
            connection = _MediaSocket(websocket, principal, self._recorder, self._clock, self._claim)
            async with connection.closed_on_revocation(is_allowed):
                await connection.run()
        finally:
            self._open -= 1


class _MediaSocket:
    """One connection."""

    def __init__(
        self, websocket: WebSocket, principal: Principal, recorder: EmbeddedRecorder, clock: Clock, claim: Claim
    ) -> None:
        self._websocket = websocket
        self._account_id = principal.account_id
        self._recorder = recorder
        self._clock = clock
        self._claim = claim
        self._stream = MediaStream()
        self._live: LiveCall | None = None
        self._requested_end: StreamEnd | None = None
        self._deadline: asyncio.Timeout | None = None

    async def run(self) -> None:
        end = StreamEnd(EndCause.SHUTDOWN, RESTARTING, "")
        try:
            end = await self._receive_until_end()
        finally:
            # After this point a request to close has no effect.
            self._deadline = None
            if self._live is not None:
                await self._recorder.end_stream(self._live, self._request_end, end)
        self._log_end(end)
        # The sender may be disconnected, or may have closed at the same moment.
        with suppress(WebSocketDisconnect, RuntimeError):
            reason = end.reason.encode()[:MAX_REASON].decode(errors="ignore")
            await self._websocket.close(end.code, reason)

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
        idle = self._recorder.limits.stream_idle
        try:
            async with asyncio.timeout(idle) as self._deadline:
                return await self._receive()
        except TimeoutError:
            not_started = StreamEnd(EndCause.IDLE, POLICY_VIOLATION, f"no stream was started for {idle:g} seconds")
            return self._requested_end or not_started
        except CallIsLive as error:
            return StreamEnd(EndCause.HANGUP, POLICY_VIOLATION, str(error))
        except ProtocolError as error:
            return StreamEnd(EndCause.PROTOCOL_ERROR, INVALID_DATA, str(error))
        except WebSocketDisconnect as error:
            return StreamEnd(_cause_of(error.code), error.code, error.reason)

    async def _receive(self) -> StreamEnd:
        receive, receive_audio, decode = self._websocket.receive, self._recorder.receive_audio, self._stream.receive
        while True:
            message = await receive()
            text = message.get("text")
            if text is None:
                # Some clients send JSON in binary messages.
                text = message.get("bytes")
            if text is None:
                raise WebSocketDisconnect(message.get("code", 1006), message.get("reason"))
            event = decode(text)
            if isinstance(event, Audio) and self._live is not None:
                wait = receive_audio(self._live, event)
                if wait > 0:
                    # While nothing is read, TCP flow control slows the sender down.
                    await asyncio.sleep(wait)
            elif isinstance(event, StreamStarted):
                await self._open_call(event)
            elif isinstance(event, StreamStopped):
                return StreamEnd(EndCause.HANGUP, NORMAL, "")

    async def _open_call(self, started: StreamStarted) -> None:
        if self._live is not None:
            # The stream of the same call starts again.
            self._live.positions.restart()
            return
        call = call_of(started, self._account_id, self._clock.now())
        is_live_here = await self._recorder.find_call(call.account_id, call.call_id) is not None
        if not is_live_here and not await self._claim(call):
            raise CallIsLive(f"another server already receives the audio of call {call.call_id}")
        self._live = self._recorder.open_call(call, self._request_end)
        if self._deadline is not None:
            # After this point the recorder checks for idle streams, without a timer for each frame.
            self._deadline.reschedule(None)

    def _request_end(self, end: StreamEnd) -> None:
        if self._requested_end is None and self._deadline is not None:
            self._requested_end = end
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _log_end(self, end: StreamEnd) -> None:
        call_id = self._live.call.call_id if self._live is not None else None
        _log.info("media stream ended", call_id=call_id, cause=end.cause.value, code=end.code, reason=end.reason)


def _cause_of(close_code: int) -> EndCause:
    """Return the cause of an end for the close code of a connection that ended without `stop`."""
    if close_code == RESTARTING:
        return EndCause.SHUTDOWN
    return EndCause.PROTOCOL_ERROR if close_code in {INVALID_DATA, TOO_BIG} else EndCause.DISCONNECTED
