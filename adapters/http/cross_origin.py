"""Cross-origin requests (CORS, the Fetch Standard): which web pages of other origins may read responses.

It applies to all routes below the paths of `PATHS`. Credentials mode is never allowed: clients send tokens in
headers, and the service has no cookies. v2 has the fixed CORS headers of `docs/v2_contract.md`, section 5.6.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.http.error_body import error_response

ANY_ORIGIN: Final = "*"
PATHS: Final = {
    "/graphql": "GET, POST, PUT, DELETE",
    "/media": "GET, HEAD",
    "/stats": "GET, HEAD",
    "/export": "GET, HEAD",
    "/events": "GET, HEAD",
}
"""The methods that pages may use, by the beginning of the path."""
_MAX_AGE: Final = "86400"
"""Seconds for which a browser keeps the answer to a preflight request. Chromium keeps it for two hours at most."""
_USUAL_HEADERS: Final = (
    "authorization, content-type, if-none-match, if-range, last-event-id, range, x-auth-token, "
    "x-graphql-event-stream-token, x-request-id"
)
_EXPOSED: Final = (
    "accept-ranges, content-disposition, content-encoding, content-length, content-range, etag, events-cursor, "
    "export-cursor, last-modified, range, repr-digest, retry-after, www-authenticate, x-request-id"
)
"""The response headers that a page may read. Browsers allow a few others for every page."""


class CrossOrigin:
    """Lets pages of these origins use `PATHS`. Origins are compared exactly. Without any, nothing changes."""

    def __init__(self, origins: Collection[str], public_url: str | None = None) -> None:
        self._origins = frozenset(origins)
        self._public_host = urlsplit(public_url or "").netloc.lower()

    def add_headers(self, app: ASGIApp) -> ASGIApp:
        """Return an app that adds the CORS headers to every response, errors and preflights included."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            methods = _methods(scope)
            if methods is None:
                await app(scope, receive, send)
                return
            request = Headers(scope=scope)

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._add(MutableHeaders(scope=message), request, methods, is_preflight=_is_preflight(scope))
                await send(message)

            await app(scope, receive, send_with_headers)

        return serve if self._origins else app

    def answer_preflights(self, app: ASGIApp) -> ASGIApp:
        """Return an app that answers preflight requests. `add_headers` adds their headers."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if _methods(scope) is None or not _is_preflight(scope):
                await app(scope, receive, send)
                return
            origin = Headers(scope=scope)["origin"]
            response = Response(status_code=204)
            if self._allowed(origin) is None:
                message = f"pages of the origin {origin!r} are not allowed: see the setting --cors-origins"
                response = error_response(403, "ORIGIN_NOT_ALLOWED", message)
            await response(scope, receive, send)

        return serve if self._origins else app

    def may_connect(self, request: Headers) -> bool:
        """Return true if a WebSocket may be opened: by a program, by a page of this server, or by one of the origins.

        Browsers open WebSockets to any server. A page of another origin has no credentials for this one, but it could
        use up the connections of a server in the network of its user.
        """
        origin = request.get("origin")
        if origin is None or self._allowed(origin) is not None:
            return True
        host = urlsplit(origin).netloc.lower()
        return bool(host) and host in {request.get("host", "").lower(), self._public_host}

    def _allowed(self, origin: str | None) -> str | None:
        """Return the `Access-Control-Allow-Origin` for an `Origin`, or `None` if its pages are not allowed."""
        if ANY_ORIGIN in self._origins:
            return ANY_ORIGIN
        return origin if origin in self._origins else None

    def _add(self, response: MutableHeaders, request: Headers, methods: str, *, is_preflight: bool) -> None:
        allowed = self._allowed(request.get("origin"))
        if allowed != ANY_ORIGIN:
            response.add_vary_header("origin")
        if allowed is None:
            return
        response["access-control-allow-origin"] = allowed
        if not is_preflight:
            response["access-control-expose-headers"] = _EXPOSED
            return
        response.add_vary_header("access-control-request-headers")
        response["access-control-allow-methods"] = methods
        response["access-control-max-age"] = _MAX_AGE
        # Any header: clients add their own, for example for tracing. No header gives a page more rights than its token.
        response["access-control-allow-headers"] = request.get("access-control-request-headers") or _USUAL_HEADERS


def _methods(scope: Scope) -> str | None:
    """Return the methods that pages may use at the path of a request; `None` if CORS does not apply to it."""
    if scope["type"] != "http":
        return None
    path = scope["path"]
    return next((methods for start, methods in PATHS.items() if path == start or path.startswith(f"{start}/")), None)


def _is_preflight(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers
