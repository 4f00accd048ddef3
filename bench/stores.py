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
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.metadata.row_fields import fields_to_read
from bench.tables import BACKLOG, NOW, Mongo, Sqlite, WorkerProcess, connected, opened, recordings
from recordings.model.query import Order, OrderField, PageRequest, Query, position_of
from recordings.model.recording import Recording
from recordings.ports.recording_store import Claim
from tests.servers.mongod import Mongod

PAGE = 100
AT_ONCE = 16
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


async def depth(bench: WorkerProcess, size: int, how: Rounds) -> None:
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
            names = fields_to_read(fields, query.order.field)
            times = await compare(
                lambda: bench.bare_page(query, request, names),  # noqa: B023 - awaited within this turn
                lambda: bench.store.page(query, request),  # noqa: B023 - awaited within this turn
                how,
                time.process_time,
            )
            show(bench.name, size, f"CPU, page of {PAGE}, {said}: bare, ours", *times, "us")
        row = (await bench.store.page(query, PageRequest(limit=1))).rows[0]["id"]
        times = await compare(
            lambda: bench.bare_row(row, fields_to_read(LISTED)),
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


async def claim(bench: WorkerProcess) -> Any:
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


async def claims(grown: dict[int, Sequence[WorkerProcess]], how: Rounds, folder: Path) -> None:
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


async def measure(benches: Sequence[WorkerProcess], size: int, how: Rounds, steps: Sequence[Step]) -> None:
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
    grown: dict[int, Sequence[WorkerProcess]] = {}
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder, Mongod(Path(folder, "mongod")) as server:
        async with AsyncExitStack() as stack:
            for size in sizes:
                made: Sequence[WorkerProcess] = (Sqlite(Path(folder, str(size))), Mongo(server.uri, f"bench_{size}"))
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
