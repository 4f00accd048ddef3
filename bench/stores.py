"""Measure both metadata stores at several sizes, and compare them with their bare drivers.

    python -m bench.stores                  10 000, 100 000 and 1 000 000 recordings (about 10 minutes)
    python -m bench.stores --size 100000    one size
    python -m bench.stores --quick          a small run, to check that it works

It starts a real `mongod`. The rounds alternate, and the results are medians. CPU is the CPU time of this process with
all its threads, without that of mongod. All files fit into the page cache of the system: 4 GB for a million recordings.
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
from bench.tables import BACKLOG, NOW, Mongo, Sqlite, StoreBench, connected, opened, recordings
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
    """The number of rounds, and of calls and inserts in each round."""

    rounds: int
    calls: int
    inserts: int


FULL = Rounds(15, 20, 320)
QUICK = Rounds(3, 5, 64)


async def cost(action: Action, calls: int, clock: Callable[[], float]) -> float:
    """Run one round. Return the average seconds of a call."""
    start = clock()
    for _ in range(calls):
        await action()
    return (clock() - start) / calls


async def compare(one: Action, other: Action, how: Rounds, clock: Callable[[], float]) -> tuple[float, float]:
    """Run alternating rounds of two actions. Return the median seconds of each."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(how.rounds + 2):
        for action, times in zip((one, other), found, strict=True):
            times.append(await cost(action, how.calls, clock))
    # The first two rounds only warm the caches.
    return statistics.median(found[0][2:]), statistics.median(found[1][2:])


def show(store: str, size: int, what: str, one: float, other: float, unit: str = "ms") -> None:
    scale = {"ms": 1e3, "us": 1e6, "/s": 1.0}[unit]
    print(
        f"{store:8} {size:>9,} {what:48} {one * scale:10,.2f} {other * scale:10,.2f} {unit:3} {other / one:6.2f}x",
        flush=True,
    )


async def depth(bench: StoreBench, size: int, how: Rounds) -> None:
    """Compare the first page with the page at the far end of the listing, for each order and direction."""
    # Alternate after every call, so that other processes on the machine affect both alike.
    how = replace(how, rounds=how.rounds * how.calls, calls=1)
    for field in OrderField:
        for descending in (True, False):
            query = Query(account_id="0123456789abcdef0123456789abcdef", order=Order(field, descending))
            last = await bench.store.page(query, PageRequest(limit=100, backward=True, fields=frozenset()))
            head = await bench.store.page(query, PageRequest(limit=100, fields=frozenset()))
            for backward, edge in ((False, last.rows[0]), (True, head.rows[-1])):
                # Two rows away from the end, so that the measured page is full.
                edge_at = position_of(query.order, edge)
                near = PageRequest(limit=2, fields=frozenset(), backward=not backward)
                near = replace(near, after=edge_at) if backward else replace(near, before=edge_at)
                last_rows = await bench.store.page(query, near)
                start = position_of(query.order, last_rows.rows[-1 if backward else 0])
                first = PageRequest(limit=PAGE, fields=LISTED, backward=backward)
                deep = replace(first, before=start) if backward else replace(first, after=start)
                assert len((await bench.store.page(query, deep)).rows) == PAGE
                times = await compare(
                    lambda: bench.store.page(query, first),  # noqa: B023 - awaited in this iteration
                    lambda: bench.store.page(query, deep),  # noqa: B023 - awaited in this iteration
                    how,
                    time.perf_counter,
                )
                ways = f"{'desc' if descending else 'asc'} {'backward' if backward else 'forward'}"
                show(bench.name, size, f"{field.value} {ways}: page 1, page {size // PAGE:,}", *times)


async def driver(bench: Any, size: int, how: Rounds) -> None:
    """Compare the CPU time of a page and of a point read with the bare driver."""
    query = Query(account_id="0123456789abcdef0123456789abcdef")
    async with connected(bench):
        for fields, label in ((LISTED, "20 fields"), (None, "all fields")):
            request = PageRequest(limit=PAGE, fields=fields)
            names = fields_to_read(fields, query.order.field)
            times = await compare(
                lambda: bench.bare_page(query, request, names),  # noqa: B023 - awaited in this iteration
                lambda: bench.store.page(query, request),  # noqa: B023 - awaited in this iteration
                how,
                time.process_time,
            )
            show(bench.name, size, f"CPU, page of {PAGE}, {label}: driver, store", *times, "us")
        row = (await bench.store.page(query, PageRequest(limit=1))).rows[0]["id"]
        times = await compare(
            lambda: bench.bare_row(row, fields_to_read(LISTED)),
            lambda: bench.store.rows((row,), LISTED),
            replace(how, calls=how.calls * 10),
            time.process_time,
        )
        show(bench.name, size, "CPU, point read, 20 fields: driver, store", *times, "us")


