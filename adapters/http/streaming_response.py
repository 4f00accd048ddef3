"""Bodies that are sent as they are read, and let go of when their listener leaves."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send


class BrokenOffError(Exception):
    """What was being sent could not be read to its end."""


class Streamed(StreamingResponse):
    """A body from a generator, which is closed at once when the client leaves, and not when it is collected."""

    def __init__(self, body: AsyncGenerator[bytes], status: int, headers: Mapping[str, str]) -> None:
        self._body = _told(body)
        super().__init__(self._body, status, headers)

    def pass_through(self, way: Callable[[AsyncGenerator[bytes]], AsyncGenerator[bytes]]) -> None:
        """Send what this makes of the body; it has to close the body in the end."""
        self._body = self.body_iterator = way(self._body)

    async def stream_response(self, send: Send) -> None:
        """Send it all."""
        async with aclosing(self._body):
            await super().stream_response(send)


async def resumed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """A body whose first piece was read before; the rest of it is closed with it."""
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()


async def _told(body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    # An OSError of the source would be taken for one of the client's socket: a client that went away is no fault.
    async with aclosing(body):
        try:
            async for piece in body:
                yield piece
        except OSError as error:
            raise BrokenOffError from error
