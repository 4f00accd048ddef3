"""Kill the primary of a replica set of three again and again, while writers and counters work, and compare the figures.

    python -m tests.faults.stats_failover              three kills (about two minutes)
    python -m tests.faults.stats_failover --kills 10

Writers insert, change, trash and restore recordings through two stores. Their calls fail when the primary is killed,
and some of them were done nevertheless. Two counters count slots all the time. At the end, and after each election,
the figures must be those of the recordings in the database. The exit status is 1 if they are not.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from pymongo.errors import PyMongoError

from adapters.metadata.mongodb import MongoStore
from recordings.model.account import Account
from recordings.model.fields import RecordingRow
from recordings.model.instants import SECOND
from recordings.model.recording import Recording
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.count_slots import SlotCounter
from recordings.use_cases.recording_stats import RecordingStats
from tests.contract.metadata.test_rollups import CALLER, CHILD, PARENT, History
from tests.servers.mongod import REPLICA_SET, Mongod
from tests.support.memory_audit import MemoryAudit
from tests.support.naive_stats import assert_result

WRITERS: Final = 6
LEASE: Final = 14 * SECOND
MARGIN: Final = 9 * SECOND
"""More than a write may take."""
_AWAY: Final = (StoreUnavailableError, PyMongoError)


def replica_set(folder: Path, stack: ExitStack) -> list[Mongod]:
    """Start three servers and wait for a primary."""
    members = [Mongod(folder / str(number)) for number in range(3)]
    for member in members:
        member.start()
        stack.callback(member.stop)
    config = {
        "_id": REPLICA_SET,
        "members": [{"_id": number, "host": f"127.0.0.1:{member.port}"} for number, member in enumerate(members)],
        "settings": {"electionTimeoutMillis": 2_000},
    }
    with members[0].client() as client:
        client.admin.command("replSetInitiate", config)
    wait_for_primary(members)
    return members


def wait_for_primary(members: list[Mongod]) -> Mongod:
    """Return the primary that a majority elected."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for member in members:
            with suppress(PyMongoError), member.client() as client:
                if member.process is not None and client.admin.command("hello").get("isWritablePrimary"):
                    return member
        time.sleep(0.2)
    raise TimeoutError("no primary was elected within 60 s")


class Load:
    """Writers and counters on one replica set."""

    def __init__(self, stores: list[MongoStore]) -> None:
        self.stores = stores
        self.histories = [History(list(stores), seed) for seed in range(WRITERS)]
        self.failed = self.written = self.counted = 0
        self.stopped = False

    async def write(self, history: History) -> None:
        """Do one step after another. After an error, read what the store has."""
        steps: list[Callable[[], Awaitable[None]]] = [history.insert, history.change, history.trash]
        while not self.stopped:
            try:
                await history.chance.choice(steps)()
                self.written += 1
            except (*_AWAY, AssertionError):
                self.failed += 1
                await self.reload(history)
            await asyncio.sleep(0.02)

    async def reload(self, history: History) -> None:
        while not self.stopped:
            with suppress(*_AWAY):
                found = await self.stores[0].rows(list(history.kept))
                history.kept = {row["id"]: Recording.from_row(row) for row in found.values()}
                return
            await asyncio.sleep(0.2)

    async def count(self, store: MongoStore) -> None:
        counter = SlotCounter(store, self.histories[0].clock)
        while not self.stopped:
            with suppress(*_AWAY):
                self.counted += await counter.count_some(16)
            await asyncio.sleep(0.1)

    async def check(self, questions: int) -> None:
        """Compare figures with the recordings in the database. No writer may run."""
        rows: list[RecordingRow] = []
        after = ""
        while page := list(await self.stores[1].scan(after, 1_000)):
            rows += page
            after = page[-1]["id"]
        recordings = [Recording.from_row(row) for row in rows]
        history = self.histories[0]
        for _ in range(questions):
            query = history.question()
            result = await RecordingStats(history.store, history.clock, MemoryAudit()).figures(CALLER, query)
            assert_result(result, recordings, query, [PARENT, CHILD] if query.descendants else [PARENT])


async def run(kills: int) -> None:
    with tempfile.TemporaryDirectory(prefix="recordings-failover-") as folder, ExitStack() as stack:
        members = await asyncio.to_thread(replica_set, Path(folder), stack)
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
        stores = [MongoStore(f"mongodb://{hosts}/?replicaSet={REPLICA_SET}", "failover") for _ in range(2)]
        for store in stores:
            store.slot_marks.lease, store.slot_marks.margin, store.slot_marks.steady = LEASE, MARGIN, 2.0
            await store.open()
        await stores[0].add_account(Account(PARENT, "parent", 0))
        await stores[0].add_account(Account(CHILD, "child", 1, (PARENT,)))
        load = Load(stores)
        for number in range(kills):
            await work(load, members, random.Random(number))
            await load.check(20)
            sys.stdout.write(
                f"kill {number + 1}: {load.written} writes, {load.failed} failed, {load.counted} slots counted\n"
            )
        await count_the_rest(load)
        await load.check(60)
        sys.stdout.write("the figures are those of the recordings\n")
        for store in stores:
            await store.close()


async def work(load: Load, members: list[Mongod], chance: random.Random) -> None:
    """Let the load run, kill the primary in the middle, and wait until another one is elected."""
    load.stopped = False
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(load.write(history)) for history in load.histories]
    tasks += [asyncio.create_task(load.count(store)) for store in load.stores]
    await asyncio.sleep(chance.uniform(4, 6))
    primary = await asyncio.to_thread(wait_for_primary, members)
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(wait_for_primary, members)
    await asyncio.sleep(chance.uniform(4, 6))
    await asyncio.to_thread(primary.start)
    load.stopped = True
    await asyncio.gather(*tasks)


async def count_the_rest(load: Load) -> None:
    counter = SlotCounter(load.stores[0], load.histories[0].clock)
    deadline = time.monotonic() + 120
    while await load.stores[0].marked_count():
        load.counted += await counter.count_some(64)
        await asyncio.sleep(0.2)
        if time.monotonic() > deadline:
            raise TimeoutError("slots stay marked")
    while await counter.count_some(64):
        pass


def main() -> int:
    """Read the arguments and run. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    asyncio.run(run(parser.parse_args().kills))
    return 0


if __name__ == "__main__":
    sys.exit(main())
