"""The HTTP routes that receive audio.

PUT | POST  /ingest/{address}/{secret}[/{the path that Kazoo appends to its url}]
WebSocket   /ingest/{address}/{secret}/ws
POST        /ingest/{address}/{secret}/audiosocket    returns the UUID with which a call connects by AudioSocket
WebSocket   /ingest/ws                        the address and the secret are the user and the password of basic auth
"""

from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from adapters.http.error_body import unavailable
from adapters.recorders.dialects import kazoo_upload
from adapters.recorders.dialects.loose_json import to_bytes
from adapters.recorders.embedded.audiosocket_calls import AudioSocketCalls
from adapters.recorders.embedded.audiosocket_route import audiosocket_route
from adapters.recorders.embedded.ingest_responses import Authenticate, not_found, reject, unauthenticated
from adapters.recorders.embedded.stream_signature import StreamSignatures
from adapters.recorders.embedded.stream_sockets import MediaSockets
from adapters.recorders.embedded.uploads import RETRY_AFTER, Uploads
from recordings.model.account import Principal
from recordings.model.errors import ForbiddenByPolicy, QuotaExceeded, Refused
from recordings.ports.clock import Clock


def ingest_routes(
    *,
    authenticate: Authenticate,
    uploads: Uploads,
    sockets: MediaSockets,
    clock: Clock,
    is_draining: Callable[[], bool] = bool,
    audiosocket: AudioSocketCalls | None = None,
    signatures: StreamSignatures | None = None,
) -> list[BaseRoute]:
    """Return the routes for the app's router.

    While `is_draining` returns true, new streams are refused. `audiosocket` is `None` if this server does not listen
    for AudioSocket. By default, `signatures` knows no auth tokens of Twilio.
    """
    signatures = signatures or StreamSignatures(clock)

    async def upload(request: Request) -> Response:
        principal = await _principal(authenticate, request)
        if principal is None:
            return not_found()
        tail, query = request.path_params.get("tail", ""), request.url.query
        read_address = partial(kazoo_upload.read, tail, query, principal.account_id, clock.now())
        try:
            return await uploads.receive(principal, request, read_address)
        except Refused as refused:
            return _refusal(refused)

    async def stream(websocket: WebSocket) -> None:
        address, secret = _credentials(websocket)

        async def is_allowed() -> bool:
            return await authenticate(address, secret) is not None

        principal = await authenticate(address, secret)
        if principal is None:
            is_in_path = "address" in websocket.path_params
            await websocket.send_denial_response(not_found() if is_in_path else unauthenticated())
        elif (fault := await signatures.fault(websocket, principal, address, secret)) is not None:
            await websocket.send_denial_response(reject(401, "UNAUTHENTICATED", fault))
        elif is_draining():
            # A balancer tries the next server after a 503.
            await websocket.send_denial_response(unavailable("this server is stopping: connect again"))
        else:
            await sockets.serve(websocket, principal, is_allowed)

    methods = ["PUT", "POST"]
    return [
        WebSocketRoute("/ingest/ws", stream),
        WebSocketRoute("/ingest/ws/{tail:path}", stream),
        WebSocketRoute("/ingest/{address}/{secret}/ws", stream),
        # jambonz appends `/record/{vendor}` to its address.
        WebSocketRoute("/ingest/{address}/{secret}/ws/{tail:path}", stream),
        audiosocket_route(authenticate, audiosocket),
        Route("/ingest/{address}/{secret}", upload, methods=methods),
        Route("/ingest/{address}/{secret}/{tail:path}", upload, methods=methods),
    ]


def _refusal(refused: Refused) -> Response:
    if isinstance(refused, QuotaExceeded):
        return reject(429, refused.code, refused.message, {"Retry-After": str(RETRY_AFTER)})
    return reject(403 if isinstance(refused, ForbiddenByPolicy) else 409, refused.code, refused.message)


async def _principal(authenticate: Authenticate, connection: Request | WebSocket) -> Principal | None:
    return await authenticate(connection.path_params["address"], connection.path_params["secret"])


def _credentials(websocket: WebSocket) -> tuple[str, str]:
    """Return the address and the secret of the path, or else those of basic authentication (RFC 7617)."""
    if "address" in websocket.path_params:
        return websocket.path_params["address"], websocket.path_params["secret"]
    scheme, _, encoded = websocket.headers.get("authorization", "").partition(" ")
    given = (to_bytes(encoded.strip()) or b"") if scheme.lower() == "basic" else b""
    address, _, secret = given.decode("latin-1").partition(":")
    return address, secret
