"""Both metadata stores, as they grow and beside their bare drivers.

    python -m bench.stores                  10 000, 100 000 and 1 000 000 recordings (about 10 minutes)
    python -m bench.stores --size 100000    one size
    python -m bench.stores --quick          a small run, to see that it works

A real `mongod` is started for it. Rounds of what is compared alternate, and medians are shown. CPU is that of this
process, all its threads: a server's own is not in it. Files are in the system's memory: 4 GB for a million.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, MongoClient, WriteConcern

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb import where as mongo_where
from adapters.metadata.mongodb.documents import projection, to_document
from adapters.metadata.rows import chosen
from adapters.metadata.scans import scans, walks_down
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite import recordings as sqlite_recordings
from adapters.metadata.sqlite import where as sqlite_where
from adapters.metadata.sqlite.database import connect
from adapters.metadata.sqlite.store import FILE
from recordings.ids import new_recording_id
from recordings.ports import Claim, MetadataStore
from recordings.query import Order, OrderField, PageRequest, Query, position_of
from recordings.recording import ROW_FIELDS, Media, Recording, State
from tests.servers.mongod import Mongod

NOW = 1_795_336_400_000
PAGE = 100
AT_ONCE = 16
OWNERS = 20
BACKLOG = 2_000
"""How many are due, in a table of any size: the newest, as what is due is what was just recorded."""
OWNERS_DUE = tuple(f"{number:032x}" for number in range(0, OWNERS, 10))
"""Those of one recording in ten."""
PLACES = {name: place for place, name in enumerate(ROW_FIELDS)}
LISTED = frozenset({
    "id", "account_id", "state", "start", "created", "modified", "call_id", "from", "to", "origin", "name", "format",
    "owner_id", "interaction_id", "direction", "caller_id_name", "caller_id_number", "callee_id_number", "label",
    "duration_ms",
})  # fmt: skip
Action = Callable[[], Awaitable[Any]]


@dataclass
class Rounds:
    """How often things are measured: rounds of so many calls each."""

    rounds: int
    calls: int
    inserts: int


FULL = Rounds(15, 20, 320)
QUICK = Rounds(3, 5, 64)


TEMPLATE = Recording(
    id="",
    account_id="0123456789abcdef0123456789abcdef",
    state=State.STORED,
    start=NOW,
    created=NOW,
    modified=NOW,
    call_id="",
    from_="1001@0123456789ab.sip.invalid",
    to="1002@0123456789ab.sip.invalid",
    origin="inbound from PSTN to owner : callflow",
    name="recording.mp3",
    caller_id_name="Caller",
    callee_id_number="1002",
    media=Media("file:///audio/2026/11/x.mp3", "audio/mpeg", 480_000, 60_000, 8_000, 2, "ab" * 32, NOW),
    user_metadata={"note": "x"},
)


def varied(count: int) -> Iterator[dict[str, Any]]:
    """What differs between recordings of one account: some lack a duration and a caller, the newest are due."""
    chance = random.Random(count)
    for number in range(count):
        at = NOW + number * 1_000 + chance.randrange(5_000)
        yield {
            "id": new_recording_id(at),
            "start": at,
            "created": at - chance.randrange(60_000),
            "call_id": f"{chance.getrandbits(64):016x}@10.0.0.1",
            "owner_id": f"{number % OWNERS:032x}",
            "interaction_id": f"{number // 2:020d}-{chance.getrandbits(32):08x}",
            "caller_id_number": None if number % 50 == 0 else f"+4930{chance.randrange(20_000):07d}",
            "duration_ms": None if number % 50 == 0 else chance.randrange(600_000),
            "due_at": NOW - chance.randrange(1_000_000) if number >= count - BACKLOG else None,
        }


def recordings(count: int) -> list[Recording]:
    return [replace(TEMPLATE, **values) for values in varied(count)]


class Bench:
    """One store, its bare driver, and how it is filled without waiting for every row."""

    name: str
    store: MetadataStore

    async def fill(self, size: int) -> None:
        raise NotImplementedError

    async def fall_due(self) -> None:
        """Make one recording in ten due, old and new ones."""
        raise NotImplementedError

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        raise NotImplementedError

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        raise NotImplementedError

    async def bare_insert(self, recording: Recording) -> Any:
        raise NotImplementedError


class Sqlite(Bench):
    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        self._path = folder / FILE

    async def fill(self, size: int) -> None:
        await asyncio.to_thread(self._fill, size)

    def _fill(self, size: int) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        where = "FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'recordings' AND sql IS NOT NULL"
        indexes = connection.execute(f"SELECT name, sql {where}").fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.executemany(sqlite_recordings.INSERT, self._values(size))
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def _values(self, size: int) -> Iterator[list[Any]]:
        template = sqlite_recordings.values_of(TEMPLATE)
        for changes in varied(size):
            values = template.copy()
            for name, value in changes.items():
                values[PLACES[name]] = value
            yield values

    async def fall_due(self) -> None:
        await asyncio.to_thread(self._fall_due)

    def _fall_due(self) -> None:
        connection = sqlite3.connect(self._path)
        with connection:
            places = ", ".join("?" * len(OWNERS_DUE))
            due = f"UPDATE recordings SET due_at = ? - abs(random() % 1000000) WHERE owner_id IN ({places})"  # noqa: S608 - question marks alone
            connection.execute(due, (NOW, *OWNERS_DUE))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def connect(self) -> None:
        self._bare = connect(self._path, "rw")

    def disconnect(self) -> None:
        self._bare.close()

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        (scan,) = scans(query, request)
        statement = sqlite_where.page(query, scan, names, down=walks_down(query, request), limit=request.limit + 1)
        return await asyncio.to_thread(lambda: self._bare.execute(*statement).fetchall())

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        columns = ", ".join(f'"{name}"' for name in names)
        statement = f"SELECT {columns} FROM recordings WHERE id = ?"  # noqa: S608 - the names are ours
        return await asyncio.to_thread(lambda: self._bare.execute(statement, (recording_id,)).fetchone())

    async def bare_insert(self, recording: Recording) -> Any:
        # One connection, one transaction each: the transactions of a file come one after another in any case.
        self._bare.execute(sqlite_recordings.INSERT, sqlite_recordings.values_of(recording))


class Mongo(Bench):
    name = "MongoDB"

    def __init__(self, uri: str, database: str) -> None:
        self.store = MongoStore(uri, database)
        self._uri, self._database = uri, database

    async def fill(self, size: int) -> None:
        await asyncio.to_thread(self._fill, size)
        # Makes the indexes again.
        await self.store.open()

    def _fill(self, size: int) -> None:
        with MongoClient[Any](self._uri) as client:
            collection = client[self._database].get_collection("recordings", write_concern=WriteConcern(1))
            collection.drop_indexes()
            template = to_document(TEMPLATE)
            documents = ({**template, "_id": changes.pop("id"), **changes} for changes in varied(size))
            while batch := list(islice(documents, 5_000)):
                collection.insert_many(batch, ordered=False)

    async def fall_due(self) -> None:
        await asyncio.to_thread(self._fall_due)

    def _fall_due(self) -> None:
        with MongoClient[Any](self._uri) as client:
            ago = {"$toLong": {"$multiply": [{"$rand": {}}, 1_000_000]}}
            change = [{"$set": {"due_at": {"$subtract": [NOW, ago]}}}]
            client[self._database]["recordings"].update_many({"owner_id": {"$in": list(OWNERS_DUE)}}, change)

    def connect(self) -> None:
        self._client: AsyncMongoClient[Any] = AsyncMongoClient(self._uri)
        database = self._client[self._database]
        self._bare = database.get_collection("recordings", write_concern=WriteConcern("majority", j=True))

    async def disconnect(self) -> None:
        await self._client.close()

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        find = mongo_where.find(query, scans(query, request), down=walks_down(query, request))
        limit = request.limit + 1
        return await self._bare.find(
            find.filter, projection(names), sort=find.sort, limit=limit, batch_size=limit + 1,
            hint=find.hint, min=find.low, max=find.high,
        ).to_list()  # fmt: skip

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        return await self._bare.find_one({"_id": recording_id}, projection(names))

    async def bare_insert(self, recording: Recording) -> Any:
        return await self._bare.insert_one(to_document(recording))


@asynccontextmanager
async def opened(bench: Any) -> AsyncIterator[Any]:
    await bench.store.open()
    yield bench
    await bench.store.close()


@asynccontextmanager
async def connected(bench: Any) -> AsyncIterator[Any]:
    bench.connect()
    yield bench
    if (closing := bench.disconnect()) is not None:
        await closing


async def cost(action: Action, calls: int, clock: Callable[[], float]) -> float:
    """Seconds of one call, on average of a round."""
    start = clock()
    for _ in range(calls):
        await action()
    return (clock() - start) / calls


async def compare(one: Action, other: Action, how: Rounds, clock: Callable[[], float]) -> tuple[float, float]:
    """Median seconds of two actions whose rounds alternate."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(how.rounds + 2):
        for action, times in zip((one, other), found, strict=True):
            times.append(await cost(action, how.calls, clock))
    # The first rounds warm caches up.
    return statistics.median(found[0][2:]), statistics.median(found[1][2:])


