"""Mirror a store while two processes write to it, and compare the two.

    python -m tests.faults.mirror_changes sqlite
    python -m tests.faults.mirror_changes mongodb --kill-primary --pause-primary

Each process has eight writers, whose clocks differ by up to half a minute. The reader asks for the changes since its
cursor at random times, from a page of one row to a page of a hundred. It fails if it gets a change twice, and at the
end it must be equal to the store. With `--kill-primary`, the primary of a replica set of three members is killed every
five seconds. With `--pause-primary`, it is stopped for seven seconds instead, every second time. With `--slow-writes`,
other clients hold recordings in transactions for up to four seconds, so that writes begin early and commit late.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from recordings.ports.recording_store import MetadataStore
from tests.servers.replica_set import ReplicaSet
from tests.support.mirror import Mirror, change, follow, skewed

WRITERS = 8
PROCESSES = 2
KILL_EVERY = 5.0
HOLDERS = 4
PAUSE = 7.0


def open_store(place: str) -> MetadataStore:
    """Return the store at a MongoDB URI, or in a folder."""
    return MongoStore(place, "mirrored") if place.startswith("mongodb:") else SqliteStore(Path(place))


async def opened(place: str) -> MetadataStore:
    """Return an open store. The primary may be killed meanwhile."""
    for _ in range(10):
        store = open_store(place)
        try:
            await store.open()
        except PyMongoError:
            await store.close()
            await asyncio.sleep(1)
        else:
            return store
    raise TimeoutError("the store could not be opened")


async def write(place: str, process: int, changes: int) -> None:
    """Run the writers of one process."""
    store = await opened(place)
    try:
        names = (process * WRITERS + number for number in range(WRITERS))
        await asyncio.gather(*(change(store, f"writer-{name}", changes, skewed(name)) for name in names))
    finally:
        await store.close()


async def start_writers(place: str, changes: int) -> list[asyncio.subprocess.Process]:
    """Start the processes that write. `changes` is the number of changes of each writer."""
    return [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.mirror_changes", "write", place,
            "--process", str(process), "--changes", str(changes),
            env=os.environ,
        )
        for process in range(PROCESSES)
    ]  # fmt: skip


async def until_written(
    writers: Sequence[asyncio.subprocess.Process], disturbing: Sequence[asyncio.Task[None]]
) -> None:
    """Wait for the writers, and end the disturbances then."""
    codes = [await each.wait() for each in writers]
    for each in disturbing:
        each.cancel()
    if any(codes):
        raise subprocess.CalledProcessError(max(codes, key=abs), "writers")


def uri_of(members: ReplicaSet) -> str:
    """Return the URI of a replica set. A client waits for an election."""
    hosts = ",".join(f"127.0.0.1:{member.port}" for member in members.members)
    return f"mongodb://{hosts}/?replicaSet=rs0&serverSelectionTimeoutMS=5000&socketTimeoutMS=8000"


async def disturb(members: ReplicaSet, *, kill: bool, pause: bool) -> None:
    """Kill or stop the primary every five seconds."""
    for number in range(10_000):
        await asyncio.sleep(KILL_EVERY)
        primary = await asyncio.to_thread(members.primary)
        if primary is None or primary.process is None:
            continue
        if pause and (number % 2 or not kill):
            primary.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(PAUSE)
            primary.process.send_signal(signal.SIGCONT)
        elif kill:
            await asyncio.to_thread(primary.kill)
            await asyncio.to_thread(primary.start)


async def hold(place: str, rng: random.Random) -> None:
    """Hold recordings that changed lately, one after the other. A writer that changes one waits."""
    async with AsyncMongoClient[dict[str, Any]](place) as client:
        documents = client["mirrored"]["recordings"]
        while True:
            latest = await documents.find({}, {"_id": 1}).sort("changed", -1).limit(64).to_list()
            with suppress(PyMongoError, IndexError):
                async with client.start_session() as session:
                    await session.start_transaction()
                    chosen = {"_id": rng.choice(latest)["_id"]}
                    await documents.update_one(chosen, {"$set": {"label": "held"}}, session=session)
                    await asyncio.sleep(rng.random() * 4)
                    await session.abort_transaction()
            await asyncio.sleep(0.05)


async def run(place: str, members: ReplicaSet | None, options: argparse.Namespace) -> None:
    """Write in other processes, mirror in this one, and compare."""
    store = open_store(place)
    await store.open()
    mirror = Mirror(store)
    begun = time.monotonic()
    writers = await start_writers(place, options.changes)
    disturbing = []
    if members is not None and (options.kill_primary or options.pause_primary):
        disturbing = [asyncio.create_task(disturb(members, kill=options.kill_primary, pause=options.pause_primary))]
    if options.slow_writes:
        disturbing += [asyncio.create_task(hold(place, random.Random(number))) for number in range(HOLDERS)]

    written = asyncio.create_task(until_written(writers, disturbing))
    await follow(mirror, [written], random.Random(options.seed))
    missing = await mirror.missing()
    seconds = time.monotonic() - begun
    found = f"{mirror.received} changes received of {len(mirror.rows)} recordings, {len(missing)} missing, none twice"
    sys.stdout.write(f"{options.store}: {found}, {seconds:.0f} s\n")
    await store.close()
    if missing:
        sys.exit(f"missing: {missing[:10]}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=["sqlite", "mongodb", "write"])
    parser.add_argument("place", nargs="?")
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--changes", type=int, default=2_000, help="changes of each of the 16 writers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill-primary", action="store_true")
    parser.add_argument("--pause-primary", action="store_true")
    parser.add_argument("--slow-writes", action="store_true")
    options = parser.parse_args()
    if options.store == "write":
        asyncio.run(write(options.place, options.process, options.changes))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.store == "sqlite":
            asyncio.run(run(folder, None, options))
            return
        with ReplicaSet(Path(folder)) as members:
            asyncio.run(run(uri_of(members), members, options))


if __name__ == "__main__":
    main()
