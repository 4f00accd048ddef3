"""Health checks: `/healthz` (the process runs) and `/readyz` (the server can serve)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from adapters.http.error_body import RETRY, error_body
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger

_TIMEOUT_SECONDS: Final = 5.0
_errors: Final = ErrorLog(logger("health"))

Check = Callable[[], Awaitable[None]]
"""Raises an error if a part of the server does not work."""
Report = Callable[[], Awaitable[str | None]]
"""Returns a problem of a part that the server can run without, in words for the public; `None` for no problem."""

States = Callable[[], Mapping[str, str]]
"""Returns the state of each switch, by name."""


async def alive(_request: Request) -> JSONResponse:
    """Answer 200."""
    return JSONResponse({"status": "alive"})


def ready(
    checks: Mapping[str, Check], reports: Mapping[str, Report] | None = None, switches: States = dict
) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Return an endpoint: 200 if all parts work, else 503. The body names failing parts; the log has the reasons.

    The parts in `reports` do not end the readiness. The body has their problems as `warnings`. It also has the state of
    each switch.
    """

    async def respond(_request: Request) -> JSONResponse:
        results = await asyncio.gather(*(_works(name, check) for name, check in checks.items()))
        parts = {name: "ready" if works else "failing" for name, works in zip(checks, results, strict=True)}
        status = "ready" if all(results) else "failing"
        problems = {name: await report() for name, report in (reports or {}).items()}
        warnings = {name: problem for name, problem in problems.items() if problem is not None}
        body: dict[str, object] = {"status": status, "parts": parts}
        if states := switches():
            body["switches"] = dict(states)
        if warnings:
            body["parts"] = {**parts, **dict.fromkeys(warnings, "warning")}
            body["warnings"] = warnings
        if all(results):
            return JSONResponse(body)
        failing = ", ".join(name for name, state in parts.items() if state == "failing")
        return JSONResponse({**error_body("NOT_READY", f"not ready: {failing}"), **body}, 503, RETRY)

    return respond


def routes(
    checks: Mapping[str, Check], reports: Mapping[str, Report] | None = None, switches: States = dict
) -> list[Route]:
    """Return the routes `/healthz` and `/readyz`."""
    return [Route("/healthz", alive), Route("/readyz", ready(checks, reports, switches))]


async def _works(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - any error means that the part does not work
        _errors.write("health check failed", error, part=name)
        return False
    return True
