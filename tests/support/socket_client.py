"""A server of an ASGI app in this process, and a client of its GraphQL sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from adapters.recorders.embedded import WebSocketProtocol
from graph.server.http_limits import LimitedHttpProtocol

SECONDS = 20


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """Serve an app as the product does. Yield the URL of its sockets."""
    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        http=LimitedHttpProtocol,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        **options,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        await running


class SocketClient:
    """One socket. It answers no ping of the GraphQL protocol by itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        """Return the next message. Fail if the server closes the socket."""
        async with asyncio.timeout(SECONDS):
            return json.loads(await self.connection.recv())

    async def start(self, credentials: Any = None) -> None:
        """Initialize the socket."""
        await self.send({"type": "connection_init", "payload": credentials})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, id: str = "1", **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"type": "subscribe", "id": id, "payload": payload})

    async def result(self, id: str = "1") -> Any:
        """Return the data of the next message, which is a result without errors."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def closed(self) -> tuple[int | None, str]:
        """Return code and reason with which the server closes the socket. Ignore messages before it."""
        async with asyncio.timeout(SECONDS):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as error:
                received = error.rcvd
                return (None, "") if received is None else (received.code, received.reason)


@asynccontextmanager
async def socket(
    url: str, token: str | None = None, subprotocol: str | None = "graphql-transport-ws", **options: Any
) -> AsyncIterator[SocketClient]:
    """Open a socket. `token` is sent in a header of the handshake."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    headers |= options.pop("headers", {})
    protocols: Any = None if subprotocol is None else [subprotocol]
    async with connect(url, subprotocols=protocols, additional_headers=headers, proxy=None, **options) as connection:
        yield SocketClient(connection)