def show(store: str, size: int, what: str, one: float, other: float, unit: str = "ms") -> None:
    scale = {"ms": 1e3, "us": 1e6, "/s": 1.0}[unit]
    print(
        f"{store:8} {size:>9,} {what:48} {one * scale:10,.2f} {other * scale:10,.2f} {unit:3} {other / one:6.2f}x",
        flush=True,
    )


async def depth(bench: Bench, size: int, how: Rounds) -> None:
    """The first page beside the one at the far end of the listing, every order, both ways."""
    # By turns after every call: what else the machine does befalls both.
    how = replace(how, rounds=how.rounds * how.calls, calls=1)
    for field in OrderField:
        for descending in (True, False):
            query = Query(account_id="0123456789abcdef0123456789abcdef", order=Order(field, descending))
            last = await bench.store.page(query, PageRequest(limit=100, backward=True, fields=frozenset()))
            head = await bench.store.page(query, PageRequest(limit=100, fields=frozenset()))
            for backward, edge in ((False, last.rows[0]), (True, head.rows[-1])):
                # So deep that the page in front of the very last one is read whole.
                edge_at = position_of(query.order, edge)
                near = PageRequest(limit=2, fields=frozenset(), backward=not backward)
                near = replace(near, after=edge_at) if backward else replace(near, before=edge_at)
                place = await bench.store.page(query, near)
                start = position_of(query.order, place.rows[-1 if backward else 0])
                first = PageRequest(limit=PAGE, fields=LISTED, backward=backward)
                deep = replace(first, before=start) if backward else replace(first, after=start)
                assert len((await bench.store.page(query, deep)).rows) == PAGE
                times = await compare(
                    lambda: bench.store.page(query, first),  # noqa: B023 - awaited within this turn
                    lambda: bench.store.page(query, deep),  # noqa: B023 - awaited within this turn
                    how,
                    time.perf_counter,
                )
                ways = f"{'desc' if descending else 'asc'} {'backward' if backward else 'forward'}"
                show(bench.name, size, f"{field.value} {ways}: page 1, page {size // PAGE:,}", *times)


