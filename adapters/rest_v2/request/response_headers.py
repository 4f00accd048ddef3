"""The headers of every response, and those of CORS (`docs/v2_contract.md`, sections 5.6 and 5.7)."""

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from adapters.http.request_ids import HEADER, as_header

EXPIRED: Final = "Fri, 01 Jan 1999 00:00:00 GMT"
_CORS_REQUEST_HEADERS: Final = ("origin", "access-control-request-method", "access-control-request-headers")
_ALLOWED: Final = (
    "content-type, depth, user-agent, x-http-method-override, x-file-size, x-requested-with, if-modified-since, "
    "x-file-name, cache-control, x-auth-token, x-kazoo-cluster-id, if-match"
)
_EXPOSED: Final = "content-type, x-auth-token, x-request-id, x-kazoo-cluster-id, location, etag, etag"
_FIRST_ERROR: Final = 400


def is_cors(headers: Headers) -> bool:
    """Return true if a request has a header of CORS."""
    return any(name in headers for name in _CORS_REQUEST_HEADERS)


def finish(response: Response, request: Request, request_id: str, methods: Callable[[], str]) -> None:
    """Add the common headers to a response. Errors and CORS responses also get the CORS headers, with `methods`."""
    response.headers[HEADER] = as_header(request_id)
    response.headers["content-language"] = "en"
    response.headers["vary"] = "accept-language, accept"
    if request.method == "GET":
        response.headers["expires"] = EXPIRED
    if is_cors(request.headers) or response.status_code >= _FIRST_ERROR:
        response.headers.update(
            {
                "access-control-allow-origin": "*",
                "access-control-allow-methods": methods(),
                "access-control-allow-headers": _ALLOWED,
                "access-control-expose-headers": _EXPOSED,
                "access-control-max-age": "86400",
            }
        )
