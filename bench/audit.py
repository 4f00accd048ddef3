"""Compare requests with the audit trail (`trail`) with the same requests without one (`silent`), in pairs.

    python -m bench.audit              10 000 recordings, 40 rounds of each pair (about one minute)
    python -m bench.audit --rounds 5   a small run, to check that it works

Both apps have the same SQLite file, and their rounds alternate. The result is the median of the ratios of the rounds:
CPU time of the whole process for each request, with the background writes of the trail.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import structlog

from adapters.metadata.sqlite import SqliteStore
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from graph.server.audit_queue import AuditQueue
from graph.server.audit_trail import AuditTrail
from graph.server.request_log import RequestLog
from graph.server.system_clock import SystemClock
from recordings.model.account import DEFAULT_SCOPES, Account, Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.ids import new_recording_id
from recordings.model.recording import Media, Recording, State
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.playback import Playback
from recordings.use_cases.recordings import Recordings
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit

ACCOUNT: Final = "a" * 32
CALLER: Final = Principal(ACCOUNT, frozenset(DEFAULT_SCOPES), None, "bench", token_id="t" * 32)
REQUESTS: Final = 50
AUDIO: Final = bytes(64 * 1024)
PAGE: Final = "{ recordings(first: 50) { nodes { plainId state callId from to start durationMs media { length } } } }"
POINT: Final = "query($id: ID!) { recording(id: $id) { plainId state callId from to start durationMs } }"


class SilentAudit(MemoryAudit):
    """An audit trail that keeps no reads."""

    def count(self, principal: Principal, action: AuditAction, target: AuditObject, **numbers: int) -> None:
        """Do nothing."""


def app_on(store: SqliteStore, audit: Any) -> Any:
    """Return the GraphQL app with its request log."""
    clock = SystemClock()
    service = Recordings(
        store=store,
        recorder=FakeRecorder(clock),
        clock=clock,
        audit=audit,
        wake=lambda: None,
        node="n",
    )

    async def authenticate(_headers: Any) -> Principal:
        return CALLER

    services = GraphQLServices(
        recordings=service,
        cursors=Cursors(b"c" * 32),
        grants=Grants(b"g" * 32),
        clock=clock,
        authenticate=authenticate,
    )
    return RequestLog(graphql_app(services, GraphQLSettings(burst=1_000_000_000, per_second=1_000_000_000)))


async def fill(store: SqliteStore, number: int) -> list[Recording]:
    """Insert stored recordings."""
    await store.add_account(Account(ACCOUNT, "bench", 1))
    made = []
    for at in range(number):
        start = 1_790_000_000_000 + at * 1_000
        media = Media("local:x", "audio/mpeg", len(AUDIO), 60_000, 8_000, 1, sha256(AUDIO).hexdigest(), start)
        made.append(
            Recording(
                id=new_recording_id(start), account_id=ACCOUNT, state=State.STORED, start=start, created=start,
                modified=start, ended=start, call_id=f"c{at}", from_="1@x", to="2@x", media=media, duration_ms=60_000,
            )
        )  # fmt: skip
    for first in range(0, number, 200):
        await asyncio.gather(*map(store.insert, made[first : first + 200]))
    return made


async def read(_url: str, _start: int = 0, _end: int | None = None) -> Any:
    """Return the audio in one piece."""
    yield AUDIO


async def play(audit: Any, recording: Recording) -> None:
    """Play a recording."""
    async for _ in Playback(recording, CALLER, audit).audio(read)("local:x", 0, None):
        pass


async def cpu(work: Callable[[int], Awaitable[Any]], settle: Callable[[], Awaitable[Any]]) -> float:
    """Return the CPU milliseconds of one request. `settle` finishes what the requests left to do."""
    gc.collect()
    began = time.process_time()
    for number in range(REQUESTS):
        await work(number)
    await settle()
    return (time.process_time() - began) / REQUESTS * 1_000


async def run(rounds: int, number: int) -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        await store.open()
        kept = await fill(store, number)
        trail = AuditTrail(AuditQueue(store, SystemClock(), "n" * 32, strict=False), SystemClock())
        audits = {"silent": SilentAudit(), "trail": trail}
        clients = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(app_on(store, audit)), base_url="http://bench")
            for name, audit in audits.items()
        }

        async def ask(name: str, query: str, **variables: Any) -> None:
            response = await clients[name].post("/graphql", json={"query": query, "variables": variables})
            assert b"errors" not in response.content, response.text

        kinds: dict[str, Callable[[str, int], Awaitable[Any]]] = {
            "page of 50": lambda name, _at: ask(name, PAGE),
            "one recording": lambda name, at: ask(name, POINT, id=kept[at].id),
            "play": lambda name, at: play(audits[name], replace(kept[at], id=new_recording_id(at))),
        }
        print(f"{'request':16}{'silent ms':>12}{'trail ms':>12}{'ratio':>8}{'difference us':>15}")
        for kind, act in kinds.items():
            measured: dict[str, list[float]] = {"silent": [], "trail": []}
            for at in range(rounds + 1):
                order = ("silent", "trail") if at % 2 else ("trail", "silent")
                for name in order:
                    value = await cpu(partial(act, name), trail.flush)
                    if at:
                        measured[name].append(value)
            pairs = list(zip(measured["silent"], measured["trail"], strict=True))
            ratio = statistics.median(new / old for old, new in pairs)
            more = statistics.median(new - old for old, new in pairs) * 1_000
            silent, with_trail = (statistics.median(measured[name]) for name in ("silent", "trail"))
            print(f"{kind:16}{silent:12.3f}{with_trail:12.3f}{ratio:8.3f}{more:15.0f}")
        for client in clients.values():
            await client.aclose()
        await trail.close()
        await store.close()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--number", type=int, default=10_000)
    given = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(given.rounds, given.number))


if __name__ == "__main__":
    main()
