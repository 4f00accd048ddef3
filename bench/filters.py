"""Measure every filter in every order on both metadata stores, as ratios to the plain page of the same store and run.

    python -m bench.filters                    100 000 recordings in each store
    python -m bench.filters --rows 1000000     more
    python -m bench.filters --store SQLite     one store only
    python -m bench.filters --part inserts     one part only
    python -m bench.filters --cpu              CPU times, for SQLite on a busy machine
    python -m bench.filters --folder DIR       keep the stores, and use them again in the next run

Each filter selects at most 1 000 rows, unless its name begins with "wide". The limits are those of docs/queries.md: ten
plain pages, or three if the filter is equal to an id. A wide filter has no limit but must not end in a timeout. The
last lines compare inserts with those before the indexes of fields: into a table with the former indexes, without
triggers and marks. MongoDB's former inserts are those of the bare driver.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import tables
from bench.stores import LISTED, rate
from bench.tables import Mongo, Sqlite, StoreBench, opened
from recordings.model.errors import QueryTooBroad
from recordings.model.query import (
    And,
    Condition,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Order,
    OrderField,
    PageRequest,
    Prefix,
    Query,
    Range,
)
from recordings.model.recording import Recording, State
from tests.servers.mongod import Mongod

ACCOUNT: Final = tables.TEMPLATE.account_id
PAGE: Final = PageRequest(limit=100, fields=LISTED)
ROUNDS: Final = 5
MORE_ROUNDS: Final = 25
"""For a filter that seems to be above its limit."""
INSERTS: Final = 640
LIFE: Final = (State.ARMED, State.RECORDING, State.FINALIZING, State.FINALIZING, State.STORED)
ID_LIMIT, LIMIT = 3.0, 10.0
PARTS: Final = ("filters", "inserts")
Clock = Callable[[], float]


@dataclass(frozen=True)
class Filter:
    """A filter, and the largest ratio that it may have."""

    name: str
    where: Condition
    limit: float | None = LIMIT


def varied(count: int) -> Iterator[dict[str, Any]]:
    """Yield the varying fields of the recordings, with few recordings for some values of each field."""
    chance = random.Random(count)
    for number, values in enumerate(tables.varied(count)):
        rare = number % max(count // 400, 1) == 7
        yield {
            **values,
            "cdr_id": f"{chance.getrandbits(128):032x}",
            "label": f"order {chance.randrange(max(count // 50, 1)):08d}",
            "endpoint_id": f"{chance.randrange(max(count // 200, 1)):032x}",
            "from_": f"+4940{chance.randrange(count):08d}@sip.invalid",
            "to": f"+4941{chance.randrange(count):08d}@sip.invalid",
            "callee_id_number": f"+4941{chance.randrange(count):08d}",
            "caller_id_name": f"Caller {chance.randrange(count)}",
            "callee_id_name": f"Callee {chance.randrange(count)}",
            "origin": "rare origin" if rare else "inbound from PSTN",
            "name": f"call_{chance.getrandbits(64):016x}.mp3",
            "direction": "outbound" if rare else "inbound",
            "end_cause": "TIME_LIMIT" if rare else "HANGUP",
            "hold": {"by": "ada", "at": 1, "reason": "case"} if rare else None,
            "user_metadata": {"case": number // 500, **({"rare": "yes"} if rare else {})},
            "format": "wav" if rare else "mp3",
            "state": "FAILED" if rare else "STORED",
            "reason": "EMPTY" if rare else None,
        }


def filters(row: Recording, count: int) -> list[Filter]:
    """Return the filters. `row` is a recording in the middle of the table."""
    ids = ("call_id", "interaction_id", "cdr_id", "label", "endpoint_id", "from", "to", "caller_id_number",
           "callee_id_number", "caller_id_name", "callee_id_name", "name")  # fmt: skip
    value = {name: getattr(row, "from_" if name == "from" else name) or "+493" for name in ids}
    few = [Filter(f"{name} equal", Equal(name, value[name]), ID_LIMIT) for name in ids]
    few += [Filter(f"{name} prefix", Prefix(name, value[name])) for name in ids]
    few += [Filter(f"{name} in", In(name, (value[name], "x", "y"))) for name in ids]
    few += [Filter(f"{name} no match", Equal(name, "no such value"), ID_LIMIT) for name in ids]
    few += [
        Filter("or of 60 prefixes, no match", Or(tuple(Prefix("label", f"none {number}") for number in range(60)))),
        Filter("state equal", Equal("state", "FAILED")),
        Filter("state in, no match", In("state", ("RECORDING", "ARMED"))),
        Filter("reason equal", Equal("reason", "EMPTY")),
        Filter("endCause equal", Equal("end_cause", "TIME_LIMIT")),
        Filter("direction equal", Equal("direction", "outbound")),
        Filter("direction not", Not(Equal("direction", "inbound"))),
        Filter("format not", Not(Equal("format", "mp3"))),
        Filter("origin not", Not(Equal("origin", "inbound from PSTN"))),
        Filter("held", Held()),
        Filter("metadata key", HasMetadata("rare")),
        Filter("metadata value", HasMetadata("case", row.user_metadata["case"])),
        Filter("metadata, no match", HasMetadata("case", "none")),
        Filter("metadata or label", Or((HasMetadata("rare", "yes"), Equal("label", value["label"])))),
        Filter("wide: metadata key", HasMetadata("case"), None),
        Filter("wide: not metadata", Not(HasMetadata("case", 0)), None),
        Filter("no media", HasMedia(present=False)),
        Filter("start range", Range("start", row.start, row.start + 500_000)),
        Filter("created range", Range("created", row.created, row.created + 500_000)),
        Filter("ended range", Range("ended", row.ended, (row.ended or 0) + 500_000)),
        Filter("duration range", Range("duration_ms", 0, 600_000 * 500 // count)),
        Filter("label and state", And((Equal("label", value["label"]), Equal("state", "STORED")))),
        Filter("or over fields", Or((Equal("label", value["label"]), Equal("cdr_id", value["cdr_id"])))),
        Filter("wide: state", Equal("state", "STORED"), None),
        Filter("wide: label prefix", Prefix("label", "order"), None),
        Filter("wide: two, no match", And((Equal("direction", "inbound"), Equal("origin", "rare origin"))), None),
        Filter("wide: names", And((Prefix("caller_id_name", "Caller"), Prefix("callee_id_name", "Caller"))), None),
    ]
    return few


async def timed(actions: list[Callable[[], Awaitable[Any]]], clock: Clock, rounds: int = ROUNDS) -> list[float]:
    """Return the median seconds of each action. The actions take turns."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds + 1):
        for action, found in zip(actions, times, strict=True):
            start = clock()
            with suppress(QueryTooBroad):
                await action()
            found.append(clock() - start)
    return [statistics.median(found[1:]) for found in times]


