"""GraphQL over WebSockets: the thin shell around `graph.subscriptions.transport_ws`.

Each socket has a task that reads messages, and one for each operation. One task of the server looks at the time and at
the credentials of all sockets. While an operation waits for events, its results are written without its task.

Nothing waits in memory for a client that does not read: a full write buffer stops the operations, their bounded queues
fill, and after `STALL_SECONDS` without progress the socket is closed.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack, aclosing
from typing import Any, Final, Protocol

import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from adapters.cancellation import cancel_and_wait
from adapters.http.error_body import error_response
from adapters.identity import token_in
from adapters.recorders.embedded import DIRECT_MESSAGES
from graph.execution.response import encode
from graph.subscriptions import transport_ws as ws
from graph.subscriptions.caller import Caller, credentials_in
from graph.subscriptions.operation_streams import CHECK_SECONDS, OperationError, OperationStreams
from graph.subscriptions.shared_results import StreamedResult
from graph.subscriptions.stream_slots import TooManyStreamsError
from graph.subscriptions.transport_ws import SUBPROTOCOL, Code, TransportWs
from recordings.model.errors import Unauthenticated

STALL_SECONDS: Final = 10.0
"""How long a client may read nothing while messages wait for it."""
TICK_SECONDS: Final = 1.0
_RESTARTING: Final = "the server restarts: connect again"
_log: Final[Any] = structlog.get_logger("graphql")


class SocketEndpoint:
    """Serves the sockets of one server. `may_connect` decides by the headers which web pages may open one."""

    def __init__(
        self, streams: OperationStreams, may_connect: Callable[[Headers], bool] = lambda _headers: True
    ) -> None:
        self._streams = streams
        self._may_connect = may_connect
        self._sessions: set[_Session] = set()
        self._watching: asyncio.Task[None] | None = None
        self._checking: dict[Hashable, asyncio.Task[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket to its end."""
        if not self._may_connect(Headers(scope=scope)):
            message = "pages of this origin are not allowed: see the setting --cors-origins"
            await error_response(403, "ORIGIN_NOT_ALLOWED", message)(scope, receive, send)
            return
        if (await receive())["type"] != "websocket.connect":
            return
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept", "headers": []})
            reason = f"Subprotocol not acceptable: use {SUBPROTOCOL}"
            await send({"type": "websocket.close", "code": Code.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL, "headers": []})
        session = _Session(self._streams, scope, receive, send)
        self._sessions.add(session)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="sockets")
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def _watch(self) -> None:
        """Look at the time and at the credentials of all sockets, as long as there are any."""
        while self._sessions:
            await asyncio.sleep(TICK_SECONDS)
            due: dict[Hashable, list[_Session]] = {}
            for session in tuple(self._sessions):
                session.tick()
                if session.must_check:
                    due.setdefault(session.identity, []).append(session)
            for identity, sessions in due.items():
                if identity not in self._checking:
                    check = self._check(identity, sessions)
                    self._checking[identity] = asyncio.create_task(check, name="credentials")
        self._watching = None

    async def _check(self, identity: Hashable, sessions: "Sequence[_Session]") -> None:
        """Check the credentials of sockets that have the same ones."""
        assert sessions[0].caller is not None  # noqa: S101 - only such sockets are checked
        try:
            reason = await self._streams.lost_access(sessions[0].caller)
        finally:
            del self._checking[identity]
        for session in sessions:
            session.note_check(reason)


class MessageWriter(Protocol):
    """The ASGI extension `DIRECT_MESSAGES`: with it, a message needs no task."""

    @property
    def is_writable(self) -> bool:
        """False if the client must read first, or if the socket is closed."""

    def write_text(self, message: bytes) -> None:
        """Write a text message."""


class _DirectOutlet:
    """Sends the results of one operation of a socket."""

    def __init__(self, writer: MessageWriter, protocol: TransportWs, operation: str) -> None:
        self._writer = writer
        self._protocol = protocol
        self._operation = operation
        self._start = ws.start_of_result(operation)

    @property
    def is_ready(self) -> bool:
        return self._writer.is_writable and self._operation in self._protocol.operations

    def send(self, result: StreamedResult) -> None:
        self._writer.write_text(b"".join((self._start, result.body, b"}")))


