"""Insert recordings that arrive at the same time in one request.

A request costs the client and MongoDB more than an insert. So while `REQUESTS` requests are in progress, further
inserts wait, and the next request contains all of them. A single insert never waits.

Only an update can compute `changed` (`change_clock.py`), and an upsert costs half as much again as an insert. So a
document has an estimate of MongoDB's time, and a validator of the collection rejects it if it is too early. Then an
upsert follows.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pymongo
from bson.timestamp import Timestamp
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteConcernError, WriteError

from adapters.metadata.mongodb.change_clock import TICKED, WRITE_MS, ChangeClock
from adapters.metadata.mongodb.driver import Collection, Document
from adapters.metadata.mongodb.event_collection import with_event, with_first_event
from adapters.metadata.mongodb.slot_marks import SlotMarks
from recordings.model.feed_event import FeedEvent
from recordings.model.instants import SECOND
from recordings.model.rollup import Slot

REQUESTS: Final = 2
"""How many requests are in progress at most."""
MAX_INSERTS: Final = 64
"""Maximum number of inserts in one request."""
_NO_REVISION: Final = -1
_DUPLICATE: Final = 11_000
_INVALID: Final = 121
_NOW: Final = Timestamp(0, 0)
"""MongoDB replaces it with the cluster time, and advances that."""


@dataclass(frozen=True, slots=True)
class _Insert:
    document: Document
    event: FeedEvent | None
    slots: Iterable[Slot]


class GroupedInserts:
    """Inserts documents into the collection of recordings, and marks their slots."""

    def __init__(self, collection: Collection, clock: ChangeClock, marks: SlotMarks) -> None:
        self._collection = collection
        self._clock = clock
        self._marks = marks
        self._waiting: deque[tuple[_Insert, asyncio.Future[None]]] = deque()
        self._in_progress = 0
        self._groups: set[asyncio.Task[None]] = set()

    async def insert(self, document: Document, event: FeedEvent | None, slots: Iterable[Slot]) -> None:
        """Insert a document and its event. MongoDB sets or checks its `changed`.

        Raises:
            DuplicateKeyError: another document has the value of a unique field.
        """
        insert = _Insert(document, event, slots)
        if self._in_progress >= REQUESTS:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((insert, done))
            await done
            return
        self._in_progress += 1
        try:
            (error,) = await self._insert_together([insert])
        finally:
            self._end_request()
        if error is not None:
            raise error

    def _end_request(self) -> None:
        self._in_progress -= 1
        # The callers of the others wait no longer.
        waiting = [each for each in self._waiting if not each[1].done()]
        self._waiting = deque(waiting[MAX_INSERTS:])
        if waiting:
            self._in_progress += 1
            # A task of its own: the end of one caller does not stop the inserts of the others.
            group = asyncio.create_task(self._insert_group(waiting[:MAX_INSERTS]), name="grouped inserts")
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)

    async def _insert_group(self, group: Sequence[tuple[_Insert, asyncio.Future[None]]]) -> None:
        errors: Sequence[Exception | None]
        try:
            errors = await self._insert_together([insert for insert, _ in group])
        except Exception as error:  # noqa: BLE001 - the callers receive it
            errors = [error] * len(group)
        finally:
            self._end_request()
        for (_, done), found in zip(group, errors, strict=True):
            _finish(done, found)

    async def _insert_together(self, group: Sequence[_Insert]) -> list[Exception | None]:
        """Insert documents in one request. Return the error of each."""
        async with self._marks.writing({slot for each in group for slot in each.slots}):
            with pymongo.timeout(WRITE_MS / SECOND):
                times = [time for _ in group if (time := self._clock.estimate()) is not None]
                if len(times) < len(group):
                    return await self._upsert(group)
                new = [
                    {**with_first_event(each.document, each.event, changed), TICKED: _NOW}
                    for each, changed in zip(group, times, strict=True)
                ]
                inserts = self._collection
                writing = inserts.insert_one(*new) if len(new) == 1 else inserts.insert_many(new, ordered=False)
                errors = await _errors_of(writing, len(new))
                early = [place for place, error in enumerate(errors) if error is not None and _is_early(error)]
                if early:
                    found = await self._upsert([group[place] for place in early])
                    for place, error in zip(early, found, strict=True):
                        errors[place] = error
                return errors

    async def _upsert(self, group: Sequence[_Insert]) -> list[Exception | None]:
        upserts = [_upsert(each) for each in group]
        return await _errors_of(self._collection.bulk_write(upserts, ordered=False), len(upserts))


def _finish(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _upsert(insert: _Insert) -> UpdateOne:
    document = insert.document
    # No document has this revision, so the upsert always inserts.
    selector = {"_id": document["_id"], "account_id": document["account_id"], "revision": _NO_REVISION}
    # The hint spares MongoDB the choice of an index.
    return UpdateOne(selector, [{"$replaceWith": with_event(document, insert.event)}], upsert=True, hint="_id_")


def _is_early(error: Exception) -> bool:
    return isinstance(error, WriteError) and error.code == _INVALID


async def _errors_of(writing: Awaitable[object], count: int) -> list[Exception | None]:
    """Return the error of each write of a request."""
    errors: list[Any] = [None] * count
    try:
        await writing
    except WriteError as error:
        errors = [error]
    except BulkWriteError as error:
        for each in error.details.get("writeConcernErrors") or ():
            errors = [WriteConcernError(each["errmsg"], each.get("code"), each)] * count
        for failed in error.details.get("writeErrors") or ():
            kind = DuplicateKeyError if failed["code"] == _DUPLICATE else WriteError
            errors[failed["index"]] = kind(failed["errmsg"], failed["code"], failed)
    return errors
