"""A real HTTP server in front of an ASGI app: the network between two servers of an installation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiohttp import web
from starlette.applications import Starlette

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Wire:
    """Forwards each request to the app. A test can replace `answer` to disturb the connection."""

    app: Starlette
    url: str = ""
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    """The method, the path and the body of each request."""
    answer: Answer | None = None

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, await request.read()))
        return await (self.answer or self.forward)(request)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.url) as inner:
            response = await inner.request(request.method, request.path_qs, headers=request.headers)
        return web.Response(status=response.status_code, body=response.content)


async def hang(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def break_off(request: web.Request) -> web.StreamResponse:
    """Close the connection without a response."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def open_wire(app: Starlette) -> AsyncIterator[Wire]:
    """Serve an app at `url` of the result."""
    wire = Wire(app)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", wire.respond)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    wire.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield wire
    finally:
        await runner.cleanup()
