"""Create an account while a server runs. It does the same as the command line, but faster."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal

ACCOUNT = "ab" * 16


def make_account(data: Path, **variables: str) -> str:
    """Create an account and return a token for it. `variables` are the settings of the server."""

    async def make(services: Services) -> str:
        await services.accounts.create_account("Acme", account_id=ACCOUNT)
        return services.tokens.issue(Principal(ACCOUNT, frozenset(DEFAULT_SCOPES)), 600)

    return asyncio.run(_with(data, make, variables))


def make_ingest(data: Path, **variables: str) -> str:
    """Create an ingest address for that account and return its path. `variables` are the settings of the server."""

    async def make(services: Services) -> str:
        made = await services.accounts.create_ingest(ACCOUNT)
        return f"/ingest/{made.address.id}/{made.secret}"

    return asyncio.run(_with(data, make, variables))


def make_key(data: Path, **variables: str) -> str:
    """Create an API key for the account and return it. `variables` are the server's settings."""

    async def make(services: Services) -> str:
        return (await services.accounts.create_key(ACCOUNT, None, frozenset(DEFAULT_SCOPES))).secret

    return asyncio.run(_with(data, make, variables))


def revoke_all(data: Path, **variables: str) -> str:
    """Revoke all API keys and ingest addresses of the account. `variables` are the server's settings."""

    async def revoke(services: Services) -> str:
        async for key in await services.accounts.keys(ACCOUNT):
            await services.accounts.revoke_key(key.id)
        async for address in await services.accounts.ingest_addresses(ACCOUNT):
            await services.accounts.revoke_ingest(address.id)
        return ""

    return asyncio.run(_with(data, revoke, variables))


async def _with(
    data: Path, make: Callable[[Services], Awaitable[str]], variables: Mapping[str, str] | None = None
) -> str:
    async with open_services(load(variables or {}, {"data": str(data)})) as services:
        return await make(services)
