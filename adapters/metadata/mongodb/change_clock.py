"""The change clock: the `changed` of each write, and the watermark of the readers of changes.

MongoDB has no order in which writes become visible: a slow write may commit after a later one. A reader that continues
after the last `changed` that it has seen would miss the slow one. So readers stay before the *watermark*, an instant
that no later write can be behind. No clock of this service is used, and MongoDB's clocks may step or differ.

1. The server that does a write computes `changed`, in the same atomic update (`CHANGED`). It is the latest of the
   server's clock, the cluster time in whole seconds, and one more than the document's former `changed`. An insert has
   an estimate of the server's clock instead, and `ticked`, which the server sets to the cluster time. A validator of
   the collection rejects a `changed` before `ticked` in whole seconds (`GUARD`). `grouped_inserts.py` repeats it as an
   update.
2. The cluster time never decreases on one server. A new primary has every entry of the oplog that a majority had. So
   after a majority has an entry with the time T, every write that starts later has a `changed` of at least T. The
   exception is a write on a former primary that a majority no longer follows: it is rolled back and never visible.
3. A write takes at most `WRITE_MS` from its start to its commit: the server enforces `maxTimeMS`.
4. `ChangeClock` samples T twice a second. `LONGEST_WRITE` seconds after a sample, by this process's monotonic clock,
   all writes that started before the sample have committed or failed. Their entries are at or before L, the last entry
   of the primary's oplog now. So T is a watermark for each read that includes L.
5. Pages of changes are read with the read concern `majority` after L (a causally consistent session). So they include
   all these writes, and they show nothing that a failover can roll back.

A process that has just started has no sample of that age yet: its first reader waits. Without writes the cluster time
stands still for up to ten seconds. So a reader that waits at the watermark makes the next sample write a document.

On a sharded cluster the routers compute `changed`. A router that has not yet heard of T may be behind it, so the
watermark is `ROUTER_LAG` earlier there.
"""

import asyncio
import logging
import time
from collections import deque
from datetime import UTC
from typing import Final

from bson.timestamp import Timestamp
from pymongo import ReadPreference
from pymongo.errors import OperationFailure, PyMongoError

from adapters.cancellation import cancel_and_wait
from adapters.metadata.mongodb.driver import Database, Document, to_cursor
from adapters.metadata.mongodb.indexes import META, RECORDINGS
from recordings.model.instants import SECOND, Millis, to_millis
from recordings.ports.recording_store import StoreUnavailableError

log: Final = logging.getLogger(__name__)
WRITE_MS: Final = 5_000
"""The maximum time (milliseconds) of a write of recordings, on the server."""
LONGEST_WRITE: Final = 6.5
"""Seconds after which a write has committed or failed. The server checks the time limit several times a second."""
SAMPLE_SECONDS: Final = 0.5
MAX_GAP: Final = 1.0
"""How much (seconds) the samples age between two answers of the server, at most. A write that a suspended server has in
hand does not end while no answer comes."""
ROUTER_LAG: Final = 30 * SECOND
CHANGED: Final = {
    "$max": [
        {"$toLong": "$$NOW"},
        {"$multiply": [{"$tsSecond": "$$CLUSTER_TIME"}, SECOND]},
        {"$add": ["$changed", 1]},
    ]
}
"""The aggregation expression for the `changed` of a document in an update."""
TICKED: Final = "ticked"
GUARD: Final = {
    "$or": [
        {TICKED: {"$exists": False}},
        {"$expr": {"$gte": ["$changed", {"$multiply": [{"$tsSecond": f"${TICKED}"}, SECOND]}]}},
    ]
}
"""The validator of the collection. Only inserts have `ticked`."""
ESTIMATE_SECONDS: Final = 10.0
"""Maximum age of a sample of the server's clock in an estimate."""
MAX_LEAD: Final = 100
"""How much (milliseconds) an estimate may be after the server's clock."""
_UNSUPPORTED: Final = frozenset({13, 59, 115})
"""The codes of MongoDB for a command that the user may not run, or that the service does not have."""


