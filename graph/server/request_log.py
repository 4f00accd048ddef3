"""Around every request: its id, its line in the log, and a 500 that tells nothing but that id."""

import asyncio
import time
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.http import error_body
from adapters.http.request_ids import HEADER, as_header, request_id_of
from graph.server.log_setup import logger, scrub
from recordings.ports.audio import MediaStoreUnavailableError

_log: Final = logger("access")
_QUIET: Final = frozenset({"/healthz", "/readyz"})


async def masked(_request: Request, _error: Exception) -> Response:
    """The answer to a fault of ours. What it was is in the log, under the same id."""
    return error_body.internal_error()


async def unavailable(_request: Request, error: Exception) -> Response:
    """The answer where the metadata store, or that of the audio, is away: it may be back soon."""
    which = "the audio's store" if isinstance(error, MediaStoreUnavailableError) else "the metadata store"
    _log.error(f"{which} is away", why=str(error))
    return error_body.unavailable("the service is temporarily unavailable: try again later")


class Requests:
    """ASGI middleware: binds the request's id, echoes it, and writes one line when the request is over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; other scopes pass."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, Answer(send, request_id))

    async def _serve(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            _log.info("the client went away", path=scrub(scope["path"]))
        except asyncio.CancelledError:
            # The server above does so when the time to stop is over, and would call it a fault of ours.
            _log.warning("a request was given up: the server stops", path=scrub(scope["path"]))
            if _unanswered(scope, answer):
                await error_body.unavailable("this server stops: try again")(scope, receive, answer.send)
        except Exception:  # noqa: BLE001 - whatever it is, it ends here and shows nothing
            # Without a traceback to the server above: that would log it once more, with the query string.
            _log.exception("a request failed", method=scope.get("method"), path=scrub(scope["path"]))
            await self._apologize(scope, receive, answer)
        finally:
            self._write(scope, answer, time.perf_counter() - began)

    async def _apologize(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        if _unanswered(scope, answer):
            await error_body.internal_error()(scope, receive, answer.send)

    def _write(self, scope: Scope, answer: "Answer", seconds: float) -> None:
        say = _log.debug if scope["path"] in _QUIET else _log.info
        client = scope.get("client")
        say(
            "request" if scope["type"] == "http" else "socket",
            method=scope.get("method", "GET"),
            path=scrub(scope["path"]),
            status=answer.status,
            bytes=answer.length,
            ms=round(seconds * 1_000, 1),
            client=client[0] if client else None,
        )


def _unanswered(scope: Scope, answer: "Answer") -> bool:
    return scope["type"] == "http" and answer.status is None


class Answer:
    """Passes an answer on, adds the request's id, and remembers what went out."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None
        self.length = 0

    async def send(self, message: Message) -> None:
        """One ASGI message."""
        if message["type"] in {"http.response.start", "websocket.accept"}:
            MutableHeaders(scope=message)[HEADER] = as_header(self._request_id)
            self.status = message.get("status", 101)
        elif message["type"] == "http.response.body":
            self.length += len(message.get("body", b""))
        elif message["type"] == "websocket.close" and self.status is None:
            self.status = 403
        await self._send(message)
