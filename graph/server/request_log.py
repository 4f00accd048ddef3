"""Middleware for every request: its id, its log line, and an error response that shows only the id."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.http import error_body
from adapters.http.request_ids import HEADER, request_id_of
from adapters.http.streaming_response import FILE_PART
from graph.metrics.counters import count_store_error
from graph.server.log_line import log_line
from graph.server.log_setup import logger, scrub
from graph.server.request_origin import begin_request
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.recording_store import StoreFullError

_log: Final = logger("access")
_HEADER: Final = HEADER.encode()
_QUIET: Final = frozenset({"/healthz", "/readyz"})


Observe = Callable[[Scope, int | None, float], None]
"""Called at the end of each request with its scope, status and seconds."""


async def masked(_request: Request, _error: Exception) -> Response:
    """Return the response for an internal error. The log has the details under the same request id."""
    return error_body.internal_error()


async def unavailable(_request: Request, error: Exception) -> Response:
    """Return the response for an unreachable metadata store or media store."""
    store = "media" if isinstance(error, MediaStoreUnavailableError) else "metadata"
    _log.error("store unreachable", store=store, error=str(error))
    count_store_error(error)
    if isinstance(error, StoreFullError):
        return error_body.unavailable("the disk of this service is full: try again later")
    return error_body.unavailable("the service is temporarily unavailable: try again later")


class RequestLog:
    """ASGI middleware that sets and returns the request's id, and writes one line at the end of the request."""

    def __init__(self, app: ASGIApp, observe: Observe | None = None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Pass other scopes on unchanged."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        begin_request(scope, request_id)
        tokens = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._serve(scope, receive, LoggedResponse(send, request_id))
        finally:
            structlog.contextvars.reset_contextvars(**tokens)

    async def _serve(self, scope: Scope, receive: Receive, response: "LoggedResponse") -> None:
        began = time.perf_counter()
        try:
            await self._app(scope, receive, response.send)
        except ClientDisconnect:
            _log.info("client disconnected", path=scrub(scope["path"]))
        except asyncio.CancelledError:
            # uvicorn cancels requests at the end of the shutdown timeout. It would log this as an error of the app.
            _log.warning("request cancelled by shutdown", path=scrub(scope["path"]))
            if _is_unanswered(scope, response):
                await error_body.unavailable("this server is stopping: try again")(scope, receive, response.send)
        except Exception:  # noqa: BLE001 - the client must not see any detail of an error
            # Not raised again: uvicorn would log it a second time, with the query string.
            _log.exception("request failed", method=scope.get("method"), path=scrub(scope["path"]))
            await self._send_error(scope, receive, response)
        finally:
            self._write(scope, response, time.perf_counter() - began)

    async def _send_error(self, scope: Scope, receive: Receive, response: "LoggedResponse") -> None:
        if _is_unanswered(scope, response):
            await error_body.internal_error()(scope, receive, response.send)

    def _write(self, scope: Scope, response: "LoggedResponse", seconds: float) -> None:
        if self._observe is not None:
            self._observe(scope, response.status, seconds)
        client = scope.get("client")
        fields = {
            "method": scope.get("method", "GET"),
            "path": scope["path"],
            "status": response.status,
            "bytes": response.length,
            "ms": round(seconds * 1_000, 1),
            "client": client[0] if client else None,
        }
        event = "request" if scope["type"] == "http" else "websocket"
        level = "debug" if scope["path"] in _QUIET else "info"
        log_line("access", event, {name: value for name, value in fields.items() if value is not None}, level)


def _is_unanswered(scope: Scope, response: "LoggedResponse") -> bool:
    return scope["type"] == "http" and response.status is None


class LoggedResponse:
    """Passes a response on, adds the request's id, and records status and size."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None
        self.length = 0

    async def send(self, message: Message) -> None:
        """Send one ASGI message."""
        if message["type"] in {"http.response.start", "websocket.accept"}:
            others = [pair for pair in message.get("headers", ()) if pair[0] != _HEADER]
            message["headers"] = [*others, (_HEADER, self._request_id.encode())]
            self.status = message.get("status", 101)
        elif message["type"] == "http.response.body":
            self.length += len(message.get("body", b""))
        elif message["type"] == FILE_PART:
            self.length += len(message["part"])
        elif message["type"] == "websocket.close" and self.status is None:
            self.status = 403
        await self._send(message)
