"""Measure how much the slow queries of one account slow plain pages, over HTTP, on both metadata stores.

    python -m bench.isolation                      100 000 recordings in each of two accounts
    python -m bench.isolation --store MongoDB      one store only
    python -m bench.isolation --clients 16         more clients that send slow queries

A real server runs in a process of its own, and so do the clients of account A that send slow queries without a pause:
lists that end in QUERY_TOO_BROAD or examine thousands of rows, with and without `totalCount`. Another client reads
plain pages of account A and of account B in turns. Rounds without and with slow queries alternate. The rate limit is
raised, because it would end the slow queries.

On MongoDB, it also prints the ratio of the machine (`bench.mongod_floor`): the same commands at the same rate, sent by
a bare driver and not through the service.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

import httpx

from bench import tables
from bench.mongod_floor import Replay, recorded, send_commands
from bench.tables import Mongo, Sqlite, StoreBench, opened
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from tests.e2e.server import Server
from tests.servers.mongod import Mongod

ACCOUNTS: Final = {"A": "a" * 32, "B": "b" * 32}
DATABASE: Final = "isolation"
ROUNDS: Final = 3
PAGES: Final = 60
"""How many pages of each account one round reads."""
NO_RATE_LIMIT: Final = {"RECORDINGS_GRAPHQL_BURST": "1000000000", "RECORDINGS_GRAPHQL_PER_SECOND": "1000000000"}
FIELDS: Final = (
    "plainId accountId state start created callId from to origin name format ownerId interactionId direction "
    "callerIdName callerIdNumber calleeIdNumber label durationMs"
)
PLAIN: Final = f"{{ recordings(first: 100) {{ nodes {{ {FIELDS} }} }} }}"
_FILTERS: Final = (
    '{origin: {equal: "odd"}, label: {prefix: "even"}}',
    '{origin: {equal: "even"}, callerIdName: {prefix: "odd"}}',
    '{not: {userMetadata: [{key: "case"}]}}',
    '{durationMs: {gte: 1000, lt: 500000}, label: {prefix: "even"}, origin: {equal: "odd"}}',
)
_SLOW: Final = "recordings(first: 100, filter: %s, orderBy: {field: %s, direction: DESC}) { %s nodes { plainId } }"
SLOW: Final = tuple(
    f"{{ {_SLOW % (each, order, count)} }}"
    for each in _FILTERS
    for order in ("START", "DURATION", "MODIFIED")
    for count in ("", "totalCount")
)


def varied(count: int) -> Iterator[dict[str, Any]]:
    """Yield the varying fields of the recordings of both accounts. Half of an account's recordings are odd."""
    for number, values in enumerate(tables.varied(count)):
        kind = "odd" if number // 2 % 2 else "even"
        yield {
            **values,
            "account_id": ACCOUNTS["AB"[number % 2]],
            "origin": kind,
            "label": f"{kind} {number}",
            "caller_id_name": f"{kind} {number}",
            "user_metadata": {"case": number},
        }


@dataclass
class Times:
    """The seconds of the plain pages of one account: alone, with slow queries, and with those of a bare driver."""

    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


def send_slow(url: str, token: str, clients: int, sent: Any, run: Event, end: Event, results: Any) -> None:
    """Send slow queries while `run` is set, until `end`. This is the process of account A's slow clients."""
    results.put(asyncio.run(_send_slow(url, token, clients, sent, run, end)))


async def _send_slow(url: str, token: str, clients: int, sent: Any, run: Event, end: Event) -> Counter[str]:
    """Return how many queries failed with each message. `sent` is the number of all queries."""
    failed: Counter[str] = Counter()

    async def send(client: httpx.AsyncClient, first: int) -> None:
        number = first
        while not end.is_set():
            if not run.is_set():
                await asyncio.sleep(0.01)
                continue
            body = {"query": SLOW[number % len(SLOW)]}
            response = await client.post(f"{url}/graphql", json=body)
            number += 1
            errors = response.json().get("errors", ())
            sent.value += 1
            failed.update(each["message"] for each in errors if each["extensions"]["code"] != "QUERY_TOO_BROAD")

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(headers={"x-auth-token": token}, timeout=60, limits=limits) as client:
        await asyncio.gather(*(send(client, number) for number in range(clients)))
    return failed


async def plain_pages(url: str, tokens: dict[str, str], times: dict[str, list[float]]) -> None:
    """Read plain pages of both accounts in turns."""
    async with httpx.AsyncClient(timeout=60) as client:
        for number in range(PAGES + 5):
            for name, token in tokens.items():
                start = time.perf_counter()
                response = await client.post(f"{url}/graphql", json={"query": PLAIN}, headers={"x-auth-token": token})
                seconds = time.perf_counter() - start
                assert len(response.json()["data"]["recordings"]["nodes"]) == 100, response.text
                # The first pages open the connection.
                if number >= 5:
                    times[name].append(seconds)


