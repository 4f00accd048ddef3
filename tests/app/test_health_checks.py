"""Health checks: the response names the failing part, and the log has the reason."""

import httpx
from starlette.applications import Starlette

from graph.server.health_checks import Check, routes


async def works() -> None:
    """Pass the check."""


async def fails() -> None:
    message = "the database password is hunter2"
    raise ConnectionError(message)


async def get(path: str, **checks: Check) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=routes(checks)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get(path)


async def test_ready_if_all_parts_work() -> None:
    response = await get("/readyz", metadata=works, spool=works)
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "parts": {"metadata": "ready", "spool": "ready"}}


async def test_not_ready_names_the_part_but_not_the_reason() -> None:
    response = await get("/readyz", metadata=fails, spool=works)
    assert response.status_code == 503
    assert response.json() == {
        "error": {"code": "NOT_READY", "message": "not ready: metadata", "requestId": ""},
        "status": "failing",
        "parts": {"metadata": "failing", "spool": "ready"},
    }
    assert "hunter2" not in response.text


async def test_a_server_that_is_not_ready_is_alive() -> None:
    assert (await get("/healthz", metadata=fails)).json() == {"status": "alive"}


async def test_the_states_of_the_switches_are_named() -> None:
    states = {"pbx1": "ready", "pbx2": "unreachable"}
    transport = httpx.ASGITransport(Starlette(routes=routes({"metadata": works}, None, lambda: states)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["switches"]) == (200, states)
