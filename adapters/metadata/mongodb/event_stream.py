"""The watch for new events: one change stream, whatever the number of readers.

The stream only names the documents that changed, with the revision of each change. The events are read from the
documents, so an event is never derived from a later revision. The stream has the order of the oplog, so the revisions
of one recording come in order, each of them once.

The stream also shows the writes of the change clock. They tell how far it is: if the stream has passed the oplog entry
that belongs to a watermark, it has shown all changes before that watermark.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final

from bson.timestamp import Timestamp
from pymongo import ReadPreference
from pymongo.errors import OperationFailure, PyMongoError

from adapters.cancellation import cancel_and_wait
from adapters.metadata.mongodb.change_clock import ChangeClock, times_of
from adapters.metadata.mongodb.driver import Database, Document, to_cursor
from adapters.metadata.mongodb.indexes import EVENTS, META, RECORDINGS
from adapters.metadata.mongodb.unavailable import is_unavailable
from recordings.model.feed_event import FeedEvent
from recordings.model.instants import EARLIEST, Millis
from recordings.ports.event_store import NewEvents
from recordings.ports.recording_store import StoreUnavailableError

log: Final = logging.getLogger(__name__)
Key = tuple[str, int]
ReadEvents = Callable[[Collection[Key], Timestamp], Awaitable[list[FeedEvent]]]
MAX_BATCH: Final = 512
"""How many changes are read together."""
TICK_SECONDS: Final = 0.5
"""How often an empty batch tells the readers that the watch works."""
RETRY_SECONDS: Final = 0.2
_HISTORY_LOST: Final = frozenset({280, 286})
"""Errors of a stream whose next entry is no longer in the oplog."""
_PIPELINE: Final = [
    {
        "$match": {
            "operationType": {"$in": ["insert", "replace", "update"]},
            "$or": [
                {"ns.coll": RECORDINGS},
                {"ns.coll": EVENTS, "fullDocument.of_account": True},
                {"ns.coll": META, "documentKey._id": "clock"},
            ],
        }
    },
    {
        "$project": {
            "ns": 1,
            "documentKey": 1,
            "clusterTime": 1,
            "fullDocument.revision": 1,
            "fullDocument.subject": 1,
            "updateDescription.updatedFields.revision": 1,
        }
    },
]


class EventStream:
    """One watch. `read` returns the events of subjects and revisions, as they are after an entry of the oplog."""

    def __init__(self, database: Database, clock: ChangeClock, read: ReadEvents) -> None:
        self._database = database
        self._clock = clock
        self._read = read
        self.begun: Timestamp | None = None
        """The entry of the oplog behind which the stream shows all changes. Reads of earlier ones must include it."""
        self._token: Document | None = None
        self._changes: asyncio.Queue[Document] = asyncio.Queue(MAX_BATCH)
        self._awaited: tuple[Timestamp, Millis] | None = None
        self._complete_to: Millis = EARLIEST
        self._has_gap = False

    async def batches(self) -> AsyncGenerator[NewEvents]:
        """Yield the batches of `EventStore.watch_events`."""
        opened = asyncio.Event()
        receiving = asyncio.create_task(self._receive(opened), name="change stream")
        opening = asyncio.create_task(opened.wait())
        tasks = (receiving, opening, asyncio.create_task(self._follow_watermark(), name="watermark"))
        try:
            await asyncio.wait((opening, receiving), return_when=asyncio.FIRST_COMPLETED)
            yield NewEvents((), EARLIEST)
            while not receiving.done():
                yield await self._next_batch()
            receiving.result()
        finally:
            await cancel_and_wait(*tasks)

    async def _receive(self, opened: asyncio.Event) -> None:
        """Receive the changes, and open the stream again after an error."""
        while True:
            try:
                async with await to_cursor(self._database.watch(_PIPELINE, **await self._start())) as stream:
                    opened.set()
                    async for change in stream:
                        # The stream begins with that entry itself.
                        if self.begun is None or change["clusterTime"] > self.begun:
                            await self._changes.put(change)
                        self._token = change["_id"]
            except PyMongoError as error:
                if isinstance(error, OperationFailure) and error.code in _HISTORY_LOST:
                    log.warning("the change stream has lost its place in the oplog: readers catch up")
                    self._token, self.begun, self._has_gap = None, None, True
                elif not is_unavailable(error):
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    async def _start(self) -> dict[str, Any]:
        """Return where the stream starts: behind the last change, or now."""
        if self._token is not None:
            return {"start_after": self._token}
        if self.begun is None:
            # The primary's last entry, which a majority may not have yet. By itself, a stream would start there, too,
            # but it would not tell. A read that follows must wait for that entry.
            hello = await self._database.command("hello", read_preference=ReadPreference.PRIMARY)
            _, self.begun = times_of(hello)
        return {"start_at_operation_time": self.begun}

    async def _next_batch(self) -> NewEvents:
        changes: list[Document] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                changes.append(await self._changes.get())
        while len(changes) < MAX_BATCH and not self._changes.empty():
            changes.append(self._changes.get_nowait())
        has_gap, self._has_gap = self._has_gap, False
        keys = dict.fromkeys(key for change in changes if (key := _key_of(change)) is not None)
        events = await self._events(list(keys), changes[-1]["clusterTime"]) if keys else []
        if changes:
            self._note_seen(changes[-1]["clusterTime"])
        return NewEvents(sorted(events, key=lambda event: event.position), self._complete_to, has_gap)

    async def _events(self, keys: list[Key], entry: Timestamp) -> list[FeedEvent]:
        while True:
            try:
                return await self._read(keys, entry)
            except PyMongoError as error:
                if not is_unavailable(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    def _note_seen(self, entry: Timestamp) -> None:
        """Note that the stream has shown all changes up to an entry of the oplog."""
        if self._awaited is not None and self._awaited[0] <= entry:
            self._complete_to = max(self._complete_to, self._awaited[1])
            self._awaited = None

    async def _follow_watermark(self) -> None:
        """Ask for the watermark periodically. This also makes the change clock write: the stream shows it."""
        while True:
            with suppress(StoreUnavailableError):
                watermark = await self._clock.watermark()
                if self._awaited is None and watermark > self._complete_to and self._clock.last_entry is not None:
                    self._awaited = self._clock.last_entry, watermark
            await asyncio.sleep(TICK_SECONDS)


def _key_of(change: Document) -> Key | None:
    """Return the subject and the revision of a change, `None` for a write of the change clock."""
    if change["ns"]["coll"] == META:
        return None
    document = change.get("fullDocument") or change.get("updateDescription", {}).get("updatedFields", {})
    subject: Any = document.get("subject") or change["documentKey"]["_id"]
    return (subject, int(document["revision"])) if "revision" in document else None
