"""Responses with a body from a generator, which is closed as soon as the client disconnects."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send


class BodySourceError(Exception):
    """The source of a streamed body failed before its end."""


class StreamedResponse(StreamingResponse):
    """A response with a body from a generator.

    The generator is closed when the client disconnects. Starlette leaves that to the garbage collector.
    """

    def __init__(self, body: AsyncGenerator[bytes], status: int, headers: Mapping[str, str]) -> None:
        self._body = _with_named_errors(body)
        super().__init__(self._body, status, headers)

    def transform(self, function: Callable[[AsyncGenerator[bytes]], AsyncGenerator[bytes]]) -> None:
        """Replace the body with `function(body)`, which must close the original body."""
        self._body = self.body_iterator = function(self._body)

    async def stream_response(self, send: Send) -> None:
        """Send the whole body, then close it."""
        async with aclosing(self._body):
            await super().stream_response(send)


async def prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield a piece that was already read, then the rest. Closes the rest at the end."""
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()


async def _with_named_errors(body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    # Starlette takes every OSError for a client that disconnected. An OSError of the source is a fault.
    async with aclosing(body):
        try:
            async for piece in body:
                yield piece
        except OSError as error:
            raise BodySourceError from error
