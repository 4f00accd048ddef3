"""Follow the feed of events while two processes write, and compare what readers got with the recordings.

    python -m tests.faults.event_feed --store sqlite --events 10000
    python -m tests.faults.event_feed --store mongodb --kill-primary

Each process has eight writers, whose clocks differ by up to half a minute. Each writer makes `--events` changes. One
reader reads stored pages and pauses at random, another one reads live events and reconnects at random. Each revision of
a recording has one event, so the revisions of all recordings tell which events must have come. With `--kill-primary`,
the primary of a replica set of three members is killed every five seconds.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from graph.server.event_hub import EventHub
from tests.faults.mirror_changes import disturb, open_store, start_writers, until_written, uri_of
from tests.servers.replica_set import ReplicaSet
from tests.support.event_followers import follow_live, follow_pages


async def run(place: str, members: ReplicaSet | None, options: argparse.Namespace) -> None:
    """Write in other processes, follow in this one, and compare."""
    store = open_store(place)
    await store.open()
    hub = EventHub(store)
    begun = time.monotonic()
    writers = await start_writers(place, options.events)
    disturbing = []
    if members is not None and options.kill_primary:
        disturbing = [asyncio.create_task(disturb(members, kill=True, pause=False))]
    written = [asyncio.create_task(until_written(writers, disturbing))]
    rng = random.Random(options.seed)
    pages, live = await asyncio.gather(follow_pages(store, hub, written, rng), follow_live(store, hub, written, rng))
    for each in written:
        each.result()
    missing = []
    for name, received in (("pages", pages), ("live", live)):
        missing += await received.missing(store)
        found = f"{received.events} events of {len(received.revisions)} recordings, each in order"
        seconds = time.monotonic() - begun
        sys.stdout.write(f"{options.store}, {name}: {found}, {received.repeated} repeated, {seconds:.0f} s\n")
    sys.stdout.write(f"{len(missing)} missing\n")
    await hub.stop()
    await store.close()
    if missing:
        sys.exit(f"missing: {missing[:10]}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "mongodb"], default="sqlite")
    parser.add_argument("--events", type=int, default=10_000, help="changes of each of the 16 writers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill-primary", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.store == "sqlite":
            asyncio.run(run(folder, None, options))
            return
        with ReplicaSet(Path(folder)) as members:
            asyncio.run(run(uri_of(members), members, options))


if __name__ == "__main__":
    main()
