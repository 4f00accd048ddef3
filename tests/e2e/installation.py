"""Making an account beside a running server: what the command line does, without the price of its start."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal

ACCOUNT = "ab" * 16


def make_account(data: Path, **variables: str) -> str:
    """A token for an account that is there afterwards; `variables` are the server's own settings."""

    async def make(services: Services) -> str:
        await services.accounts.create_account("Acme", account_id=ACCOUNT)
        return services.tokens.issue(Principal(ACCOUNT, frozenset(DEFAULT_SCOPES)), 600)

    return asyncio.run(_with(data, make, variables))


def make_ingest(data: Path, **variables: str) -> str:
    """The path of a new ingest address of that account; `variables` are the server's own settings."""

    async def make(services: Services) -> str:
        made = await services.accounts.create_ingest(ACCOUNT)
        return f"/ingest/{made.address.id}/{made.secret}"

    return asyncio.run(_with(data, make, variables))


async def _with(
    data: Path, make: Callable[[Services], Awaitable[str]], variables: Mapping[str, str] | None = None
) -> str:
    async with open_services(load(variables or {}, {"data": str(data)})) as services:
        return await make(services)
