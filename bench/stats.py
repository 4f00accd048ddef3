"""Compare figures from rollups with the same figures by a naive query, on one account with recordings of 90 days.

    python -m bench.stats                    a million recordings in each store (about 15 minutes on two busy cores)
    python -m bench.stats --rows 20000       fewer, to check that it works
    python -m bench.stats --store SQLite     one store
    python -m bench.stats --folder DIR       keep the stores, and use them again in the next run

It prints the time in which the rollups are built, each question with both times, the six figures of a dashboard through
GraphQL (requests, bytes, time), and the cost of the marks for a write. The exit status is 1 if a target is missed.
"""

# ruff: noqa: S608 - the names in these statements are constants

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx
from pymongo import MongoClient, WriteConcern

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.bson_document import to_document
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite import recording_table as sqlite_recordings
from adapters.metadata.sqlite.sqlite_store import FILE
from bench.tables import TEMPLATE
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from recordings.model.account import Account, Principal, Scope
from recordings.model.ids import new_recording_id
from recordings.model.instants import DAY, MINUTE, SECOND, Millis, to_iso
from recordings.model.query import Equal
from recordings.model.recording import Direction, EndCause, Media, Reason, Recording, State
from recordings.model.stats import Bucket, Dimension, Period, StatsQuery
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.count_slots import SlotCounter
from recordings.use_cases.recordings import Recordings
from tests.servers.mongod import Mongod
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit

END: Final[Millis] = 1_795_305_600_000
"""2026-11-22T00:00:00Z."""
DAYS: Final = 90
AGENTS: Final = 50
ROUNDS: Final = 7
ACCOUNT: Final = TEMPLATE.account_id
CALLER: Final = Principal(ACCOUNT, frozenset({Scope.READ}))
WEEK: Final = Period(END - 7 * DAY, END)
ALL: Final = Period(END - DAYS * DAY, END)
QUESTIONS: Final = {
    "a week, hour × direction": StatsQuery(
        period=WEEK, bucket=Bucket.HOUR, group_by=(Dimension.DIRECTION,), histograms=False
    ),
    "a week, p95 per hour": StatsQuery(period=WEEK, bucket=Bucket.HOUR),
    "90 days, hour × direction": StatsQuery(
        period=ALL, bucket=Bucket.HOUR, group_by=(Dimension.DIRECTION,), histograms=False
    ),
    "90 days, p95 per hour": StatsQuery(period=ALL, bucket=Bucket.HOUR),
    "90 days, minutes by agent": StatsQuery(period=ALL, group_by=(Dimension.OWNER,), histograms=False),
    "90 days, day × agent in Berlin": StatsQuery(
        period=ALL, bucket=Bucket.DAY, time_zone="Europe/Berlin", group_by=(Dimension.OWNER,), histograms=False
    ),
    "90 days, by state": StatsQuery(period=ALL, group_by=(Dimension.STATE,), histograms=False),
    "storage by account, all": StatsQuery(
        period=Period(0, END), group_by=(Dimension.ACCOUNT,), descendants=True, histograms=False
    ),
    "one agent, 90 days by day": StatsQuery(
        period=ALL, bucket=Bucket.DAY, where=Equal("owner_id", f"{7:032x}"), histograms=False
    ),
}
TARGETS: Final = {("SQLite", "90 days, hour × direction"): 25.0, ("MongoDB", "90 days, hour × direction"): 120.0}
"""Milliseconds."""


