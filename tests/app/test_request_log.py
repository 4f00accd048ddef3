"""What is around every request: its id, its line, and a 500 that tells nothing."""

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
from graph.server.request_log import Requests, masked


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
def app(stream: io.StringIO) -> Requests:
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
    return Requests(Starlette(routes=routes, exception_handlers={Exception: masked}))


@pytest.fixture
async def client(app: Requests) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def run(app: Requests, scope: dict[str, Any]) -> list[Any]:
    """What an app sends, by the protocol itself: no client shows what is unfinished."""
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


async def test_a_request_gets_an_id_that_is_echoed_and_logged(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    answer = await client.get("/fine")
    assert len(answer.text) == 32
    assert answer.headers["x-request-id"] == answer.text
    (line,) = lines(stream)
    assert (line["request_id"], line["method"], line["path"], line["status"]) == (answer.text, "GET", "/fine", 200)
    assert (line["bytes"], line["client"]) == (32, "192.0.2.7")
    assert line["ms"] >= 0


@pytest.mark.parametrize("given", ["abc", "A-1_2.3:4", "x" * 256, "a b", 'a"b', "ä 語", "<script>"])
async def test_an_id_that_came_is_taken_over(client: httpx.AsyncClient, stream: io.StringIO, given: str) -> None:
    answer = await client.get("/fine", headers={b"X-Request-ID": given.encode()})
    assert answer.text == given
    assert dict(answer.headers.raw)[b"x-request-id"] == given.encode()
    assert [line["request_id"] for line in lines(stream)] == [given]


@pytest.mark.parametrize("given", ["", "x" * 257, "a\tb", "a\x1b[1mb", "a\u2028b"])
async def test_one_that_does_not_print_is_not(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/fine", headers={b"X-Request-ID": given.encode()})
    assert answer.text != given
    assert len(answer.text) == 32


async def test_a_fault_shows_its_id_and_nothing_else(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    answer = await client.get("/broken?signature=topsecret")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "INTERNAL",
            "message": "internal error: the log has the details under this request id",
            "requestId": answer.headers["x-request-id"],
        }
    }
    fault, request = lines(stream)
    assert "hunter2" in fault["exception"]
    assert fault["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert request["status"] == 500
    assert "topsecret" not in stream.getvalue()


async def test_a_body_that_breaks_off_is_logged_once(app: Requests, stream: io.StringIO) -> None:
    sent = await run(app, {"type": "http", "method": "GET", "path": "/half", "query_string": b"", "headers": []})
    # It is left unfinished: the server sees that, and closes the connection.
    assert [message.get("body") for message in sent] == [None, b"the first half"]
    assert [line["event"] for line in lines(stream)] == ["a request failed", "request"]


async def test_a_client_that_leaves_is_no_fault(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    await client.get("/left")
    assert {line["level"] for line in lines(stream)} == {"info"}


@pytest.mark.parametrize(("path", "sent"), [("/waits", [503, "UNAVAILABLE"]), ("/waits/begun", [200])])
async def test_what_the_end_of_the_server_cuts_off_is_told_and_no_fault(
    app: Requests, stream: io.StringIO, path: str, sent: list[Any]
) -> None:
    waiting = asyncio.Event()
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "waiting": waiting}
    request = asyncio.create_task(run(app, scope))
    await waiting.wait()
    request.cancel()
    start, *bodies = await request
    codes = [json.loads(body["body"])["error"]["code"] for body in bodies if body["body"].startswith(b"{")]
    assert [start["status"], *codes] == sent
    assert [line["event"] for line in lines(stream)] == ["a request was given up: the server stops", "request"]
    assert "exception" not in stream.getvalue()


async def test_query_strings_and_the_secrets_of_addresses_are_not_logged(
    client: httpx.AsyncClient, stream: io.StringIO
) -> None:
    await client.get("/ingest/an-id/a-secret?token=another")
    (line,) = lines(stream)
    assert line["path"] == "/ingest/an-id/***"
    assert "another" not in stream.getvalue()


async def test_a_socket_has_a_line_and_an_id(app: Requests, stream: io.StringIO) -> None:
    path = "/ingest/an-id/a-secret/ws"
    sent = await run(app, {"type": "websocket", "path": path, "headers": [(b"x-request-id", b"r1")]})
    assert (b"x-request-id", b"r1") in sent[0]["headers"]
    assert sent[1]["text"] == "r1"
    (line,) = lines(stream)
    assert (line["event"], line["path"], line["status"]) == ("socket", "/ingest/an-id/***/ws", 101)


async def test_health_checks_do_not_fill_the_log(client: httpx.AsyncClient, stream: io.StringIO) -> None:
    await client.get("/healthz")
    assert stream.getvalue() == ""


async def test_what_the_router_refuses_is_said_with_what_is_allowed() -> None:
    app = Starlette(routes=[Route("/fine", fine, methods=["PUT"])], exception_handlers={HTTPException: routing_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        wrong, nowhere = await client.get("/fine"), await client.get("/nowhere")
    assert (wrong.status_code, nowhere.status_code) == (405, 404)
    allowed = "GET is not allowed: use PUT"
    assert wrong.json() == {"error": {"code": "METHOD_NOT_ALLOWED", "message": allowed, "requestId": ""}}
    assert nowhere.json() == {"error": {"code": "NOT_FOUND", "message": "no such path", "requestId": ""}}