class ChangeClock:
    """Samples the cluster time in the background, between `start` and `stop`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._samples: deque[tuple[float, Millis]] = deque()
        self._age = 0.0
        self._answered = time.monotonic()
        self._watermark: Millis | None = None
        self._last_entry: Timestamp | None = None
        self._found = asyncio.Event()
        self._is_awaited = self._is_guarded = False
        self._estimate = 0
        self._clock_sample: tuple[float, Millis] | None = None
        self._sampling: asyncio.Task[None] | None = None

    @property
    def last_entry(self) -> Timestamp | None:
        """The entry of the oplog that a read up to the watermark must include."""
        return self._last_entry

    async def start(self) -> None:
        """Set the validator, and start to sample. A second call does nothing."""
        self._is_guarded = await _guard(self._database)
        if self._sampling is None:
            await self._sample()
            self._sampling = asyncio.create_task(self._sample_periodically(), name="change clock")

    async def stop(self) -> None:
        """Stop to sample."""
        if self._sampling is not None:
            await cancel_and_wait(self._sampling)

    def estimate(self) -> Millis | None:
        """Return an estimate of the server's clock; `None` without a validator or a recent sample.

        Each estimate is later than the one before. Only if there are many in a short time, some are equal.
        """
        if not self._is_guarded or self._clock_sample is None:
            return None
        sampled, at = self._clock_sample
        age = time.monotonic() - sampled
        if age > ESTIMATE_SECONDS:
            return None
        now = at + int(age * SECOND)
        self._estimate = self._estimate + 1 if now <= self._estimate < now + MAX_LEAD else now
        return self._estimate

    async def watermark(self) -> Millis:
        """Return the watermark. Wait for it if this process has just started.

        Raises:
            StoreUnavailableError: MongoDB does not answer.
        """
        self._is_awaited = True
        if self._watermark is None:
            try:
                async with asyncio.timeout(LONGEST_WRITE + 2 * SAMPLE_SECONDS):
                    await self._found.wait()
            except TimeoutError as error:
                raise StoreUnavailableError("MongoDB did not tell the time of its last write") from error
        assert self._watermark is not None  # noqa: S101 - for the type checker
        return self._watermark

    async def _sample_periodically(self) -> None:
        while True:
            try:
                await self._sample()
            except PyMongoError as error:
                log.debug("sample of the cluster time failed", extra={"error": str(error)})
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            await self._database[META].update_one({"_id": "clock"}, {"$inc": {"ticks": 1}}, upsert=True)
        begun = time.monotonic()
        hello = await self._database.command("hello", read_preference=ReadPreference.PRIMARY)
        self._clock_sample = begun, to_millis(hello["localTime"].replace(tzinfo=UTC))
        committed, last = times_of(hello)
        self._age += min(begun - self._answered, MAX_GAP)
        self._answered = time.monotonic()
        while self._samples and self._age - self._samples[0][0] >= LONGEST_WRITE:
            self._watermark = max(self._samples.popleft()[1], self._watermark or 0)
            self._last_entry = max(last, self._last_entry or last)
            self._found.set()
        self._samples.append((self._age, committed))


async def _guard(database: Database) -> bool:
    """Set the validator of the recordings. Return false if that is not possible, or if they have another one."""
    try:
        (found,) = await (await to_cursor(database.list_collections(filter={"name": RECORDINGS}))).to_list(None)
        validator = found["options"].get("validator")
        if not validator:
            await database.command("collMod", RECORDINGS, validator=GUARD)
    except OperationFailure as error:
        if error.code not in _UNSUPPORTED:
            raise
        return False
    return not validator or validator == GUARD


class NotAReplicaSetError(Exception):
    """MongoDB is a single server. Only a replica set or a sharded cluster has a feed of changes and a majority."""


async def check_replica_set(database: Database) -> None:
    """Raise `NotAReplicaSetError` if MongoDB is neither a replica set nor a sharded cluster."""
    hello = await database.command("hello", read_preference=ReadPreference.PRIMARY)
    if not {"lastWrite", "$clusterTime"} & hello.keys():
        raise NotAReplicaSetError(
            "MongoDB must be a replica set, also with one server: start mongod with --replSet rs0, and run "
            "rs.initiate() in mongosh once"
        )


def times_of(hello: Document) -> tuple[Millis, Timestamp]:
    """Return the time of the last entry that a majority has, and the primary's last entry."""
    if "lastWrite" in hello:
        written = hello["lastWrite"]
        return written["majorityOpTime"]["ts"].time * SECOND, written["opTime"]["ts"]
    # A router knows only the cluster time.
    now: Timestamp = hello["$clusterTime"]["clusterTime"]
    return now.time * SECOND - ROUTER_LAG, now
