"""Alive and ready: which part cannot do its work is said, and why is logged."""

import httpx
from starlette.applications import Starlette

from graph.server.health_checks import Check, routes


async def works() -> None:
    """Nothing is wrong."""


async def fails() -> None:
    message = "the database password is hunter2"
    raise ConnectionError(message)


async def get(path: str, **checks: Check) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=routes(checks)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get(path)


async def test_ready() -> None:
    answer = await get("/readyz", metadata=works, spool=works)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "parts": {"metadata": "ready", "spool": "ready"}}


async def test_not_ready_names_the_part_and_not_the_reason() -> None:
    answer = await get("/readyz", metadata=fails, spool=works)
    assert answer.status_code == 503
    assert answer.json() == {
        "error": {"code": "NOT_READY", "message": "not ready: metadata", "requestId": ""},
        "status": "failing",
        "parts": {"metadata": "failing", "spool": "ready"},
    }
    assert "hunter2" not in answer.text


async def test_a_server_that_cannot_serve_is_still_alive() -> None:
    assert (await get("/healthz", metadata=fails)).json() == {"status": "alive"}