async def measure(bench: StoreBench, rows: int, clock: Clock) -> None:
    """Print the ratio of each filter, the worst one, and those above their limits."""
    plain = Query(account_id=ACCOUNT)
    later = (await bench.store.page(replace(plain, where=Range("start", tables.NOW + rows * 500)), PAGE)).rows
    row = await bench.store.load(next(each["id"] for each in later if each["caller_id_number"] is not None))
    assert row is not None
    worst: tuple[float, str] = (0.0, "")
    for each in filters(row, rows):
        for order in (Order(field, descending) for field in OrderField for descending in (True, False)):
            query = Query(account_id=ACCOUNT, where=each.where, order=order)
            actions: list[Callable[[], Awaitable[Any]]] = [
                lambda: bench.store.page(plain, PAGE),
                lambda: bench.store.page(query, PAGE),  # noqa: B023 - awaited in this iteration
                lambda: bench.store.count(query),  # noqa: B023 - awaited in this iteration
            ]
            one, page, count = await timed(actions, clock)
            if page > (each.limit or LIMIT) * one or count > ID_LIMIT * one:
                # Other programs on the machine disturb a short measurement.
                one, page, count = await timed(actions, clock, MORE_ROUNDS)
            name = f"{each.name}, {order.field.name} {'DESC' if order.descending else 'ASC'}"
            ratio, counted = page / one, count / one
            worst = max(worst, (ratio, name)) if each.limit else worst
            if each.limit is None or ratio > each.limit or counted > ID_LIMIT:
                print(f"{bench.name:8} {name:52} {one * 1e3:8.2f} ms {ratio:7.2f}x count {counted:6.2f}x", flush=True)
    print(f"{bench.name}: {rows:,} rows, the worst filter with few rows is {worst[0]:.2f}x: {worst[1]}", flush=True)


