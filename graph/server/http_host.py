"""Checks of the headers that name this server: `Host` and `X-Forwarded-Proto`."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.http.error_body import error_response

_HOST: Final = b"host"
_PROTO: Final = b"x-forwarded-proto"


class FirstForwardedProto:
    """ASGI middleware: of several values in `X-Forwarded-Proto`, keep the first. Each proxy in a chain adds one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if "headers" in scope:
            values = [value for name, value in scope["headers"] if name == _PROTO]
            if len(values) > 1 or any(b"," in value or not value.islower() for value in values):
                first = values[0].partition(b",")[0].strip().lower()
                others = [(name, value) for name, value in scope["headers"] if name != _PROTO]
                scope["headers"] = [*others, (_PROTO, first)]
        await self._app(scope, receive, send)


class CheckedHost:
    """ASGI middleware: reject requests without exactly one `Host`, and never redirect to a host that a client chose.

    This also applies to the handshakes of WebSockets. A redirect to this server has a relative `Location`. With a
    `public_url`, a redirect for another host is rejected.
    """

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == _HOST]
        # HTTP/1.0 has no `Host` (RFC 9112, section 3.2). Health checks of older balancers use it.
        if len(hosts) > 1 or (not hosts and scope.get("http_version") != "1.0"):
            await error_response(400, "BAD_REQUEST", "the request must have one Host header")(scope, receive, send)
            return
        host, is_rejected = hosts[0].lower() if hosts else "", False

        async def send_checked(message: Message) -> None:
            nonlocal is_rejected
            if is_rejected:
                return
            if message["type"] == "http.response.start" and 300 <= message["status"] < 400:  # noqa: PLR2004 - redirects
                headers = MutableHeaders(scope=message)
                location = urlsplit(headers.get("location", ""))
                if location.netloc and location.netloc.lower() == host:
                    if self._public_host is not None and host != self._public_host:
                        is_rejected = True
                        await error_response(400, "BAD_REQUEST", "the Host is not this server's")(scope, receive, send)
                        return
                    headers["location"] = location._replace(scheme="", netloc="").geturl() or "/"
            await send(message)

        await self._app(scope, receive, send_checked)
