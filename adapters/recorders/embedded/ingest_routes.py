"""The HTTP routes that receive audio.

PUT | POST  /ingest/{address}/{secret}[/{the path that Kazoo appends to its url}]
WebSocket   /ingest/{address}/{secret}/ws
"""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from adapters.http.error_body import error_response, unavailable
from adapters.recorders.dialects import kazoo_upload
from adapters.recorders.embedded.stream_sockets import MediaSockets
from adapters.recorders.embedded.uploads import Uploads
from recordings.model.account import Principal
from recordings.model.errors import Refused
from recordings.ports.clock import Clock

Authenticate = Callable[[str, str], Awaitable[Principal | None]]
"""Returns the principal of an ingest address and its secret. Returns `None` for an unknown address, a wrong secret and
a revoked address, so that a sender cannot tell them apart."""


def ingest_routes(
    *,
    authenticate: Authenticate,
    uploads: Uploads,
    sockets: MediaSockets,
    clock: Clock,
    is_draining: Callable[[], bool] = bool,
) -> list[BaseRoute]:
    """Return the routes for the app's router. While `is_draining` returns true, new streams are refused."""

    async def upload(request: Request) -> Response:
        principal = await _principal(authenticate, request)
        if principal is None:
            return _not_found()
        tail, query = request.path_params.get("tail", ""), request.url.query
        read_address = partial(kazoo_upload.read, tail, query, principal.account_id, clock.now())
        try:
            return await uploads.receive(principal, request, read_address)
        except Refused as refused:
            return _reject(409, refused.code, refused.message)

    async def stream(websocket: WebSocket) -> None:
        async def is_allowed() -> bool:
            return await _principal(authenticate, websocket) is not None

        principal = await _principal(authenticate, websocket)
        if principal is None:
            await websocket.send_denial_response(_not_found())
        elif is_draining():
            # A balancer tries the next server after a 503.
            await websocket.send_denial_response(unavailable("this server is stopping: connect again"))
        else:
            await sockets.serve(websocket, principal, is_allowed)

    methods = ["PUT", "POST"]
    return [
        WebSocketRoute("/ingest/{address}/{secret}/ws", stream),
        Route("/ingest/{address}/{secret}", upload, methods=methods),
        Route("/ingest/{address}/{secret}/{tail:path}", upload, methods=methods),
    ]


async def _principal(authenticate: Authenticate, connection: Request | WebSocket) -> Principal | None:
    return await authenticate(connection.path_params["address"], connection.path_params["secret"])


def _not_found() -> Response:
    return _reject(404, "NOT_FOUND", "unknown or revoked ingest address, or wrong secret")


def _reject(status: int, code: str, message: str) -> Response:
    return error_response(status, code, message, {"Connection": "close"})
