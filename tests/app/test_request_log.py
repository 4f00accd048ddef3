"""The request log: the id and the log line of every request, and a 500 without details."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from adapters.http.error_body import routing_error
from adapters.http.request_ids import current_request_id
from graph.server import log_setup as logs
from graph.server.request_log import RequestLog, masked


async def fine(_request: Request) -> Response:
    return PlainTextResponse(current_request_id())


async def broken(_request: Request) -> Response:
    message = "the database password is hunter2"
    raise RuntimeError(message)


async def half(_request: Request) -> Response:
    async def body() -> Any:
        yield b"the first half"
        message = "the disk is gone"
        raise OSError(message)

    return StreamingResponse(body())


async def left(_request: Request) -> Response:
    raise ClientDisconnect


async def waits(request: Request) -> Response:
    request.scope["waiting"].set()
    await asyncio.Event().wait()
    return Response()


async def begun(request: Request) -> Response:
    async def body() -> Any:
        yield b"begun"
        await waits(request)

    return StreamingResponse(body())


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(current_request_id())
    await websocket.close()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    return stream


@pytest.fixture
def app(stream: io.StringIO) -> RequestLog:
    routes = [
        Route("/fine", fine),
        Route("/broken", broken),
        Route("/half", half),
        Route("/left", left),
        Route("/waits", waits),
        Route("/waits/begun", begun),
        Route("/healthz", fine),
        Route("/ingest/{id}/{secret}", fine),
        WebSocketRoute("/ingest/{id}/{secret}/ws", socket),
    ]
    return RequestLog(Starlette(routes=routes, exception_handlers={Exception: masked}))


@pytest.fixture
async def client(app: RequestLog) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def run(app: RequestLog, scope: dict[str, Any]) -> list[Any]:
    """Return the ASGI messages that an app sends. An HTTP client would not show an unfinished response."""
    sent: list[Any] = []

    async def receive() -> Any:
        if scope["type"] == "http":
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_request_gets_an_id_that_is_returned_and_logged(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    answer = await client.get("/fine")
    assert len(answer.text) == 32
    assert answer.headers["x-request-id"] == answer.text
    (line,) = lines(stream)
    assert (line["request_id"], line["method"], line["path"], line["status"]) == (answer.text, "GET", "/fine", 200)
    assert (line["bytes"], line["client"]) == (32, "192.0.2.7")
    assert line["ms"] >= 0


@pytest.mark.parametrize("request_id", ["abc", "A-1_2.3:4", "x" * 256, "a b", 'a"b', "ä 語", "<script>"])
async def test_a_printable_id_from_the_client_is_used(
    client: httpx.AsyncClient, stream: io.StringIO, request_id: str
) -> None:
    answer = await client.get("/fine", headers={b"X-Request-ID": request_id.encode()})
    assert answer.text == request_id
    assert dict(answer.headers.raw)[b"x-request-id"] == request_id.encode()
    assert [line["request_id"] for line in lines(stream)] == [request_id]


@pytest.mark.parametrize("request_id", ["", "x" * 257, "a\tb", "a\x1b[1mb", "a\u2028b"])
async def test_an_invalid_id_from_the_client_is_replaced(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.get("/fine", headers={b"X-Request-ID": request_id.encode()})
    assert answer.text != request_id
    assert len(answer.text) == 32


async def test_a_500_shows_only_the_request_id(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    answer = await client.get("/broken?signature=topsecret")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "INTERNAL",
            "message": "internal error: the log has the details under this request id",
            "requestId": answer.headers["x-request-id"],
        }
    }
    error, request = lines(stream)
    assert "hunter2" in error["exception"]
    assert error["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert request["status"] == 500
    assert "topsecret" not in stream.getvalue()


async def test_an_error_within_the_body_is_logged_once(app: RequestLog, stream: io.StringIO) -> None:
    sent = await run(app, {"type": "http", "method": "GET", "path": "/half", "query_string": b"", "headers": []})
    # The body stays unfinished: uvicorn then closes the connection.
    assert [message.get("body") for message in sent] == [None, b"the first half"]
    assert [line["event"] for line in lines(stream)] == ["request failed", "request"]


async def test_a_disconnect_of_the_client_is_not_an_error(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    await client.get("/left")
    assert {line["level"] for line in lines(stream)} == {"info"}


@pytest.mark.parametrize(("path", "sent"), [("/waits", [503, "UNAVAILABLE"]), ("/waits/begun", [200])])
async def test_a_request_cancelled_by_shutdown_gets_503_and_is_not_an_error(
    app: RequestLog, stream: io.StringIO, path: str, sent: list[Any]
) -> None:
    waiting = asyncio.Event()
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "waiting": waiting}
    request = asyncio.create_task(run(app, scope))
    await waiting.wait()
    request.cancel()
    start, *bodies = await request
    codes = [json.loads(body["body"])["error"]["code"] for body in bodies if body["body"].startswith(b"{")]
    assert [start["status"], *codes] == sent
    assert [line["event"] for line in lines(stream)] == ["request cancelled by shutdown", "request"]
    assert "exception" not in stream.getvalue()


async def test_query_strings_and_ingest_secrets_are_not_logged(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    await client.get("/ingest/an-id/a-secret?token=another")
    (line,) = lines(stream)
    assert line["path"] == "/ingest/an-id/***"
    assert "another" not in stream.getvalue()


async def test_a_websocket_has_a_log_line_and_an_id(app: RequestLog, stream: io.StringIO) -> None:
    path = "/ingest/an-id/a-secret/ws"
    sent = await run(app, {"type": "websocket", "path": path, "headers": [(b"x-request-id", b"r1")]})
    assert (b"x-request-id", b"r1") in sent[0]["headers"]
    assert sent[1]["text"] == "r1"
    (line,) = lines(stream)
    assert (line["event"], line["path"], line["status"]) == ("websocket", "/ingest/an-id/***/ws", 101)


async def test_health_checks_do_not_fill_the_log(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    await client.get("/healthz")
    assert stream.getvalue() == ""


async def test_router_errors_name_the_allowed_methods() -> None:
    app = Starlette(routes=[Route("/fine", fine, methods=["PUT"])], exception_handlers={HTTPException: routing_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        wrong, nowhere = await client.get("/fine"), await client.get("/nowhere")
    assert (wrong.status_code, nowhere.status_code) == (405, 404)
    allowed = "GET is not allowed: use PUT"
    assert wrong.json() == {"error": {"code": "METHOD_NOT_ALLOWED", "message": allowed, "requestId": ""}}
    assert nowhere.json() == {"error": {"code": "NOT_FOUND", "message": "no such path", "requestId": ""}}
