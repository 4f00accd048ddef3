"""Reserved event streams: one response with the results of several operations ("single connection mode").

A client reserves a stream, connects to it with the token of the reservation, and starts operations with other requests.
The state is that of one process. So all requests with a token must reach the same server.

A stream has two bounds: the number of its operations, and a queue of chunks for its client. If the client is slow, the
queue is full, and each operation waits. Then the bounded queue of a subscription fills, and it reports lost events.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from typing import Final

from adapters.identity import token_in
from graph.execution.request_errors import HttpError
from graph.subscriptions.caller import Caller
from graph.subscriptions.operation_streams import OperationStreams, ResultStream
from graph.subscriptions.stream_formats import EventStream, SharedEventStream
from graph.subscriptions.stream_response import formatted

MAX_OPERATIONS: Final = 20
MAX_QUEUED: Final = 16
"""How many chunks wait for the client."""
RESERVED_SECONDS: Final = 30.0
"""How long a reservation is valid until its client connects."""
MAX_OPERATION_ID: Final = 128
_TOKEN_BYTES: Final = 24


class _Operation:
    """An operation of a stream. It has results, and a task that sends them, when it was started."""

    def __init__(self) -> None:
        self.results: ResultStream | None = None
        self.task: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Stop to send results."""
        if self.task is not None and self.results is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            # A task that is cancelled before its first step closes nothing.
            await self.results.aclose()


class ReservedStream:
    """A stream, connected or not, and its operations."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.connected = asyncio.Event()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        self._operations: dict[str, _Operation] = {}

    async def start(self, operation_id: str, start: Callable[[], Awaitable[ResultStream]]) -> None:
        """Start an operation, and send its results to the stream.

        Raises:
            HttpError: the stream has an operation with this id, or as many operations as it may.
            OperationError: `start` raised it.
        """
        if operation_id in self._operations:
            message = f"an operation with the id {operation_id!r} is in progress: choose another operationId"
            raise HttpError(409, "CONFLICT", message)
        if len(self._operations) >= MAX_OPERATIONS:
            message = f"too many operations: an event stream may have {MAX_OPERATIONS}; stop one of them"
            raise HttpError(429, "LIMIT_EXCEEDED", message)
        operation = self._operations[operation_id] = _Operation()
        try:
            results = await start()
        except BaseException:
            self._remove(operation_id, operation)
            raise
        if self._operations.get(operation_id) is operation:
            operation.results = results
            operation.task = asyncio.create_task(self._run(operation_id, operation, results))
        else:
            # The client stopped it in the meantime, or left.
            await results.aclose()

    async def _run(self, operation_id: str, operation: _Operation, results: ResultStream) -> None:
        try:
            async with aclosing(results), aclosing(formatted(results, SharedEventStream(operation_id))) as chunks:
                async for chunk in chunks:
                    await self._chunks.put(chunk)
        finally:
            self._remove(operation_id, operation)

    def _remove(self, operation_id: str, operation: _Operation) -> None:
        if self._operations.get(operation_id) is operation:
            del self._operations[operation_id]

    async def stop(self, operation_id: str) -> None:
        """Stop an operation. Ignore an unknown id: the operation may have ended by itself."""
        operation = self._operations.pop(operation_id, None)
        if operation is not None:
            await operation.end()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the chunks of all operations, without an end. Stop the operations when it is closed."""
        try:
            while True:
                yield await self._chunks.get()
        finally:
            await self.close()

    def failure(self, errors: bytes) -> bytes:
        """Return the bytes that end all operations with errors."""
        return b"".join(SharedEventStream(each).failure(errors) for each in self._operations) or EventStream.ping

    async def close(self) -> None:
        """Stop all operations."""
        operations = list(self._operations.values())
        self._operations.clear()
        await asyncio.gather(*(operation.end() for operation in operations))


class ReservedStreams:
    """The reserved streams of one process, by their tokens. A reservation counts as a connection of its caller."""

    def __init__(self, streams: OperationStreams) -> None:
        self._streams = streams
        self._reserved: dict[str, tuple[ReservedStream, ExitStack]] = {}
        self._expiring: set[asyncio.Task[None]] = set()

    def reserve(self, caller: Caller) -> str:
        """Return the token of a new stream.

        Raises:
            TooManyStreamsError: the caller has as many connections as it may.
        """
        stack = ExitStack()
        stack.enter_context(self._streams.slots.take(caller.principal))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        stream = ReservedStream(caller)
        self._reserved[token] = (stream, stack)
        task = asyncio.create_task(self._expire(token, stream))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)
        return token

    async def _expire(self, token: str, stream: ReservedStream) -> None:
        """Wait until the client connects. Remove the stream if it does not, or if the server stops before."""
        waits = [asyncio.create_task(each.wait()) for each in (stream.connected, self._streams.stopping)]
        await asyncio.wait(waits, timeout=RESERVED_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if not stream.connected.is_set():
            await self.close(token)

    def find(self, token: str, caller: Caller | None) -> ReservedStream:
        """Return the stream of a token. `caller` is `None` for a client that can send no credentials.

        Raises:
            HttpError: there is no such stream on this server, or it belongs to another caller.
        """
        found = self._reserved.get(token)
        if found is None or (caller is not None and not _same_credentials(caller, found[0].caller)):
            message = (
                "no such event stream: it ended or expired, it belongs to other credentials, or another server has it; "
                "reserve a new one with PUT"
            )
            raise HttpError(404, "NOT_FOUND", message)
        return found[0]

    async def close(self, token: str) -> None:
        """End a stream and its operations."""
        found = self._reserved.pop(token, None)
        if found is not None:
            stream, slot = found
            slot.close()
            await stream.close()


def _same_credentials(one: Caller, other: Caller) -> bool:
    return token_in(one.headers) == token_in(other.headers)
