"""Compare a v2 page of 50 with GraphQL's page of the same rows and with a bare handler; measure filters and a month.

    python -m bench.rest_v2                 100 000 recordings
    python -m bench.rest_v2 --rows 10000    fewer
    python -m bench.rest_v2 --only-filters  the ratios of filtered pages to the plain page

Requests call the apps directly, without a socket: a server and a network add the same time to all. The rounds
alternate, and the results are medians. Memory is the resident set of this process without mapped files, because SQLite
maps its file. It is measured before a response with all rows, and at its maximum during that response.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message

from adapters.identity import Credentials, Identity, Tokens
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite import recording_table as sqlite_recordings
from adapters.rest_v2.v2_app import rest_v2_app
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from graph.server.system_clock import SystemClock
from recordings.model.account import DEFAULT_SCOPES, Account, Principal
from recordings.model.ids import new_recording_id
from recordings.model.recording import Direction, Media, Recording, State
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.policies import Policies
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.users import ManageUsers
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.webhook_parts import ScriptedReceiver, webhooks_on

ACCOUNT = "a" * 32
PAGE = 50
BATCH = 5_000
MONTH = 30 * 86_400_000
"""Milliseconds between the first and the last recording: a list has at most 31 days."""
FILTER_ROUNDS = 15
IN_TURN = 10
COMPARED = "GraphQL, the same rows"
FIELDS = (
    "plainId callId from to request direction start durationMs callerIdName callerIdNumber calleeIdName "
    "calleeIdNumber interactionId cdrId ownerId endpointId origin name format created"
)
QUERY = f"{{ recordings(first: {PAGE}, orderBy: {{field: CREATED, direction: DESC}}) {{ nodes {{ {FIELDS} }} }} }}"
STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Answer:
    """A response and its measurements."""

    status: int
    body: bytes
    length: int
    seconds: float
    resident: int


def resident() -> int:
    """Return the resident memory of this process in bytes, without mapped files, which the system can reclaim."""
    _, whole, shared, *_ = map(int, STATM.read_text().split())
    return (whole - shared) * os.sysconf("SC_PAGE_SIZE")


async def ask(app: ASGIApp, method: str, path: str, query: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    """Send one request directly to an app. Keep the first MiB of the body, count the rest."""
    kept, length, status, peak = bytearray(), 0, 0, 0

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal length, status, peak
        if message["type"] == "http.response.start":
            status = message["status"]
            return
        part = message.get("body", b"")
        length += len(part)
        if len(kept) < 1 << 20:
            kept.extend(part)
        if length > len(part):
            # Not for a page, which has one part, because its CPU time is measured.
            peak = max(peak, resident())

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "extensions": {}, "state": {},
    }  # fmt: skip
    start = time.perf_counter()
    await app(scope, receive, send)
    return Answer(status, bytes(kept), length, time.perf_counter() - start, peak)


async def fill(store: SqliteStore, rows: int, now: int) -> None:
    """Fill the store with the recordings of a busy month."""
    assert await store.add_account(Account(ACCOUNT, "bench", now))
    media = Media("local:x", "audio/mpeg", 169_536, 42_380, 16_000, 2, "ab" * 32, now)
    model = Recording(
        id="", account_id=ACCOUNT, state=State.STORED, start=now, created=now, modified=now, ended=now, call_id="",
        from_="1001@acme.sip.example.com", to="+14155550123@acme.sip.example.com", name="x.mp3", owner_id="8e24" * 8,
        direction=Direction.INBOUND, caller_id_name="Ada Reception", caller_id_number="1001",
        callee_id_number="+14155550123", interaction_id="63877497820-3f2a1b9c", duration_ms=42_380, media=media,
        origin="callflow : Front desk", custom_channel_vars={"Account-ID": ACCOUNT, "Authorizing-Type": "device"},
    )  # fmt: skip
    for first in range(0, rows, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, rows)):
            # Ascending, so that most index pages are written once.
            at = now - (rows - number) * MONTH // rows
            batch.append(
                replace(
                    model,
                    id=new_recording_id(at),
                    start=at,
                    created=at,
                    modified=at,
                    ended=at,
                    call_id=f"{number}@10.26.0.91",
                    interaction_id=f"{number // 2}-3f2a1b9c",
                    cdr_id=f"{number:032x}",
                    caller_id_number=f"+4930{number:08d}",
                    endpoint_id=f"{number // 200:032x}",
                )
            )
        await store._database.write(partial(insert_all, recordings=batch))


def insert_all(connection: sqlite3.Connection, recordings: list[Recording]) -> None:
    """Insert many recordings in one transaction."""
    for each in recordings:
        sqlite_recordings.insert(connection, each)


def apps(store: SqliteStore) -> tuple[ASGIApp, ASGIApp, dict[str, str]]:
    """Return the v2 app, the GraphQL app, and the headers of a client with read access."""
    clock = SystemClock()
    tokens = Tokens(b"k" * 32, clock)
    identity = Identity(store, tokens, Credentials(store))
    service = Recordings(
        store=store,
        recorder=FakeRecorder(clock),
        clock=clock,
        audit=MemoryAudit(),
        wake=lambda: None,
        node="n" * 32,
    )

    async def nothing(_url: str, _start: int = 0, _end: int | None = None) -> Any:
        yield b""

    async def no_conversion(_recording: Recording, _format: str) -> None:
        return None

    shim = rest_v2_app(
        recordings=service,
        users=ManageUsers(store, clock, MemoryAudit()),
        webhooks=webhooks_on(store, clock, MemoryAudit(), ScriptedReceiver()),
        policies=Policies(store=store, reader=PolicyReader(store, clock), clock=clock, audit=MemoryAudit()),
        accounts=store,
        audit=MemoryAudit(),
        authenticate=identity.authenticate_token,
        end_token=identity.end_token,
        issue_token=tokens.issue,
        read=nothing,
        convert=no_conversion,
        clock=clock,
        node="bench",
        version="0",
    )
    parts = GraphQLServices(
        recordings=service,
        cursors=Cursors(b"c" * 32),
        grants=Grants(b"g" * 32),
        clock=clock,
        authenticate=identity.authenticate,
    )
    settings = GraphQLSettings(burst=10**9, per_second=10**9)
    token = tokens.issue(Principal(ACCOUNT, frozenset(DEFAULT_SCOPES), None, "bench"))
    return Starlette(routes=[Mount("/v2", shim)]), graphql_app(parts, settings), {"x-auth-token": token}


async def pages(shim: ASGIApp, graphql: ASGIApp, headers: dict[str, str], seconds: float) -> dict[str, list[float]]:
    """Measure the CPU milliseconds of a page of 50, with those of the store's threads, in turns for the three apps."""
    path = f"/v2/accounts/{ACCOUNT}/recordings"
    body = json.dumps({"query": QUERY}).encode()
    typed = {**headers, "content-type": "application/json", "accept": "application/json"}
    sample = await ask(shim, "GET", path, "", headers)

    async def bare(_request: Request) -> Response:
        return Response(sample.body, media_type="application/json")

    handler = Starlette(routes=[Route("/", bare)])
    requests: dict[str, Callable[[], Awaitable[Answer]]] = {
        "v2, a page of 50": lambda: ask(shim, "GET", path, "", headers),
        COMPARED: lambda: ask(graphql, "POST", "/graphql", "", typed, body),
        "bare handler, the same bytes": lambda: ask(handler, "GET", "/", "", headers),
    }
    times: dict[str, list[float]] = {name: [] for name in requests}
    for name, request in requests.items():
        answer = await request()
        assert answer.status == 200, (name, answer.body[:300])
    assert len(json.loads((await requests[COMPARED]()).body)["data"]["recordings"]["nodes"]) == PAGE
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, request in requests.items():
            before = time.process_time()
            for _ in range(IN_TURN):
                await request()
            times[name].append((time.process_time() - before) * 1_000 / IN_TURN)
    return times