class _Session:
    """One socket."""

    def __init__(self, streams: OperationStreams, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams = streams
        self._connection = WebSocket(scope, receive, send)
        self._receive = receive
        self._asgi_send = send
        self._writer: MessageWriter | None = scope.get("extensions", {}).get(DIRECT_MESSAGES)
        self._now = asyncio.get_running_loop().time
        self._protocol = TransportWs(self._now())
        self._slot = ExitStack()
        self.caller: Caller | None = None
        self.identity: Hashable = None
        """The credentials, and the rights that they had."""
        self._checked = self._progress = self._now()
        self._sending = 0
        self._timely: set[asyncio.Task[None]] = set()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._code = 1005
        self._reason = ""

    async def run(self) -> None:
        """Serve until the client or the server closes the socket."""
        reading = asyncio.create_task(self._read(), name="socket")
        try:
            await self._ended
        finally:
            await cancel_and_wait(reading, *self._timely, *self._operations.values())
            self._slot.close()
        _log.info("socket closed", code=int(self._code), reason=self._reason or None)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    self._end(message.get("code") or 1005, message.get("reason") or "")
                    return
                text = message.get("text")
                await self._do(self._protocol.receive(message["bytes"] if text is None else text, self._now()))
        except Exception as error:  # noqa: BLE001 - the other tasks of the socket must end, too
            self._end_with(error)

    def tick(self) -> None:
        """Do what is due now."""
        try:
            self._start(self._due())
        except Exception as error:  # noqa: BLE001 - no error of one socket may end the watch of all
            self._end_with(error)

    @property
    def must_check(self) -> bool:
        """True if the credentials must be checked again."""
        return self.caller is not None and self._now() - self._checked >= CHECK_SECONDS

    def note_check(self, reason: str | None) -> None:
        """Note a check of the credentials. With a `reason`, they are no longer valid."""
        self._checked = self._now()
        if reason is not None:
            self._start(self._protocol.close(Code.FORBIDDEN, f"Forbidden: {reason}"))

    def _start(self, events: Sequence[ws.Event]) -> None:
        """Carry out events in a task of its own: a client that does not read must not delay the other sockets."""
        if events and not self._ended.done():
            task = asyncio.create_task(self._carry_out(events), name="socket")
            self._timely.add(task)
            task.add_done_callback(self._timely.discard)

    async def _carry_out(self, events: Sequence[ws.Event]) -> None:
        try:
            await self._do(events)
        except Exception as error:  # noqa: BLE001 - as above
            self._end_with(error)

    def _due(self) -> Sequence[ws.Event]:
        now = self._now()
        if self._streams.stopping.is_set():
            return self._protocol.close(Code.RESTARTING, _RESTARTING)
        if self._sending and now - self._progress >= STALL_SECONDS:
            return self._protocol.close(Code.TIMEOUT, f"too slow: no message was read for {STALL_SECONDS:g} s")
        return self._protocol.tick(now)

    async def _do(self, events: Sequence[ws.Event]) -> None:
        for event in events:
            match event:
                case ws.Send(text):
                    await self._send(text)
                case ws.Initialize(payload):
                    await self._initialize(credentials_in(payload))
                case ws.Subscribe(operation, _):
                    task = asyncio.create_task(self._run(event), name="operation")
                    self._operations[operation] = task
                case ws.Stop(operation):
                    if (running := self._operations.pop(operation, None)) is not None:
                        running.cancel()
                case ws.Close(code, reason):
                    await self._asgi_send({"type": "websocket.close", "code": int(code), "reason": reason})
                    self._end(code, reason)

    async def _initialize(self, credentials: dict[str, str]) -> None:
        close = self._protocol.close
        try:
            caller = await self._streams.caller(self._connection, credentials)
            self._slot.enter_context(self._streams.slots.take(caller.principal))
        except Unauthenticated as error:
            await self._do(close(Code.FORBIDDEN, f"Forbidden: {error.message}"))
        except TooManyStreamsError as error:
            await self._do(close(Code.TOO_MANY_REQUESTS, str(error)))
        except Exception as error:  # noqa: BLE001 - logged there
            message = self._streams.to_http_error(error, self._streams.request_id(self._connection)).error["message"]
            await self._do(close(Code.TRY_AGAIN_LATER, message))
        else:
            self.caller, self._checked = caller, self._now()
            self.identity = token_in(caller.headers), caller.principal
            await self._send(self._protocol.acknowledge(self._now()))

    async def _run(self, event: ws.Subscribe) -> None:
        """Run one operation to its end."""
        protocol, operation = self._protocol, event.id
        assert self.caller is not None  # noqa: S101 - the protocol allows no operation before
        try:
            async with aclosing(await self._streams.open(event.params, self.caller)) as results:
                if self._writer is not None:
                    results.open_outlet(_DirectOutlet(self._writer, protocol, operation))
                async for result in results:
                    await self._send(protocol.result(operation, result.body))
            self._forget(operation)
            await self._send(protocol.complete(operation))
        except OperationError as error:
            self._forget(operation)
            await self._send(protocol.fail(operation, encode(error.errors)))
        except Exception as error:  # noqa: BLE001 - the client closed the connection, or a fault of this service
            self._end_with(error)

    def _forget(self, operation: str) -> None:
        # After `complete`, a client may use the id again at once: then it belongs to another task.
        if self._operations.get(operation) is asyncio.current_task():
            del self._operations[operation]

    async def _send(self, text: str | None) -> None:
        if text is None:
            return
        if not self._sending:
            self._progress = self._now()
        self._sending += 1
        try:
            await self._asgi_send({"type": "websocket.send", "text": text})
        finally:
            self._sending -= 1
            self._progress = self._now()

    def _end(self, code: int, reason: str) -> None:
        if not self._ended.done():
            self._code, self._reason = code, reason
            self._ended.set_result(None)

    def _end_with(self, error: Exception) -> None:
        """End the socket after an exception. The server raises an `OSError` if the client is gone."""
        if not isinstance(error, OSError) and not self._protocol.is_closed:
            _log.error("socket failed", exc_info=error)
        self._end(1006, "")
