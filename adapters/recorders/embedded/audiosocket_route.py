"""The route with which a dialplan announces a call, before it connects by AudioSocket.

POST  /ingest/{address}/{secret}/audiosocket?call_id=&from=&to=...    returns {"uuid": ...}

The parameters may also be a form in the body, because Asterisk's CURL sends a POST only with a body.
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.http.error_body import unavailable
from adapters.recorders.dialects.kazoo_upload import with_plus
from adapters.recorders.dialects.stream_limits import ProtocolError, check_name
from adapters.recorders.embedded.audiosocket_calls import AudioSocketCalls
from adapters.recorders.embedded.ingest_responses import Authenticate, not_found, reject

MAX_FORM: Final = 16_384
"""Maximum size (bytes) of the parameters of a call in a form."""
FORM_SECONDS: Final = 10


def audiosocket_route(authenticate: Authenticate, calls: AudioSocketCalls | None) -> Route:
    """Return the route. `calls` is `None` if this server does not listen for AudioSocket."""

    async def expect_call(request: Request) -> Response:
        address, secret = request.path_params["address"], request.path_params["secret"]
        principal = await authenticate(address, secret)
        if principal is None:
            return not_found()
        if calls is None:
            return reject(409, "NOT_ENABLED", "AudioSocket is off: start the server with --audiosocket HOST:PORT")

        async def is_allowed() -> bool:
            return await authenticate(address, secret) is not None

        try:
            parameters = await _call_parameters(request)
            if principal.record_all:
                parameters = {"record": "true", **parameters}
        except ProtocolError as error:
            return reject(400, "INVALID_INPUT", str(error))
        except TimeoutError:
            return reject(408, "TIMEOUT", f"the form was not complete after {FORM_SECONDS} seconds")
        uuid = calls.expect(principal.account_id, parameters, is_allowed)
        return unavailable("too many calls are expected") if uuid is None else JSONResponse({"uuid": str(uuid)})

    return Route("/ingest/{address}/{secret}/audiosocket", expect_call, methods=["POST"])


async def _call_parameters(request: Request) -> Mapping[str, str]:
    """Return the parameters of a call, from the query and from a form. Raise `ProtocolError` without a call id."""
    form = bytearray()
    async with asyncio.timeout(FORM_SECONDS):
        async for chunk in request.stream():
            form += chunk
            if len(form) > MAX_FORM:
                raise ProtocolError(f"the form has more than {MAX_FORM} bytes")
    pairs = [*request.query_params.multi_items(), *parse_qsl(form.decode("utf-8", "replace"))]
    parameters = {name: with_plus(name, value) for name, value in pairs}
    check_name("call_id", parameters.get("call_id", ""))
    return parameters