async def filters(shim: ASGIApp, headers: dict[str, str], rows: int, console: Console) -> None:
    """Print the ratio of filtered pages to the plain page. The requests take turns."""
    path = f"/v2/accounts/{ACCOUNT}/recordings"
    number = rows // 2
    listed = json.loads((await ask(shim, "GET", path, "page_size=50", headers)).body)["data"]
    queries = {"": "plain page", f"filter_id={listed[7]['id']}": "filter_id"} | {
        f"filter_{name}={quote(value)}": f"filter_{name}"
        for name, value in (
            ("call_id", f"{number}@10.26.0.91"),
            ("interaction_id", f"{number // 2}-3f2a1b9c"),
            ("cdr_id", f"{number:032x}"),
            ("caller_id_number", f"+4930{number:08d}"),
            ("endpoint_id", f"{number // 200:032x}"),
            ("owner_id", "8e24" * 8),
            ("origin", "no such origin"),
            ("callee_id_number", "none"),
        )
    }
    times: dict[str, list[float]] = {query: [] for query in queries}
    for _ in range(FILTER_ROUNDS):
        for query, found in times.items():
            answer = await ask(shim, "GET", path, query, headers)
            assert answer.status == 200, (query, answer.body[:300])
            found.append(answer.seconds * 1_000)
    table, plain = Table("filter", "ms, median", "ratio"), statistics.median(times[""])
    for query, name in queries.items():
        one = statistics.median(times[query])
        table.add_row(name, f"{one:.2f}", f"{one / plain:.2f}x")
    console.print(table)