async def inserts(bench: StoreBench, former: Any) -> None:
    """Compare durable inserts with those before the indexes of fields. The two take turns."""
    await former.make_former()
    turns = itertools.count()
    for at_once, size in ((1, INSERTS // 8), (16, INSERTS)):
        ratios, times = [], []
        for _ in range(ROUNDS * 3):
            items = [replace(tables.TEMPLATE, **values) for values in itertools.islice(_later(next(turns)), size)]
            new, old = [await rate(insert, items, at_once) for insert in (bench.store.insert, former.former_insert)]
            ratios.append(old / new)
            times.append(1e6 / new)
        print(
            f"{bench.name}: an insert, {at_once} at once, takes {statistics.median(times):.0f} µs, "
            f"{statistics.median(ratios):.2f}x as long as before the indexes of fields",
            flush=True,
        )
    items = [replace(tables.TEMPLATE, **values) for values in itertools.islice(_later(next(turns)), INSERTS // 8)]
    lives = await rate(partial(_live, bench.store), items, 1)
    print(f"{bench.name}: a recording's life, an insert and {len(LIFE)} saves, takes {1e3 / lives:.1f} ms", flush=True)


async def _live(store: Any, recording: Recording) -> None:
    """Write a recording as often as a call does, up to STORED."""
    now = replace(recording, state=State.REQUESTED, media=None, ended=None, duration_ms=None)
    await store.insert(now)
    for state in LIFE:
        ended: dict[str, Any] = {"media": recording.media, "duration_ms": 60_000} if state is State.STORED else {}
        now = replace(now, state=state, revision=now.revision + 1, **ended)
        assert await store.save(now, now.revision - 1)


def _later(turn: int) -> Iterator[dict[str, Any]]:
    for values in tables.varied(INSERTS):
        chance = random.Random(values["id"])
        texts = {name: f"{chance.getrandbits(64):016x}" for name in ("cdr_id", "label", "endpoint_id", "name", "to")}
        yield {**values, **texts, "due_at": None, "call_id": f"{values['call_id']}-{turn}"}


@dataclass(frozen=True)
class Wanted:
    """What to measure: the number of rows, the store, the parts, the folder of the kept stores, and the clock."""

    rows: int
    store: str | None
    parts: Sequence[str]
    folder: Path
    clock: Clock


async def run(wanted: Wanted) -> None:
    """Measure the wanted parts of the wanted stores, one after the other."""
    if wanted.store in {None, "SQLite"}:
        await _measure_store(wanted, lambda name: Sqlite(wanted.folder / name, varied))
    if wanted.store in {None, "MongoDB"}:
        with Mongod(wanted.folder / "mongod") as server:
            await _measure_store(wanted, lambda name: Mongo(server.uri, name, varied))


async def _measure_store(wanted: Wanted, store_of: Callable[[str], Any]) -> None:
    async with AsyncExitStack() as stack:
        measured = await stack.enter_async_context(opened(store_of("measured")))
        if not await measured.store.scan("", 1):
            await measured.fill(wanted.rows)
        if "filters" in wanted.parts:
            await measure(measured, wanted.rows, wanted.clock)
        if "inserts" in wanted.parts:
            former = await stack.enter_async_context(opened(store_of("former")))
            await former.fill(wanted.rows)
            await inserts(measured, former)


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--store", choices=["SQLite", "MongoDB"])
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given several times; default: all")
    parser.add_argument("--folder", type=Path, help="keep the stores here, and use them again in the next run")
    parser.add_argument("--cpu", action="store_true", help="compare CPU times: for SQLite on a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    with tempfile.TemporaryDirectory(prefix="recordings-bench-") as folder:
        parts = options.part or PARTS
        asyncio.run(run(Wanted(options.rows, options.store, parts, options.folder or Path(folder), clock)))


if __name__ == "__main__":
    main()