async def driver(bench: Any, size: int, how: Rounds) -> None:
    """CPU of a page and of a point read beside the bare driver's."""
    query = Query(account_id="0123456789abcdef0123456789abcdef")
    async with connected(bench):
        for fields, said in ((LISTED, "20 fields"), (None, "all fields")):
            request = PageRequest(limit=PAGE, fields=fields)
            names = chosen(fields, query.order.field)
            times = await compare(
                lambda: bench.bare_page(query, request, names),  # noqa: B023 - awaited within this turn
                lambda: bench.store.page(query, request),  # noqa: B023 - awaited within this turn
                how,
                time.process_time,
            )
            show(bench.name, size, f"CPU, page of {PAGE}, {said}: bare, ours", *times, "us")
        row = (await bench.store.page(query, PageRequest(limit=1))).rows[0]["id"]
        times = await compare(
            lambda: bench.bare_row(row, chosen(LISTED)),
            lambda: bench.store.rows((row,), LISTED),
            replace(how, calls=how.calls * 10),
            time.process_time,
        )
        show(bench.name, size, "CPU, point read, 20 fields: bare, ours", *times, "us")


async def rate(insert: Callable[[Recording], Awaitable[Any]], given: list[Recording]) -> float:
    """Inserts a second, so many at once."""
    left = iter(given)

    async def work() -> None:
        for each in left:
            await insert(each)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return len(given) / (time.perf_counter() - start)


