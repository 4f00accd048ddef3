"""An error of the source is a fault of this service; a client that disconnects is not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from adapters.http.audio_response import play
from adapters.http.streaming_response import BodySourceError
from recordings.model.recording import Media, Recording, State

MEDIA = Media("local:a", "audio/mpeg", 10, 1_000, 8_000, 1, "0f" * 32, 0)
RECORDING = Recording(
    id="202611-a", account_id="a" * 32, state=State.STORED, start=0, created=0, modified=0, call_id="c", from_="a@b",
    to="c@d", media=MEDIA,
)  # fmt: skip


async def test_an_error_of_the_store_does_not_count_as_a_disconnect() -> None:
    closed = []

    async def read(_url: str, _start: int, _end: int | None) -> AsyncIterator[bytes]:
        try:
            yield b"12345"
            raise ConnectionResetError
        finally:
            closed.append(True)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "path": "/", "query_string": b""}
    sent: list[Any] = []

    async def receive() -> Any:
        # The client stays connected.
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    response = await play(Request(scope), RECORDING, read)
    with pytest.raises(BodySourceError):
        await response(scope | {"asgi": {"spec_version": "2.4"}}, receive, send)
    assert b"".join(message.get("body", b"") for message in sent) == b"12345"
    assert closed == [True]
