"""Answers that are sent while they are made; their source is closed as soon as the client is gone."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send

from adapters.http.breaking import told


class Streamed(StreamingResponse):
    """A body from a generator, which is closed at once when the client leaves, and not when it is collected."""

    def __init__(self, body: AsyncGenerator[bytes], status: int, headers: Mapping[str, str]) -> None:
        self._body = told(body)
        super().__init__(self._body, status, headers)

    def pass_through(self, way: Callable[[AsyncGenerator[bytes]], AsyncGenerator[bytes]]) -> None:
        """Send what this makes of the body; it has to close the body in the end."""
        self.body_iterator = self._body = way(self._body)

    async def stream_response(self, send: Send) -> None:
        """Send it all."""
        async with aclosing(self._body):
            await super().stream_response(send)