async def inserts(bench: Any, size: int, how: Rounds) -> None:
    """Durable inserts beside the bare store's."""
    rates: tuple[list[float], list[float]] = ([], [])
    async with connected(bench):
        for _ in range(max(3, how.rounds // 2)):
            for insert, found in zip((bench.bare_insert, bench.store.insert), rates, strict=True):
                found.append(await rate(insert, recordings(how.inserts)))
    bare, ours = (statistics.median(found) for found in rates)
    show(bench.name, size, f"durable inserts, {AT_ONCE} at once: bare, ours", bare, ours, "/s")


async def claim(bench: Bench) -> Any:
    claimed = await bench.store.claim_due(Claim(now=NOW, until=NOW * 2, stranded=NOW, holder="me", node="n1", limit=16))
    assert len(claimed) == 16
    return claimed


def settle(folder: Path) -> None:
    """Have what was written on the disk, and all files in the system's memory: neither is a claim's to wait for."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


async def claims(grown: dict[int, Sequence[Bench]], how: Rounds, folder: Path) -> None:
    """What a claim of sixteen takes in the smallest table and in larger ones.

    First with queues of one length, then with queues that grow as the tables do and have old rows in them. All take
    turns, and no row is claimed twice: none has more of its pages in memory than the others have, nor more room there.
    """
    smallest = min(grown)
    for said in (f"{BACKLOG:,} newest due", "one in ten due"):
        await asyncio.to_thread(settle, folder)
        for benches in zip(*grown.values(), strict=True):
            times: dict[int, list[float]] = {size: [] for size in grown}
            for _ in range(how.rounds * 4):
                for size, bench in zip(grown, benches, strict=True):
                    times[size].append(await cost(lambda: claim(bench), 1, time.perf_counter))  # noqa: B023
            found = {size: statistics.median(each[2:]) for size, each in times.items()}
            for size, bench in zip(grown, benches, strict=True):
                if size > smallest or len(grown) == 1:
                    what = f"claim of 16, {said}: of {smallest:,}, of {size:,}"
                    show(bench.name, size, what, found[smallest], found[size])
                await bench.fall_due()


Step = Callable[[Any, int, Rounds], Awaitable[None]]
STEPS: dict[str, Step] = {"depth": depth, "driver": driver, "inserts": inserts}


async def measure(benches: Sequence[Bench], size: int, how: Rounds, steps: Sequence[Step]) -> None:
    for bench in benches:
        start = time.perf_counter()
        await bench.fill(size)
        print(f"# {bench.name}: {size:,} recordings in {time.perf_counter() - start:.0f} s", flush=True)
    if size > min(SIZES) or how is QUICK:
        for step in steps:
            for bench in benches:
                await step(bench, size, how)


SIZES = (10_000, 100_000, 1_000_000)


async def run(sizes: Sequence[int], how: Rounds, wanted: Sequence[str]) -> None:
    print(f"{'store':8} {'rows':>9} {'what':48} {'one':>10} {'other':>10} {'':3} {'ratio':>7}")
    grown: dict[int, Sequence[Bench]] = {}
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder, Mongod(Path(folder, "mongod")) as server:
        async with AsyncExitStack() as stack:
            for size in sizes:
                made: Sequence[Bench] = (Sqlite(Path(folder, str(size))), Mongo(server.uri, f"bench_{size}"))
                grown[size] = [await stack.enter_async_context(opened(bench)) for bench in made]
                await measure(grown[size], size, how, [step for name, step in STEPS.items() if name in wanted])
            if "claims" in wanted:
                await claims(grown, how, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="recordings; may be given again")
    parser.add_argument("--quick", action="store_true", help="2 000 recordings and few rounds")
    parser.add_argument("--only", choices=[*STEPS, "claims"], action="append", help="what to measure; all by default")
    given = parser.parse_args()
    sizes = given.size or ((2_000,) if given.quick else SIZES)
    asyncio.run(run(sizes, QUICK if given.quick else FULL, given.only or [*STEPS, "claims"]))


if __name__ == "__main__":
    main()