async def rate(
    insert: Callable[[Recording], Awaitable[Any]], recordings: list[Recording], at_once: int = AT_ONCE
) -> float:
    """Insert recordings from some tasks at once. Return the inserts a second."""
    remaining = iter(recordings)

    async def work() -> None:
        for each in remaining:
            await insert(each)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return len(recordings) / (time.perf_counter() - start)


async def inserts(bench: Any, size: int, how: Rounds) -> None:
    """Compare durable inserts with those of the bare driver."""
    rates: tuple[list[float], list[float]] = ([], [])
    async with connected(bench):
        for _ in range(max(3, how.rounds // 2)):
            for insert, found in zip((bench.bare_insert, bench.store.insert), rates, strict=True):
                found.append(await rate(insert, recordings(how.inserts)))
    driver_rate, store_rate = (statistics.median(found) for found in rates)
    show(bench.name, size, f"durable inserts, {AT_ONCE} at once: driver, store", driver_rate, store_rate, "/s")


async def claim(bench: StoreBench) -> Any:
    claimed = await bench.store.claim_due(
        Claim(now=NOW, until=NOW * 2, overdue_before=NOW, holder="me", node="n1", limit=16)
    )
    assert len(claimed) == 16
    return claimed


def settle(folder: Path) -> None:
    """Flush all writes to the disk and read all files into the page cache, so that a claim waits for neither."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


async def claims(grown: dict[int, Sequence[StoreBench]], how: Rounds, folder: Path) -> None:
    """Compare the time of a claim of sixteen recordings in the smallest table and in larger tables.

    The first part has due queues of equal length. In the second part the queues grow with the tables and contain old
    rows. The tables take turns, and no row is claimed twice, so no table has an advantage in the page cache.
    """
    smallest = min(grown)
    for label in (f"{BACKLOG:,} newest due", "one in ten due"):
        await asyncio.to_thread(settle, folder)
        for benches in zip(*grown.values(), strict=True):
            times: dict[int, list[float]] = {size: [] for size in grown}
            for _ in range(how.rounds * 4):
                for size, bench in zip(grown, benches, strict=True):
                    times[size].append(await cost(lambda: claim(bench), 1, time.perf_counter))  # noqa: B023
            found = {size: statistics.median(each[2:]) for size, each in times.items()}
            for size, bench in zip(grown, benches, strict=True):
                if size > smallest or len(grown) == 1:
                    what = f"claim of 16, {label}: of {smallest:,}, of {size:,}"
                    show(bench.name, size, what, found[smallest], found[size])
                await bench.fall_due()


Step = Callable[[Any, int, Rounds], Awaitable[None]]
STEPS: dict[str, Step] = {"depth": depth, "driver": driver, "inserts": inserts}


async def measure(benches: Sequence[StoreBench], size: int, how: Rounds, steps: Sequence[Step]) -> None:
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
    grown: dict[int, Sequence[StoreBench]] = {}
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder, Mongod(Path(folder, "mongod")) as server:
        async with AsyncExitStack() as stack:
            for size in sizes:
                benches: Sequence[StoreBench] = (Sqlite(Path(folder, str(size))), Mongo(server.uri, f"bench_{size}"))
                grown[size] = [await stack.enter_async_context(opened(bench)) for bench in benches]
                await measure(grown[size], size, how, [step for name, step in STEPS.items() if name in wanted])
            if "claims" in wanted:
                await claims(grown, how, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="number of recordings; may be repeated")
    parser.add_argument("--quick", action="store_true", help="2 000 recordings and few rounds")
    parser.add_argument("--only", choices=[*STEPS, "claims"], action="append", help="measure only this; default: all")
    options = parser.parse_args()
    sizes = options.size or ((2_000,) if options.quick else SIZES)
    asyncio.run(run(sizes, QUICK if options.quick else FULL, options.only or [*STEPS, "claims"]))


if __name__ == "__main__":
    main()
