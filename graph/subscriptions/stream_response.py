"""A response that streams results until its operation ends, or until the client must not or cannot read on."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from adapters.cancellation import cancel_and_wait
from graph.execution.response import encode
from graph.metrics.counters import STREAMED
from graph.subscriptions.caller import Caller
from graph.subscriptions.operation_streams import OperationError, OperationStreams, ResultStream
from graph.subscriptions.stream_formats import StreamFormat

PING_SECONDS: Final = 15.0
"""The time between two pings. Usual proxies close a connection after 60 seconds without data."""
DEAD_PEER_SECONDS: Final = 45.0
"""How long sent bytes may stay unacknowledged. There are always some, because of the pings."""
DEAD_PEER: Final = "recordings.dead_peer"
"""The ASGI extension that limits the time for which sent bytes may stay unacknowledged."""
_HEADERS: Final = (
    # Caches and compressing proxies would keep results back. nginx knows only its own header.
    (b"cache-control", b"private, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"vary", b"accept, authorization, x-auth-token"),
)


async def formatted(results: ResultStream, form: StreamFormat) -> AsyncGenerator[bytes]:
    """Yield the bytes of all results of an operation, and of its end. Close the results.

    A generator that is closed before its first step closes nothing, so the caller closes the results, too.
    """
    async with aclosing(results):
        try:
            async for result in results:
                yield form.result(result.body, result.cursor)
        except OperationError as error:
            yield form.failure(encode(error.errors))
        else:
            yield form.end


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """Streams bytes to one client.

    It sends pings while there are no results. It ends the response if the credentials of the caller expire or are
    revoked, or if the server stops. `on_failure` returns the last bytes for the errors of the former, as a JSON list.
    """

    streams: OperationStreams
    caller: Caller
    form: StreamFormat
    on_failure: Callable[[bytes], bytes]

    async def respond(self, chunks: AsyncGenerator[bytes], scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks, until their end or until the client disconnects. Close them."""
        scope.setdefault("state", {})[STREAMED] = True
        limit = scope.get("extensions", {}).get(DEAD_PEER)
        if limit is not None:
            limit(DEAD_PEER_SECONDS)
        async with aclosing(chunks):
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", self.form.content_type.encode()), *_HEADERS],
                }
            )
            gone = asyncio.create_task(_disconnected(receive))
            try:
                last = await self._until_end(chunks, gone, send)
                await chunks.aclose()
                if last is not None:
                    # A client that reads nothing delays this. The HTTP server then closes the connection.
                    await _first_of(gone, _write(send, last, more=False))
            finally:
                await cancel_and_wait(gone)
        if limit is not None:
            limit(None)

    async def _until_end(self, chunks: AsyncGenerator[bytes], gone: "asyncio.Task[None]", send: Send) -> bytes | None:
        """Send chunks and pings. Return the last bytes of the response, or `None` after the client disconnected."""
        body = asyncio.create_task(self._send_all(chunks, send))
        pings = asyncio.create_task(self._ping(send))
        access = asyncio.create_task(self.streams.end_of_access(self.caller))
        stop = asyncio.create_task(self.streams.stopping.wait())
        tasks = (body, pings, access, stop)
        try:
            done, _ = await asyncio.wait((gone, *tasks), return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                return None
            if access in done:
                return self.on_failure(self._error("UNAUTHENTICATED", access.result()))
            if stop in done:
                return self.form.interruption(self._error("UNAVAILABLE", "this server is stopping: subscribe again"))
            body.result()
            return b""
        finally:
            await cancel_and_wait(*tasks)

    def _error(self, code: str, message: str) -> bytes:
        return encode([{"message": message, "extensions": {"code": code, "requestId": self.caller.request_id}}])

    async def _send_all(self, chunks: AsyncGenerator[bytes], send: Send) -> None:
        await _write(send, self.form.start)
        async for chunk in chunks:
            await _write(send, chunk)

    async def _ping(self, send: Send) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await _write(send, self.form.ping)


async def _write(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(task: "asyncio.Task[Any]", other: Any) -> None:
    """Wait until one of the two ends."""
    started = asyncio.ensure_future(other)
    try:
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_and_wait(started)
