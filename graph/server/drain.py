"""Draining: on SIGTERM, the server first lets its balancer and its live calls leave, and then stops."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.server.log_setup import logger

_POLL_SECONDS: Final = 0.2
_log: Final = logger("server")


class Drain:
    """The drain of one server.

    From its start, `/readyz` fails, new streams are refused, and each response closes its connection, so that no
    balancer sends a request on a connection that this server is about to close. All requests are still served. The
    drain ends after `seconds`, or later: when no call is live, but at the latest `call_seconds` after its start.
    """

    def __init__(self, seconds: float, call_seconds: float, live_calls: Callable[[], Sequence[object]]) -> None:
        self._seconds = seconds
        self._call_seconds = call_seconds
        self._live_calls = live_calls
        self._is_active = False
        self.ending = asyncio.Event()
        """Set when balancers send no more requests here: then connections that stay open for long must end."""

    @property
    def is_active(self) -> bool:
        """Whether the server drains."""
        return self._is_active

    async def check(self) -> None:
        """Raise an error while the server drains: a health check."""
        if self._is_active:
            message = "the server is stopping"
            raise RuntimeError(message)

    async def run(self) -> None:
        """Drain. Return when the server may stop."""
        self._is_active = True
        _log.info("draining", seconds=self._seconds, calls=len(self._live_calls()))
        now = asyncio.get_running_loop().time
        started = now()
        await asyncio.sleep(self._seconds)
        self.ending.set()
        while self._live_calls() and now() - started < self._call_seconds:  # noqa: ASYNC110 - calls have no common event
            await asyncio.sleep(_POLL_SECONDS)
        _log.info("drained", calls=len(self._live_calls()))

    def close_connections(self, app: ASGIApp) -> ASGIApp:
        """Return an app that closes the connection after each response while the server drains."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_with_header(message: Message) -> None:
                if self._is_active and message["type"] == "http.response.start":
                    MutableHeaders(scope=message)["connection"] = "close"
                await send(message)

            await app(scope, receive, send_with_header if scope["type"] == "http" else send)

        return serve
