"""Media streams over WebSockets: connects a WebSocket, the decoder of its dialect and the recorder.

How a stream ends, for its sender (close code) and for its takes (cause):

    `stop`                                          1000   HANGUP
    the connection ends without `stop`              -      DISCONNECTED, unless the call reconnects within `reconnect`
    an invalid message                              1007   PROTOCOL_ERROR
    a first message of no known dialect             1003   (no take begins)
    closed, if that is the dialect's normal end     -      HANGUP
    no audio for `stream_idle`                      1008   IDLE
    longer than `max_call_seconds`                  1008   HANGUP
    its ingest address was revoked                  1008   HANGUP
    a lock of the account forbids to record it      1008   (no audio is received)
    another stream of the call sends audio, here    1008   (the first stream stays open)
    or on another server
    another stream continues the call               1008   (its takes stay open)
    more than `max_streams`, or than the share      1013   (no take begins)
    of the account or the client address
    no message for `first_message`, or no start     1008   (no take begins)
    for `stream_start`
    no answer to a ping after 30 s of silence       -      DISCONNECTED
    this server shuts down                          1012   SHUTDOWN
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.recorders.dialects.detect import AnyStream, Handshake
from adapters.recorders.dialects.kazoo_upload import with_plus
from adapters.recorders.dialects.stream_events import Event
from adapters.recorders.dialects.stream_limits import UnknownDialect
from adapters.recorders.embedded.embedded_recorder import EmbeddedRecorder
from adapters.recorders.embedded.frame_reader import TEXT
from adapters.recorders.embedded.gathered_reads import GatheredReads
from adapters.recorders.embedded.live_call import RESTARTING, StreamEnd
from adapters.recorders.embedded.slot_shares import ClientOf, NoSlot, client_of
from adapters.recorders.embedded.stream_session import (
    INVALID_DATA,
    NORMAL,
    UNSUPPORTED_DATA,
    Claim,
    DirectRecorder,
    Disconnected,
    IsAllowed,
    StreamHost,
)
from adapters.recorders.embedded.uvicorn_protocols import DIRECT_MESSAGES, OnMessages, WebSocketProtocol
from recordings.model.account import Principal
from recordings.model.recording import EndCause
from recordings.ports.clock import Clock

GOING_AWAY: Final = 1001
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
TOO_BIG: Final = 1009
TRY_AGAIN_LATER: Final = 1013
MAX_REASON: Final = 120
"""Maximum length (bytes) of the reason in a close frame. RFC 6455, section 5.5, allows 123."""


class MediaSockets:
    """Serves WebSockets with media streams."""

    def __init__(
        self, recorder: EmbeddedRecorder, clock: Clock, claim: Claim | None = None, client_of: ClientOf = client_of
    ) -> None:
        self.host = StreamHost(recorder, clock, claim)
        self._client_of = client_of
        self._reads = GatheredReads()

    async def serve(self, websocket: WebSocket, principal: Principal, is_allowed: IsAllowed) -> None:
        """Serve one authenticated connection, from its handshake to its end."""
        handshake = handshake_of(websocket)
        await websocket.accept(handshake.subprotocol)
        try:
            connection = _WebSocketConnection(websocket, AnyStream(handshake), self._reads)
        except UnknownDialect as error:
            await websocket.close(UNSUPPORTED_DATA, _short(str(error)))
            return
        client = self._client_of(websocket)
        try:
            end = await self.host.run(
                connection, principal.account_id, is_allowed, client, record_all=principal.record_all
            )
        except NoSlot as no_slot:
            await websocket.close(TRY_AGAIN_LATER, _short(f"try again later: {no_slot}"))
            return
        # The sender may be disconnected, or may have closed at the same moment.
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(end.code, _short(end.reason))


class _WebSocketConnection:
    def __init__(self, websocket: WebSocket, stream: AnyStream, reads: GatheredReads) -> None:
        self._receive = websocket.receive
        self._send = websocket.send_text
        self._socket: WebSocketProtocol | None = websocket.scope.get("extensions", {}).get(DIRECT_MESSAGES)
        if self._socket is not None:
            self._socket.gathered_reads = reads
        self._stream = stream
        self._decode = stream.receive

    async def receive(self, recorder: DirectRecorder | None) -> Sequence[Event]:
        if self._socket is None or recorder is None:
            message = await self._receive()
        else:
            self._socket.on_messages = self._recorded(self._socket, recorder)
            try:
                message = await self._receive()
            finally:
                self._socket.on_messages = None
        data = message.get("text")
        if data is None:
            data = message.get("bytes")
        if data is None:
            code = message.get("code", ABNORMAL)
            if code == NO_STATUS and "reason" not in message:
                # uvicorn reports a lost connection like a close frame without a code, but only a frame has a reason.
                code = ABNORMAL
            raise Disconnected(self._end_of(code, message.get("reason") or ""))
        return self._decode(data)

    def _recorded(self, socket: WebSocketProtocol, recorder: DirectRecorder) -> OnMessages:
        """Return a function that records the messages up to the first one that is not usual audio."""
        stream, record = self._stream, recorder.record_now

        def record_audio(opcode: int, messages: Sequence[bytes]) -> int:
            handled, may_go_on = record(messages, opcode == TEXT, stream)
            if not may_go_on:
                # The next message comes in the usual way, which can wait.
                socket.on_messages = None
            return handled

        return record_audio

    def read_waiting(self) -> None:
        if self._socket is not None:
            self._socket.read_waiting()

    async def send(self, message: str) -> None:
        # The sender may be disconnected already; then `receive` reports it.
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._send(message)

    def _end_of(self, code: int, reason: str) -> StreamEnd:
        """Return the end of a stream whose connection was closed with this code, without a message of its end."""
        if code == RESTARTING:
            cause = EndCause.SHUTDOWN
        elif code in {INVALID_DATA, TOO_BIG}:
            cause = EndCause.PROTOCOL_ERROR
        else:
            is_end = self._stream.closes_normally and code in {NORMAL, GOING_AWAY, NO_STATUS}
            cause = EndCause.HANGUP if is_end else EndCause.DISCONNECTED
        return StreamEnd(cause, code, reason)


def handshake_of(websocket: WebSocket) -> Handshake:
    """Return the parts of a handshake that can tell the dialect."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in websocket.headers.raw}
    parameters = {name: with_plus(name, value) for name, value in websocket.query_params.multi_items()}
    return Handshake(parameters, websocket.scope.get("subprotocols") or (), headers)


def _short(reason: str) -> str:
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
