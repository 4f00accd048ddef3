"""An error of the source is a fault of this service; a client that disconnects is not."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from adapters.http.audio_response import play
from adapters.http.streaming_response import BodySourceError, StreamedResponse
from recordings.model.recording import Media, Recording, State

MEDIA = Media("local:a", "audio/mpeg", 10, 1_000, 8_000, 1, "0f" * 32, 0)
RECORDING = Recording(
    id="202611-a", account_id="a" * 32, state=State.STORED, start=0, created=0, modified=0, call_id="c", from_="a@b",
    to="c@d", media=MEDIA,
)  # fmt: skip


SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "path": "/", "query_string": b""}


async def connected() -> Any:
    """Receive from a client that stays connected."""
    await asyncio.Event().wait()


async def test_an_error_of_the_store_does_not_count_as_a_disconnect() -> None:
    closed = []

    async def read(_url: str, _start: int, _end: int | None) -> AsyncIterator[bytes]:
        try:
            yield b"12345"
            raise ConnectionResetError
        finally:
            closed.append(True)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    response = await play(Request(SCOPE), RECORDING, read)
    with pytest.raises(BodySourceError):
        await response(SCOPE, connected, send)
    assert b"".join(message.get("body", b"") for message in sent) == b"12345"
    assert closed == [True]


async def test_a_body_that_waits_is_closed_when_the_client_disconnects() -> None:
    waiting, closed = asyncio.Event(), []

    async def body() -> AsyncGenerator[bytes]:
        try:
            yield b"12345"
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def receive() -> Any:
        await waiting.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        pass

    await StreamedResponse(body(), 200, {})(SCOPE, receive, send)
    assert closed == [True]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_of_the_connection_is_a_disconnect() -> None:
    async def body() -> AsyncGenerator[bytes]:
        yield b"12345"

    async def send(_message: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(ClientDisconnect):
        await StreamedResponse(body(), 200, {})(SCOPE, connected, send)


async def test_a_cancelled_response_is_cancelled() -> None:
    async def body() -> AsyncGenerator[bytes]:
        yield b"12345"
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message.get("body"):
            sending.cancel()

    sending = asyncio.ensure_future(StreamedResponse(body(), 200, {})(SCOPE, connected, send))
    with pytest.raises(asyncio.CancelledError):
        await sending
