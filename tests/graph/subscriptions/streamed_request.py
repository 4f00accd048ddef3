"""One request to an ASGI app, with a client that reads the response piece by piece, or not at all."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message

SSE = "text/event-stream"
MIXED = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
_UNREAD = 2
"""How many pieces the connection holds for a client that does not read."""


class StreamedRequest:
    """Sends a request, and waits for the head of its response. Leaving the block disconnects the client."""

    def __init__(
        self,
        app: ASGIApp,
        method: str = "POST",
        query: str = "",
        body: Any = None,
        *,
        caller: str | None = "me",
        accept: str | None = SSE,
        **headers: str,
    ) -> None:
        given = {"authorization": caller and f"Bearer {caller}", "accept": accept}
        given |= {"content-type": "application/json"} if body is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._scope = {
            "type": "http", "method": method, "path": "/graphql", "query_string": query.encode(), "root_path": "",
            "scheme": "http", "server": ("api.test", 80), "client": ("192.0.2.1", 1), "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        }  # fmt: skip
        self._app = app
        self._body = b"" if body is None else json.dumps(body).encode()
        self._sent_body = False
        self._gone = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_UNREAD)
        self._started = asyncio.Event()
        self._unparsed = b""
        self.status = 0
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._app(self._scope, self._receive, self._send))
        waiting = asyncio.create_task(self._started.wait())
        async with asyncio.timeout(20):
            await asyncio.wait((self._task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not self._started.is_set():
            waiting.cancel()
            self._task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
        async with asyncio.timeout(20):
            await self._task

    def disconnect(self) -> None:
        """Disconnect the client."""
        self._gone.set()
        while not self._pieces.empty():
            self._pieces.get_nowait()

    @property
    def is_answered(self) -> bool:
        """Whether the app has finished."""
        return self._task.done()

    async def _receive(self) -> Message:
        if not self._sent_body:
            self._sent_body = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        if self._gone.is_set():
            return
        if message.get("body"):
            await self._pieces.put(message["body"])
        if not message.get("more_body", False):
            await self._pieces.put(None)

    async def rest(self) -> bytes:
        """Return all that comes until the end of the response."""
        while (piece := await self._piece()) is not None:
            self._unparsed += piece
        rest, self._unparsed = self._unparsed, b""
        return rest

    async def json(self) -> Any:
        """Return the response as JSON."""
        return json.loads(await self.rest())

    async def _piece(self) -> bytes | None:
        async with asyncio.timeout(20):
            return await self._pieces.get()

    async def event(self) -> dict[str, Any]:
        """Return the next event of an event stream, with its data. Skip comments. It is empty at the end."""
        while True:
            block, end, rest = self._unparsed.partition(b"\n\n")
            if not end:
                piece = await self._piece()
                if piece is None:
                    return {}
                self._unparsed += piece
                continue
            self._unparsed = rest
            lines = [line.partition(":") for line in block.decode().split("\n")]
            fields = {name: value.removeprefix(" ") for name, _, value in lines if name}
            if "event" in fields:
                return {**fields, "data": json.loads(fields["data"] or "null")}

    async def events(self, number: int) -> list[dict[str, Any]]:
        """Return the next events."""
        return [await self.event() for _ in range(number)]

    async def parts(self, number: int) -> list[Any]:
        """Return the JSON of the next parts of a multipart response, without pings."""
        found: list[Any] = []
        while len(found) < number:
            part, end, rest = self._unparsed.partition(b"\r\n--graphql")
            if end:
                self._unparsed = rest
                content = part.partition(b"\r\n\r\n")[2]
                found += [json.loads(content)] if content not in {b"", b"{}"} else []
            else:
                piece = await self._piece()
                assert piece is not None, found
                self._unparsed += piece
        return found
