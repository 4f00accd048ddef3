"""The authentication of ingest addresses, and the responses that refuse a sender."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from adapters.http.error_body import error_response
from recordings.model.account import Principal

Authenticate = Callable[[str, str], Awaitable[Principal | None]]
"""Returns the principal of an ingest address and its secret. Returns `None` for an unknown address, a wrong secret and
a revoked address, so that a sender cannot tell them apart."""


def not_found() -> Response:
    """Return the response to an unknown address."""
    return reject(404, "NOT_FOUND", "unknown or revoked ingest address, or wrong secret")


def unauthenticated() -> Response:
    """Return the response to wrong basic authentication."""
    message = "the user must be the id of an ingest address, and the password its secret"
    return error_response(401, "UNAUTHENTICATED", message, {"WWW-Authenticate": "Basic", "Connection": "close"})


def reject(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error. The connection is closed, because the rest of a body may follow."""
    return error_response(status, code, message, {"Connection": "close", **(headers or {})})