def varied(count: int) -> Iterator[Recording]:
    """Yield recordings of the 90 days: more at noon than at night, with agents, devices, labels and failures."""
    chance = random.Random(count)
    for number in range(count):
        day, hour = chance.randrange(DAYS), chance.gauss(13, 3.5) % 24
        at = END - DAYS * DAY + day * DAY + int(hour * 60 * MINUTE)
        agent = chance.randrange(AGENTS)
        duration = int(chance.lognormvariate(11.5, 1))
        failed = chance.random() < 0.02
        yield replace(
            TEMPLATE,
            id=new_recording_id(at),
            start=at,
            created=at - 2 * SECOND,
            ended=at + duration,
            call_id=f"{number:016x}@10.0.0.1",
            owner_id=f"{agent:032x}",
            endpoint_id=f"{agent * 2 + chance.randrange(2):032x}",
            direction=chance.choice([Direction.INBOUND, Direction.INBOUND, Direction.OUTBOUND]),
            label=chance.choice([None, "sales", "service", "support"]),
            state=chance.choice([State.FAILED, State.LOST]) if failed else State.STORED,
            reason=chance.choice([Reason.RECORDER_FAILED, Reason.NOT_AUDIO]) if failed else None,
            end_cause=chance.choice([EndCause.HANGUP, EndCause.HANGUP, EndCause.STOPPED]),
            duration_ms=None if failed else duration,
            media=None if failed else Media("x", "audio/mpeg", duration * 8, duration, 8_000, 2, "ab" * 32, at),
        )


class Sqlite:
    """SQLite, and the naive query on it."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        self._path = folder / FILE

    async def fill(self, rows: int) -> None:
        await asyncio.to_thread(self._fill, rows)
        await self.store.mark_all()

    def _fill(self, rows: int) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("synchronous = OFF", "cache_size = -500000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        found = "FROM sqlite_schema WHERE tbl_name = 'recordings' AND type IN ('index', 'trigger') AND sql IS NOT NULL"
        statements = connection.execute(f"SELECT type, name, sql {found}").fetchall()
        connection.execute("BEGIN")
        for kind, name, _ in statements:
            connection.execute(f"DROP {kind} {name}")
        connection.executemany(sqlite_recordings.INSERT, map(sqlite_recordings.values_of, varied(rows)))
        for _, _, statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    async def naive(self, query: StatsQuery) -> None:
        await asyncio.to_thread(self._naive, query)

    def _naive(self, query: StatsQuery) -> None:
        groups = [f'"{dimension.value}"' for dimension in query.group_by]
        if query.bucket is not None:
            groups.insert(0, f"start / {3_600_000 if query.bucket is Bucket.HOUR else DAY}")
        group = f"GROUP BY {', '.join(groups)}" if groups else ""
        with sqlite3.connect(self._path) as connection:
            connection.execute(
                "SELECT count(*), count(duration_ms), sum(duration_ms), sum(json_extract(media, '$.length')) "
                f"FROM recordings WHERE account_id = ? AND shelf = 'LIVE' AND start >= ? AND start < ? {group}",
                (ACCOUNT, query.period.gte, query.period.lt),
            ).fetchall()

    @asynccontextmanager
    async def without_marks(self) -> AsyncIterator[None]:
        names = ("stats_updated", "stats_deleted")
        with sqlite3.connect(self._path) as connection:
            found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            triggers = [sql for name, sql in found if name in names]
            for name in names:
                connection.execute(f"DROP TRIGGER {name}")
        yield
        with sqlite3.connect(self._path) as connection:
            for sql in triggers:
                connection.execute(sql)


class Mongo:
    """MongoDB, and the naive query on it."""

    name = "MongoDB"

    def __init__(self, uri: str) -> None:
        self._uri, self._database = uri, "bench_stats"
        self.store = MongoStore(uri, self._database)
        self.store.slot_marks.steady = 0.0

    async def fill(self, rows: int) -> None:
        await asyncio.to_thread(self._fill, rows)
        # Creates the indexes again.
        await self.store.open()
        await self.store.mark_all()

    def _fill(self, rows: int) -> None:
        with MongoClient[Any](self._uri) as client:
            collection = client[self._database].get_collection("recordings", write_concern=WriteConcern(1))
            collection.drop_indexes()
            documents = map(to_document, varied(rows))
            while batch := list(islice(documents, 5_000)):
                collection.insert_many(batch, ordered=False)

    async def naive(self, query: StatsQuery) -> None:
        await asyncio.to_thread(self._naive, query)

    def _naive(self, query: StatsQuery) -> None:
        key: dict[str, Any] = {dimension.value: f"${dimension.value}" for dimension in query.group_by}
        if query.bucket is not None:
            length = 3_600_000 if query.bucket is Bucket.HOUR else DAY
            key["at"] = {"$subtract": ["$start", {"$mod": ["$start", length]}]}
        with MongoClient[Any](self._uri) as client:
            within = {"$gte": query.period.gte, "$lt": query.period.lt}
            measures = {"count": {"$sum": 1}, "audio": {"$sum": "$duration_ms"}, "bytes": {"$sum": "$media.length"}}
            list(
                client[self._database]["recordings"].aggregate(
                    [
                        {"$match": {"account_id": ACCOUNT, "shelf": "LIVE", "start": within}},
                        {"$group": {"_id": key, **measures}},
                    ]
                )
            )

    @asynccontextmanager
    async def without_marks(self) -> AsyncIterator[None]:
        marks = self.store.slot_marks
        mark = marks._mark

        async def nothing(_slots: object) -> None:
            return

        vars(marks)["_mark"] = nothing
        yield
        vars(marks)["_mark"] = mark


async def milliseconds(
    call: Callable[[], Awaitable[Any]], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the shortest time of a call: on a busy machine, the others have waited for the processor."""
    times = []
    for _ in range(rounds):
        start = clock()
        await call()
        times.append((clock() - start) * 1_000)
    return min(times)


