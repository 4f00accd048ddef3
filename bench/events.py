"""Measure events: what they add to an insert, and how soon readers get them.

    python -m bench.events                 both stores, 1 000 readers
    python -m bench.events --quick         a small run, to check that it works

- Inserts with an event take turns with inserts without one, in the same store.
- A change is written by another client of the store, as another server does. The time of a reader is from the return of
  that write to the return of `EventReader.next`. It is compared with that of a single reader.
- The memory of a reader is the growth of the allocated memory when the readers are opened.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from bench import tables
from bench.stores import rate
from graph.server.event_hub import EventHub
from recordings.model.events import Annotated, Created
from recordings.model.feed_event import EventCursor, EventPosition, EventSelection
from recordings.model.recording import Recording
from recordings.ports.recording_store import MetadataStore
from recordings.rules.event_types import event_of
from recordings.use_cases.event_reader import EventReader, ReadEvent
from recordings.use_cases.save_event import RecordingWriter
from tests.servers.mongod import Mongod

ROUNDS = 9
INSERTS = 320
CHANGES = 60
ACCOUNT = tables.TEMPLATE.account_id


async def inserts(name: str, store: MetadataStore, number: int) -> None:
    """Compare inserts with an event with those without one."""
    rates: tuple[list[float], list[float]] = ([], [])

    async def with_event(recording: Recording) -> None:
        await store.insert(recording, event_of(Created(at=recording.created), recording))

    for _ in range(ROUNDS):
        for insert, found in zip((store.insert, with_event), rates, strict=True):
            found.append(await rate(insert, tables.recordings(number)))
    without, events = (statistics.median(found) for found in rates)
    print(f"{name}: an insert with its event takes {without / events:.2f}x as long as without ({events:.0f}/s)")


async def opened(hub: EventHub, store: MetadataStore, number: int) -> list[EventReader]:
    """Return live readers of new events."""
    cursor = EventCursor(EventPosition(await store.watermark()))
    selection = EventSelection(account_id=ACCOUNT)
    readers = [EventReader(store, hub, selection, cursor) for _ in range(number)]
    for reader in readers:
        while await reader.next(0) is not None:
            pass
    return readers


async def pushes(name: str, store: MetadataStore, other: MetadataStore, number: int, changes: int) -> None:
    """Measure the time from a commit to the readers, for one reader and for many."""
    hub, writer = EventHub(store), RecordingWriter(other)
    found: dict[int, list[float]] = {}
    for count in (1, number):
        # Only here: it makes everything slower.
        tracemalloc.start(1)
        readers = await opened(hub, store, count)
        size = tracemalloc.get_traced_memory()[0] / count
        tracemalloc.stop()
        begun = time.process_time()
        found[count] = await _times(readers, writer, changes)
        cpu = (time.process_time() - begun) / changes
        for reader in readers:
            await reader.aclose()
        times = sorted(found[count])
        shown = ", ".join(f"p{percent} {times[len(times) * percent // 100] * 1e3:.1f} ms" for percent in (50, 95, 99))
        print(f"{name}: {count} readers of another server's changes: {shown}")
        print(f"{name}: {cpu * 1e3:.1f} ms of CPU for a change, {size / 1024:.1f} kB a reader")
    await hub.stop()


async def _times(readers: list[EventReader], writer: RecordingWriter, changes: int) -> list[float]:
    (recording,) = tables.recordings(1)
    item = await writer.create(replace(recording, account_id=ACCOUNT), Created(at=recording.created))
    committed: dict[int, float] = {}
    times: list[float] = []

    async def read(reader: EventReader) -> None:
        while True:
            read = await reader.next(20)
            assert isinstance(read, ReadEvent)
            now = time.perf_counter()
            if read.event.revision > 0:
                # A reader may be faster than the response to the writer.
                times.append(max(now - committed.get(read.event.revision, now), 0.0))
            if read.event.revision == changes:
                return

    reading = [asyncio.create_task(read(reader)) for reader in readers]
    for number in range(changes):
        item = await writer.save_event(item, Annotated(at=item.created, changes={"label": str(number)}))
        committed[item.revision] = time.perf_counter()
        await asyncio.sleep(0.1)
    await asyncio.gather(*reading)
    return times


async def measure(name: str, make: Callable[[], MetadataStore], wanted: argparse.Namespace) -> None:
    """Measure one store."""
    store, other = make(), make()
    for each in (store, other):
        await each.open()
    await inserts(name, store, 64 if wanted.quick else INSERTS)
    await pushes(name, store, other, 20 if wanted.quick else wanted.readers, 5 if wanted.quick else CHANGES)
    for each in (store, other):
        await each.close()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure("SQLite", lambda: SqliteStore(Path(folder)), wanted))
        with Mongod(Path(folder) / "mongod") as server:
            asyncio.run(measure("MongoDB", lambda: MongoStore(server.uri, "events"), wanted))


if __name__ == "__main__":
    main()