async def measure(rows: int, seconds: float, console: Console, *, only_filters: bool) -> None:
    """Fill a store, run all measurements and print their tables."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        await store.open()
        await fill(store, rows, SystemClock().now())
        shim, graphql, headers = apps(store)
        await filters(shim, headers, rows, console)
        if only_filters:
            await store.close()
            return
        times = await pages(shim, graphql, headers, seconds)
        table, compared = Table("page", "CPU ms, median", "ratio to GraphQL (quartiles)"), times[COMPARED]
        for name, own in times.items():
            ratios = [one / other for one, other in zip(own, compared, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            table.add_row(name, f"{statistics.median(own):.2f}", f"{middle:.2f} ({low:.2f}-{high:.2f})")
        console.print(table)
        # This request fills SQLite's page cache (4 MiB for each reader), which would distort the first result.
        await ask(shim, "GET", f"/v2/accounts/{ACCOUNT}/recordings", "paginate=false", headers)
        path, table = (
            f"/v2/accounts/{ACCOUNT}/recordings",
            Table("all rows", "s", "rows/s", "MB", "RSS before", "RSS peak"),
        )
        for name, query in (
            ("JSON, paginate=false", "paginate=false"),
            ("JSON, chunked", "paginate=false&is_chunked=true"),
            ("CSV", "paginate=false&accept=csv"),
            ("JSON, paginate=false, gzip", "paginate=false"),
            ("CSV, gzip", "paginate=false&accept=csv"),
        ):
            before = resident()
            coding = {"accept-encoding": "gzip"} if name.endswith("gzip") else {}
            answer = await ask(shim, "GET", path, query, headers | coding)
            assert answer.status == 200, answer.body[:300]
            speed = f"{rows / answer.seconds:,.0f}"
            sizes = [f"{size / 1e6:.1f}" for size in (answer.length, before, answer.resident)]
            table.add_row(name, f"{answer.seconds:.2f}", speed, *sizes)
        console.print(table)
        await store.close()


def main() -> None:
    """Read the arguments and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only-filters", action="store_true")
    options = parser.parse_args()
    asyncio.run(measure(options.rows, options.seconds, Console(width=120), only_filters=options.only_filters))


if __name__ == "__main__":
    main()