def use_cases(store: Any) -> Recordings:
    clock = FakeClock(END + DAY)
    return Recordings(
        store=store, recorder=FakeRecorder(clock), clock=clock, audit=MemoryAudit(), wake=lambda: None, node="n" * 32
    )


async def build(bench: Any, rows: int) -> None:
    start = time.perf_counter()
    # A kept store has its recordings, and slots that the last run marked.
    if await bench.store.add_account(Account(ACCOUNT, "bench", 0)):
        await bench.fill(rows)
        print(f"# {bench.name}: {rows:,} recordings in {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    counter = SlotCounter(bench.store, FakeClock(END + 2 * DAY))
    slots = 0
    while counted := await counter.count_some(64):
        slots += counted
    print(f"# {bench.name}: {slots:,} slots counted in {time.perf_counter() - start:.0f} s", flush=True)
    print(f"# {bench.name}: load average {os.getloadavg()[0]:.1f}", flush=True)


async def questions(bench: Any) -> list[str]:
    service, missed = use_cases(bench.store), []
    for name, query in QUESTIONS.items():
        rollup = await milliseconds(lambda: service.stats.figures(CALLER, query))  # noqa: B023
        busy = await milliseconds(lambda: service.stats.figures(CALLER, query), clock=time.process_time)  # noqa: B023
        naive = await milliseconds(lambda: bench.naive(query), 1)  # noqa: B023
        target = TARGETS.get((bench.name, name))
        ratio = f"{naive:10.1f} ms naive {naive / rollup:7.1f}x"
        print(f"{bench.name:8} {name:32} {rollup:8.1f} ms ({busy:6.1f} of this process) {ratio}", flush=True)
        if target is not None and rollup > target:
            missed.append(f"{bench.name}: {name} took {rollup:.1f} ms, the target is {target:g} ms")
    return missed


def _period(period: Period) -> str:
    return f'period: {{gte: "{to_iso(period.gte)}", lt: "{to_iso(period.lt)}"}}'


DASHBOARD: Final = {
    "calls per hour by direction, average and p95": f"""{{ recordingStats({_period(WEEK)}, bucket: HOUR,
        groupBy: DIRECTION) {{
            rows {{ bucketStart direction count averageMs p95: durationMs(percentile: 95) }} }} }}""",
    "storage by account": f"""{{ recordingStats({_period(ALL)}, groupBy: ACCOUNT, descendants: true) {{
        rows {{ accountId bytes }} }} }}""",
    "failed and lost ratio": f"""{{ recordingStats({_period(WEEK)}, bucket: DAY) {{
        rows {{ bucketStart failureRate }} }} }}""",
    "by state": f"{{ recordingStats({_period(WEEK)}, groupBy: STATE) {{ rows {{ state count }} }} }}",
    "the longest recordings": """{ recordings(first: 10, orderBy: {field: DURATION, direction: DESC}) {
        nodes { plainId durationMs start } } }""",
    "minutes by agent": f"""{{ recordingStats({_period(WEEK)}, groupBy: OWNER, top: 20,
        orderBy: {{field: AUDIO_MS, direction: DESC}}) {{ rows {{ ownerId other audioMs }} }} }}""",
}


async def dashboard(bench: Any) -> list[str]:
    async def authenticate(_headers: object) -> Principal:
        return CALLER

    services = GraphQLServices(
        recordings=use_cases(bench.store),
        cursors=Cursors(b"c" * 32),
        grants=Grants(b"g" * 32),
        clock=FakeClock(END),
        authenticate=authenticate,
    )
    transport = httpx.ASGITransport(graphql_app(services, GraphQLSettings(compress=False)))
    total, size = 0.0, 0
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        for name, query in DASHBOARD.items():
            body = json.dumps({"query": query})

            async def ask(content: str = body) -> httpx.Response:
                return await client.post("/graphql", content=content, headers={"content-type": "application/json"})

            response = await ask()
            assert "errors" not in response.json(), response.text
            took = await milliseconds(ask)
            print(f"{bench.name:8} {name:46} {took:7.1f} ms {len(response.content):7,} bytes", flush=True)
            total, size = total + took, size + len(response.content)
    print(f"{bench.name:8} {'six figures: ' + str(len(DASHBOARD)) + ' requests':46} {total:7.1f} ms {size:7,} bytes")
    limits = (("ms", total, 100), ("bytes", size, 50_000))
    return [f"{bench.name}: six figures, {found:.0f} {unit}" for unit, found, limit in limits if found > limit]


async def writes(bench: Any) -> None:
    """Print the cost of the marks: of writes to one quarter-hour, and of inserts to many."""
    service: Any = bench.store

    async def insert(recordings: list[Recording]) -> list[Any]:
        return [await service.insert(recording) for recording in recordings]

    async def save(recordings: list[Recording]) -> list[Any]:
        changed = [replace(each, revision=each.revision + 1, state=State.LOST) for each in recordings]
        return [await service.save(each, each.revision - 1) for each in changed]

    kinds = {"insert": insert, "insert, other quarter-hours": insert, "save": save}
    times: dict[tuple[str, bool], list[float]] = {}
    made = varied(10_000)
    for number in range(20 * len(kinds)):
        name, write = list(kinds.items())[number % len(kinds)]
        marked = number // len(kinds) % 2 == 0
        recordings = [replace(each, id=new_recording_id(each.start)) for each in islice(made, 40)]
        if "other" not in name:
            recordings = [replace(each, start=END - DAY + number) for each in recordings]
        if write is save:
            await insert(recordings)
        if marked:
            times.setdefault((name, True), []).append(await milliseconds(partial(write, recordings), 1) / 40)
        else:
            async with bench.without_marks():
                times.setdefault((name, False), []).append(await milliseconds(partial(write, recordings), 1) / 40)
    for name in kinds:
        plain, with_marks = (statistics.median(times[name, marked]) * 1_000 for marked in (False, True))
        ratio = with_marks / plain
        print(f"{bench.name:8} {name:32} {with_marks:9.0f} µs {plain:10.0f} µs without marks {ratio:6.2f}x", flush=True)


async def measure(bench: Any, rows: int) -> list[str]:
    await bench.store.open()
    try:
        await build(bench, rows)
        missed = await questions(bench) + await dashboard(bench)
        await writes(bench)
    finally:
        await bench.store.close()
    return missed


async def run(rows: int, store: str | None, folder: Path) -> list[str]:
    missed: list[str] = []
    if store in {None, Sqlite.name}:
        missed += await measure(Sqlite(folder), rows)
    if store in {None, Mongo.name}:
        with Mongod(folder / "mongod") as server:
            missed += await measure(Mongo(server.uri), rows)
    return missed


def main() -> int:
    """Read the arguments, measure and print. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", choices=[Sqlite.name, Mongo.name])
    parser.add_argument("--folder", type=Path, help="keep the stores here, and use them again in the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder:
        missed = asyncio.run(run(options.rows, options.store, options.folder or Path(folder)))
    print(*missed, sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
