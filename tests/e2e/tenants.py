"""Two accounts on one server, their requests, and due work of an account."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from adapters.metadata.sqlite import SqliteStore
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.recording import Recording, State
from tests.contract.metadata.samples import recording

ACCOUNTS: Final = {"A": "aa" * 16, "B": "bb" * 16}
_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Tenant:
    """An account, with its ingest addresses and a token."""

    account_id: str
    addresses: tuple[str, ...]
    token: str
    owners: tuple[str, ...]
    """Tokens of eight owners."""


def make_tenants(data: Path) -> Mapping[str, Tenant]:
    """Create the two accounts in a data folder."""

    async def make(services: Services) -> dict[str, Tenant]:
        made = {}
        for name, account_id in ACCOUNTS.items():
            await services.accounts.create_account(name, account_id=account_id)
            addresses = [await services.accounts.create_ingest(account_id) for _ in range(2)]
            token, *owners = [
                services.tokens.issue(Principal(account_id, frozenset(DEFAULT_SCOPES), owner), 86_400)
                for owner in (None, *(f"owner{number}" for number in range(8)))
            ]
            paths = tuple(f"/ingest/{each.address.id}/{each.secret}" for each in addresses)
            made[name] = Tenant(account_id, paths, token, tuple(owners))
        return made

    async def run() -> dict[str, Tenant]:
        async with open_services(load({}, {"data": str(data)})) as services:
            return await make(services)

    return asyncio.run(run())


def upload(port: int, address: str, call_id: str, body: bytes, extension: str = "wav") -> tuple[int, bytes]:
    """Send a file and return the status and the body of the response."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("PUT", f"{address}/{call_id}.{extension}?call_id={call_id}", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(port: int, token: str, body: bytes) -> bytes:
    """Send a GraphQL request and return the body of the response."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        connection.request("POST", "/graphql", body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def _due(account_id: str, number: int) -> Recording:
    due = 1_700_000_000_000 + number
    return replace(
        recording(account_id=account_id),
        state=State.TRASHED,
        trashed_from=State.FAILED,
        purge_at=due,
        due_at=due,
        node=None,
    )


def add_due_purges(data: Path, account_id: str, count: int) -> None:
    """Add recordings whose purge is due, to the SQLite file of a server that does not run."""
    asyncio.run(_insert(data, [_due(account_id, number) for number in range(count)]))


def add_failed(data: Path, account_id: str, count: int) -> None:
    """Add failed recordings to the SQLite file of a server that does not run."""
    asyncio.run(_insert(data, [recording(account_id=account_id, state=State.FAILED, node=None) for _ in range(count)]))


async def _insert(data: Path, recordings: list[Recording]) -> None:
    store = SqliteStore(data)
    await store.open()
    try:
        for start in range(0, len(recordings), 500):
            await asyncio.gather(*(store.insert(each) for each in recordings[start : start + 500]))
    finally:
        await store.close()
