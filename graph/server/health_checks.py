"""Whether the server lives, and whether it can serve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from adapters.http.error_body import RETRY, error_body
from graph.server.log_setup import logger

_SECONDS: Final = 5.0
_log: Final = logger("health")

Check = Callable[[], Awaitable[None]]
"""Raises unless a part of the server can do its work now."""


async def alive(_request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "alive"})


def ready(checks: Mapping[str, Check]) -> Callable[[Request], Awaitable[JSONResponse]]:
    """200 if every part can do its work, else 503; the body says which part cannot. Why is in the log."""

    async def answer(_request: Request) -> JSONResponse:
        works = await asyncio.gather(*(_works(name, check) for name, check in checks.items()))
        parts = {name: "ready" if fine else "failing" for name, fine in zip(checks, works, strict=True)}
        status = "ready" if all(works) else "failing"
        body = {"status": status, "parts": parts}
        if all(works):
            return JSONResponse(body)
        failing = ", ".join(name for name, state in parts.items() if state == "failing")
        return JSONResponse({**error_body("NOT_READY", f"not ready: {failing}"), **body}, 503, RETRY)

    return answer


def routes(checks: Mapping[str, Check]) -> list[Route]:
    """`/healthz` and `/readyz`."""
    return [Route("/healthz", alive), Route("/readyz", ready(checks))]


async def _works(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            await check()
    except Exception:  # noqa: BLE001 - whatever it is, the part does not work
        _log.exception("a part of the server cannot do its work", part=name)
        return False
    return True
