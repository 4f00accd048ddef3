"""The error responses of all routes except v2 and GraphQL: `{"error": {"code", "message", "requestId"}}`.

`requestId` is the response's `X-Request-ID`: the log has the details of a fault under this id.
"""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.http.request_ids import current_request_id

RETRY: Final = {"retry-after": "10"}
"""The header of an error that a retry may solve. Seconds."""
_ROUTING_CODES: Final = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def error_body(code: str, message: str) -> dict[str, object]:
    """Return the JSON document of an error, for the request that this task serves."""
    return {"error": {"code": code, "message": message, "requestId": current_request_id()}}


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response."""
    return JSONResponse(error_body(code, message), status, dict(headers or {}))


def internal_error() -> Response:
    """Return the 500 for a fault of this service. It does not reveal the cause."""
    return error_response(500, "INTERNAL", "internal error: the log has the details under this request id")


def unavailable(message: str) -> Response:
    """Return the 503 for a request that may succeed later."""
    return error_response(503, "UNAVAILABLE", message, RETRY)


async def routing_error(request: Request, error: Exception) -> Response:
    """Return the response to an `HTTPException`, which the router raises for a wrong path or method."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    allowed = (headers or {}).get("Allow")
    message = f"{request.method} is not allowed: use {allowed}" if allowed else "no such path"
    return error_response(status, _ROUTING_CODES.get(status, "REFUSED"), message, headers)
