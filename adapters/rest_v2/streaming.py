"""Answers that are sent while they are made; their source is closed as soon as the client is gone."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send


class Streamed(StreamingResponse):
    """A body from a generator, which is closed at once when the client leaves, and not when it is collected."""

    def __init__(self, body: AsyncGenerator[bytes], status: int, headers: Mapping[str, str]) -> None:
        super().__init__(body, status, headers)
        self._body = body

    async def stream_response(self, send: Send) -> None:
        """Send it all."""
        async with aclosing(self._body):
            await super().stream_response(send)