async def measure(name: str, server: Server, tokens: dict[str, str], clients: int, replay: Replay | None) -> None:
    """Print the ratios of the plain pages of both accounts."""
    context = multiprocessing.get_context("spawn")
    run, run_bare, end, results = context.Event(), context.Event(), context.Event(), context.Queue()
    sent, per_second = context.Value("i", 0), context.Value("d", 1.0)
    senders = [
        context.Process(target=send_slow, args=(server.url, tokens["A"], clients, sent, run, end, results), daemon=True)
    ]
    if replay is not None:
        senders.append(context.Process(target=send_commands, args=(replay, per_second, run_bare, end), daemon=True))
    for sender in senders:
        sender.start()
    found = {name: Times() for name in tokens}
    busy_seconds = 0.0
    for _ in range(ROUNDS):
        await plain_pages(server.url, tokens, {name: times.quiet for name, times in found.items()})
        start = time.perf_counter()
        async with running(run):
            await plain_pages(server.url, tokens, {name: times.busy for name, times in found.items()})
        busy_seconds += time.perf_counter() - start
        per_second.value = max(sent.value / busy_seconds, 1.0)
        if replay is not None:
            async with running(run_bare):
                await plain_pages(server.url, tokens, {name: times.bare for name, times in found.items()})
    end.set()
    failed = await asyncio.to_thread(results.get)
    for sender in senders:
        await asyncio.to_thread(sender.join)
    print(f"{name}: {clients} clients of A sent {sent.value / busy_seconds:.0f} slow queries/s, failed: {dict(failed)}")
    for account, times in found.items():
        for percent in (50, 99):
            quiet, busy, bare = (
                statistics.quantiles(each or [0.0, 0.0], n=100)[percent - 1]
                for each in (times.quiet, times.busy, times.bare)
            )
            print(
                f"{name}: plain page of {account}, p{percent}: {quiet * 1e3:7.2f} ms, "
                f"{busy * 1e3:7.2f} ms with slow queries of A: {busy / quiet:5.2f}x"
                + (f"; {bare / quiet:5.2f}x if a bare driver sends them" if replay else ""),
                flush=True,
            )


@asynccontextmanager
async def running(event: Event) -> AsyncIterator[None]:
    """Let slow queries run from half a second before the block to its end, and wait until they have ended."""
    event.set()
    await asyncio.sleep(0.5)
    yield
    event.clear()
    await asyncio.sleep(1)


async def make_tokens(services: Services) -> dict[str, str]:
    """Create the accounts, and return a token for each."""
    for account_id in ACCOUNTS.values():
        await services.accounts.create_account("bench", account_id=account_id)
    scopes = frozenset(DEFAULT_SCOPES)
    return {name: services.tokens.issue(Principal(account, scopes), 86_400) for name, account in ACCOUNTS.items()}


async def run_store(bench: StoreBench, data: Path, mongodb: str | None, rows: int, clients: int) -> None:
    """Fill a store, serve it, and measure."""
    async with opened(bench):
        await bench.fill(2 * rows)
    options = {"data": str(data), **({} if mongodb is None else {"mongodb": mongodb})}
    async with open_services(load({}, options)) as services:
        tokens = await make_tokens(services)
    replay = None
    if mongodb is not None:
        replay = Replay(mongodb, DATABASE, await recorded(mongodb, DATABASE, SLOW, ACCOUNTS["A"]))
    server = Server(data, *(() if mongodb is None else ("--mongodb", mongodb)), **NO_RATE_LIMIT)
    server.launch_unforked()
    try:
        await asyncio.to_thread(server.wait_until_ready)
        await measure(bench.name, server, tokens, clients, replay)
    finally:
        server.kill()


async def run(rows: int, wanted: str | None, clients: int) -> None:
    """Measure the wanted stores, one after the other."""
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder:
        async with AsyncExitStack() as stack:
            if wanted in {None, "SQLite"}:
                data = Path(folder, "sqlite")
                await run_store(Sqlite(data, varied), data, None, rows, clients)
            if wanted in {None, "MongoDB"}:
                mongod = stack.enter_context(Mongod(Path(folder, "mongod")))
                data = Path(folder, "data")
                data.mkdir()
                uri = mongod.uri.replace("/?", f"/{DATABASE}?", 1)
                await run_store(Mongo(mongod.uri, DATABASE, varied), data, uri, rows, clients)


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="in each account")
    parser.add_argument("--store", choices=["SQLite", "MongoDB"])
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    asyncio.run(run(options.rows, options.store, options.clients))


if __name__ == "__main__":
    main()
