"""The route to which a switch sends the file of a take: `PUT /ingest/take/{token}/{recording}.wav`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.recorders.embedded.ingest_responses import not_found, reject
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.take_files import PATH
from recordings.ports.recorder import TakeRefused

Receive = Callable[[str, str, AsyncIterator[bytes]], Awaitable[bool]]
"""`RecorderRegistry.receive_file`."""
_INCOMPLETE: Final = "the file is incomplete, too long, or could not be stored"


def take_file_route(receive: Receive, limits: Limits) -> Route:
    """Return the route. It accepts a file only while a take waits for it."""

    async def put(request: Request) -> Response:
        recording_id, token = request.path_params["recording_id"], request.path_params["token"]
        try:
            async with asyncio.timeout(limits.body_total):
                is_expected = await receive(recording_id, token, _chunks(request, limits))
        except (TakeRefused, TimeoutError):
            return reject(400, "INCOMPLETE", _INCOMPLETE)
        return Response(status_code=201) if is_expected else not_found()

    return Route(f"{PATH}/{{token}}/{{recording_id}}.wav", put, methods=["PUT"])


async def _chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    length = 0
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(limits.body_idle):
                chunk = await anext(stream, b"")
        except ClientDisconnect as error:
            raise OSError("the switch closed the connection") from error
        if not chunk:
            return
        length += len(chunk)
        if length > limits.max_body:
            raise OSError("the file is too long")
        yield chunk
