"""The proxies whose headers are trusted, and the clients behind them."""

import os
from collections.abc import Callable
from typing import Any, cast

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from graph.server.http_host import FirstForwardedProto


def behind_proxies(app: ASGIApp) -> ASGIApp:
    """Return an app that takes the client's address and scheme from the headers of trusted proxies."""
    return FirstForwardedProto(_translated(app))


def client_finder() -> Callable[[HTTPConnection], str]:
    """Return a function that returns the address of a client; empty if a trusted proxy does not say it."""
    proxies = _translated(None).trusted_hosts

    def client_of(connection: HTTPConnection) -> str:
        host = connection.client.host if connection.client is not None else ""
        return "" if host in proxies else host

    return client_of


def _translated(app: ASGIApp | None) -> Any:
    # uvicorn has stricter types for the same interface.
    return ProxyHeadersMiddleware(cast("Any", app), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))
