"""The marks of slots whose figures must be counted again.

A recording and its slot are two documents, and no transaction spans them. So a writer marks the slot before it writes
the recording, and figures from before a change are never used:

1. A writer has a *lease* on a slot: a mark that expires `LEASE` after MongoDB's time. A majority has confirmed the mark
   before the writer uses it. The writer starts no write later than `LEASE - MARGIN` after it requested the mark. A
   write ends after at most `ANSWER_SECONDS` (`unavailable.py`), which is less than `MARGIN`. Clocks only measure
   durations here. So all writes are done when the mark expires, also those of a dead writer. A process that was
   suspended and wrote too late marks the slot again after the write.
2. A reader counts the recordings of a marked slot itself. The slot stays marked until it was counted after the lease.
3. `to_count` returns marks without a lease. Then it makes a write of its own that a majority confirms. Every change of
   a recording that its primary did before is thereby confirmed, too. So the counter sees no change that a failover
   undoes, and it misses none.
4. A mark has a version, which each lease increases and which never decreases. The counter stores figures with the
   version that it has read, never over those of a higher version. It removes the mark only if the version is the same.
   So of two counters, the slower one changes nothing.
5. A frozen server could execute an old write when it continues, after the lease. So a counter starts only after
   `STEADY` seconds in which MongoDB answered all its requests without a long delay.

A longer slot is marked without a lease, before the mark of the shorter slot in it is removed. While a mark of a
shorter slot exists, the longer slots are neither used nor counted.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from adapters.metadata.mongodb.driver import Collection as MongoCollection
from adapters.metadata.mongodb.driver import Document, to_cursor
from recordings.model.instants import SECOND, Millis
from recordings.model.rollup import Level, Mark, Slot

MARKS: Final = "stats_marks"
PARTS: Final = "stats_parts"
LEASE: Final[Millis] = 120 * SECOND
MARGIN: Final[Millis] = 60 * SECOND
STEADY: Final = 10.0
LONG_DELAY: Final = 2.0
"""A request that takes longer (seconds) may mean that MongoDB was frozen."""
LONG_PAUSE: Final = 30.0
"""After a longer pause (seconds) between two requests, the counter does not know whether MongoDB was frozen."""
_TRIES: Final = 3
_NO_LEASE: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LEASES: Final = 10_000
_FREE: Final[Document] = {"$expr": {"$lt": ["$until", "$$NOW"]}}


class SlotMarks:
    """Marks slots, and finds the marked ones. `lease`, `margin` and `steady` are shorter in tests."""

    def __init__(self, marks: MongoCollection, meta: MongoCollection) -> None:
        self._marks = marks
        self._meta = meta
        self._leases: dict[Slot, float] = {}
        self._steady_since = self._last = -LONG_PAUSE
        self.lease = LEASE
        self.margin = MARGIN
        self.steady = STEADY

    @asynccontextmanager
    async def writing(self, slots: Iterable[Slot]) -> AsyncIterator[None]:
        """Have a lease on slots during a write to recordings in them."""
        written = set(slots)
        await self._mark(written)
        try:
            yield
        finally:
            # The margin is over: this process was suspended.
            late = time.monotonic() - self.margin / SECOND
            if any(self._leases.get(slot, 0.0) < late for slot in written):
                await self._mark(written)

    async def _mark(self, slots: Iterable[Slot]) -> None:
        now = time.monotonic()
        wanted = [slot for slot in slots if self._leases.get(slot, 0.0) <= now]
        if not wanted:
            return
        until = {"$max": ["$until", {"$add": ["$$NOW", self.lease]}]}
        await self._write([_marking(slot, until) for slot in wanted])
        if len(self._leases) > _MAX_LEASES:
            self._leases = {slot: end for slot, end in self._leases.items() if end > now}
        self._leases.update(dict.fromkeys(wanted, now + (self.lease - self.margin) / SECOND))

    async def _write(self, writes: Sequence[UpdateOne]) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._marks.bulk_write(writes, ordered=False)
            except BulkWriteError:
                # Another writer has just inserted one of the marks.
                if attempt == _TRIES:
                    raise
            else:
                return

    async def mark_without_lease(self, slots: Collection[Slot]) -> None:
        """Mark slots that no write in progress can change."""
        until = {"$ifNull": ["$until", _NO_LEASE]}
        if slots:
            await self._write([_marking(slot, until) for slot in slots])

    async def marked(self, account_ids: Collection[str], first: Millis, end: Millis) -> Sequence[Slot]:
        """Return the marked slots of these accounts in a range of time."""
        selector = {"dirty": True, "account_id": {"$in": list(account_ids)}, "at": {"$gte": first, "$lt": end}}
        found = self._marks.find(selector, {"_id": 1}, hint="of_account")
        return [_slot(document) for document in await found.to_list(None)]

    async def to_count(self, level: Level, before: Millis, limit: int) -> Sequence[Mark]:
        """Return marks of slots that end by an instant and have no lease, latest first."""
        started = time.monotonic()
        if started - self._last > LONG_PAUSE:
            self._steady_since = started
        # Until MongoDB answers. After an error, the pause is long.
        self._last = -LONG_PAUSE
        selector = {"dirty": True, "level": int(level), "at": {"$lte": before - level.length}, **_FREE}
        order = [("at", DESCENDING)]
        found = await self._marks.find(selector, {"version": 1}, sort=order, limit=limit, hint="by_time").to_list(None)
        if found:
            await self._meta.update_one({"_id": "counter"}, {"$inc": {"batches": 1}}, upsert=True)
        self._last = time.monotonic()
        if self._last - started > LONG_DELAY:
            self._steady_since = self._last
        if self._last - self._steady_since < self.steady:
            return []
        return [Mark(_slot(each), int(each["version"])) for each in found]

    async def remove(self, marks: Collection[Mark]) -> None:
        """Remove marks, except those with another version by now."""
        # The document stays: its version must not start again.
        removal = {"$unset": {"dirty": ""}}
        writes = [UpdateOne({"_id": _id(mark.slot), "version": mark.version}, removal) for mark in marks]
        if writes:
            await self._marks.bulk_write(writes, ordered=False)

    async def count(self) -> int:
        """Return the number of marked quarter-hours."""
        selector = {"dirty": True, "level": int(Level.QUARTER)}
        return int(await self._marks.count_documents(selector, hint="by_time"))


def _id(slot: Slot) -> Document:
    return {"account_id": slot.account_id, "level": int(slot.level), "at": slot.at}


def _slot(document: Document) -> Slot:
    identity = document["_id"]
    return Slot(identity["account_id"], Level(identity["level"]), int(identity["at"]))


def _marking(slot: Slot, until: Document) -> UpdateOne:
    change = {
        "dirty": True,
        "version": {"$add": [{"$ifNull": ["$version", 0]}, 1]},
        "until": until,
        "account_id": {"$literal": slot.account_id},
        "level": int(slot.level),
        "at": slot.at,
    }
    return UpdateOne({"_id": _id(slot)}, [{"$set": change}], upsert=True)


async def mark_all(marks: str, *sources: tuple[MongoCollection, Document]) -> None:
    """Mark the slots of all documents of these collections, without a lease. A source has the expression of a slot."""
    set_again = {"$set": {"dirty": True, "version": {"$add": ["$version", 1]}}}
    for collection, slot in sources:
        new = {"account_id": "$_id.account_id", "level": "$_id.level", "at": "$_id.at"}
        pipeline = [
            {"$group": {"_id": slot}},
            {"$set": {**new, "dirty": True, "version": 1, "until": _NO_LEASE}},
            {"$merge": {"into": marks, "whenMatched": [set_again], "whenNotMatched": "insert"}},
        ]
        await (await to_cursor(collection.aggregate(pipeline, allowDiskUse=True))).to_list(None)


def _slot_of(at: str, level: Level) -> Document:
    length = level.length
    # `$mod` rounds towards zero.
    since = {"$mod": [{"$add": [{"$mod": [at, length]}, length]}, length]}
    return {
        "account_id": "$account_id",
        "level": {"$literal": int(level)},
        "at": {"$toLong": {"$subtract": [at, since]}},
    }


SLOT_OF_RECORDING: Final = _slot_of("$start", Level.QUARTER)
SLOT_OF_DAY: Final = _slot_of("$at", Level.DAY)
"""The day that contains the slot of a part."""
SLOT_OF_PART: Final[Document] = {"account_id": "$account_id", "level": "$level", "at": "$at"}
