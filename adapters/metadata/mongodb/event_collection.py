"""Events in MongoDB.

One atomic update is the only transaction, so the write of a recording stores the event, too: a recording's document has
its last events (`EMBEDDED`). Before the list is full, the writer copies the older half to the collection `events`, and
only then removes it from the document. So a reader that looks into the documents first, and then into the collection,
finds each event at least once. The collection also has the events of accounts.

The stamp of an event is the `changed` of its write (`change_clock.py`), so the watermark of changes is that of events.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from bson.int64 import Int64
from bson.timestamp import Timestamp
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from adapters.metadata.mongodb.change_clock import CHANGED, ChangeClock
from adapters.metadata.mongodb.driver import Connection, Document
from adapters.metadata.mongodb.event_stream import EventStream
from adapters.metadata.mongodb.indexes import BY_STAMP, EVENTS, RECORDINGS
from adapters.metadata.mongodb.unavailable import in_time, raises_store_unavailable
from recordings.model.feed_event import EventPosition, EventType, FeedEvent
from recordings.model.instants import LATEST, Millis
from recordings.ports.event_store import NewEvents

EMBEDDED: Final = 32
"""How many events a document has at most."""
MOVED: Final = EMBEDDED // 2
SPILLED: Final = {
    "spilled": {
        "$cond": [{"$gte": [{"$size": {"$ifNull": ["$events", []]}}, EMBEDDED]}, {"$slice": ["$events", MOVED]}, None]
    }
}
"""The projection of the events that must be moved before the document gets another one."""
_READ_MS: Final = 8_000
READS_AT_ONCE: Final = 16
"""How many readers of a process read events at the same time. After a restart, all subscribers begin together; other
requests, such as those that check their credentials, must get connections, too."""
_DUPLICATE: Final = 11_000
_PAGE: Final = 100
"""How many documents are read at once, at least."""
_FIELDS: Final = {"account_id": 1, "events": 1}
_VALUES: Final = ("state", "reason", "duration_ms")


def with_event(document: Document, event: FeedEvent | None, moved: int = 0) -> Document:
    """Return the expression of a document with its `changed`, and with its events: the former ones and a new one.

    The oldest `moved` of the former ones are left out.
    """
    if event is None:
        return {"$mergeObjects": [{"$literal": document}, {"changed": CHANGED, "events": "$events"}]}
    former: Any = {"$ifNull": ["$events", []]}
    kept = {"$slice": [former, moved - EMBEDDED]} if moved else former
    added = {"$mergeObjects": [{"$literal": _embedded(event)}, {"stamp": "$$changed"}]}
    stamped = {"changed": "$$changed", "events": {"$concatArrays": [kept, [added]]}}
    return {"$let": {"vars": {"changed": CHANGED}, "in": {"$mergeObjects": [{"$literal": document}, stamped]}}}


def with_first_event(document: Document, event: FeedEvent | None, changed: Millis) -> Document:
    """Return a new document with its `changed` and its event."""
    events = {} if event is None else {"events": [{**_embedded(event), "stamp": changed}]}
    return {**document, "changed": changed, **events}


def _embedded(event: FeedEvent) -> Document:
    values = {name: value for name in _VALUES if (value := getattr(event, name)) is not None}
    return {"revision": event.revision, "type": event.type.value, "time": event.time, **values}


def read_event(account_id: str, subject: str, stored: Mapping[str, Any]) -> FeedEvent:
    """Return the event that a document has."""
    values: dict[str, Any] = {name: int(value) if type(value) is Int64 else value for name, value in stored.items()}
    return FeedEvent(
        account_id=account_id,
        subject=subject,
        revision=values["revision"],
        type=EventType(values["type"]),
        time=values["time"],
        stamp=values["stamp"],
        state=values.get("state"),
        reason=values.get("reason"),
        duration_ms=values.get("duration_ms"),
    )


@raises_store_unavailable
class EventCollection:
    """The events of recordings and of accounts."""

    def __init__(self, connection: Connection, clock: ChangeClock) -> None:
        self._stamps = clock
        self._causal_session = connection.session
        majority = ReadConcern("majority")
        self._watched = connection.database.with_options(read_concern=majority)
        self._with_events = connection.database[RECORDINGS].with_options(read_concern=majority)
        self._stream: EventStream | None = None
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._events = connection.database[EVENTS]
        self._events_final = self._events.with_options(read_concern=majority)

    async def events(
        self, account_ids: Collection[str], after: EventPosition, below: Millis | None, limit: int
    ) -> Sequence[FeedEvent]:
        """Return the first `limit` events of these accounts after a position, or all if there are fewer."""
        async with self._turns, in_time():
            return await self._feed_events(account_ids, after, below, limit)

    async def _feed_events(
        self, account_ids: Collection[str], after: EventPosition, below: Millis | None, limit: int
    ) -> Sequence[FeedEvent]:
        start, end = after.stamp, LATEST if below is None else below
        wanted: dict[tuple[str, int], FeedEvent] = {}
        async with await self._causal_session() as session:
            begun = None if self._stream is None else self._stream.begun
            # The changes before the watermark, and those before the watch, are visible after these entries.
            for entry in (self._stamps.last_entry, begun):
                if entry is not None:
                    session.advance_operation_time(entry)
            while start < end and len(wanted) < limit:
                # The order matters: an event that is moved between the two reads is found in the second place.
                embedded = await self._embedded_events(list(account_ids), start, end, limit, session)
                own = await self._own_events(list(account_ids), start, embedded.end, limit, session)
                found = (event for event in (*embedded.events, *own.events) if event.position > after)
                wanted |= {event.key: event for event in found if event.stamp < own.end}
                # A range with many events was divided.
                start = own.end
        return list(islice(sorted(wanted.values(), key=lambda event: event.position), limit))

    async def _embedded_events(
        self, accounts: list[str], start: Millis, end: Millis, limit: int, session: Any
    ) -> "_Found":
        def read(start: Millis, end: Millis, limit: int) -> Any:
            return self._with_events.find(
                of_accounts(accounts, start, end), _FIELDS, limit=limit, hint=BY_STAMP, max_time_ms=_READ_MS,
                session=session,
            )  # fmt: skip

        def events_of(document: Document) -> list[FeedEvent]:
            return [read_event(document["account_id"], document["_id"], each) for each in document["events"]]

        return await _first(read, events_of, start, end, limit)

    async def _own_events(self, accounts: list[str], start: Millis, end: Millis, limit: int, session: Any) -> "_Found":
        def read(start: Millis, end: Millis, limit: int) -> Any:
            return self._events_final.find(
                {"account_id": {"$in": accounts}, "stamp": {"$gte": start, "$lt": end}}, limit=limit, hint=BY_STAMP,
                max_time_ms=_READ_MS, session=session,
            )  # fmt: skip

        return await _first(read, lambda document: [_own_event(document)], start, end, limit)

    async def add_event(self, event: FeedEvent) -> None:
        """Store an event of an account's settings."""
        new = {"$literal": {"account_id": event.account_id, "subject": event.subject, **_embedded(event)}}
        document = {"$mergeObjects": [new, {"stamp": CHANGED, "of_account": True}, "$$ROOT"]}
        await self._events.update_one(
            {"_id": _id_of(event.subject, event.revision)}, [{"$replaceWith": document}], upsert=True
        )

    async def move_events(self, account_id: str, subject: str, events: Sequence[Document]) -> None:
        """Copy the oldest events of a document to the collection. A repeated copy changes nothing."""
        copies = [
            {"_id": _id_of(subject, each["revision"]), "account_id": account_id, "subject": subject, **each}
            for each in events
        ]
        try:
            await self._events.insert_many(copies, ordered=False)
        except BulkWriteError as error:
            failed = error.details.get("writeErrors", ())
            if error.details.get("writeConcernErrors") or any(each["code"] != _DUPLICATE for each in failed):
                raise

    async def watch_events(self) -> AsyncGenerator[NewEvents]:
        """Yield the new events of all accounts, of all servers."""
        self._stream = EventStream(self._watched, self._stamps, self._events_by_key)
        async for batch in self._stream.batches():
            yield batch

    async def _events_by_key(self, keys: Collection[tuple[str, int]], entry: Timestamp) -> list[FeedEvent]:
        """Return the events with these subjects and revisions, read after an entry of the oplog.

        A revision without an event has none.
        """
        subjects = {subject for subject, _ in keys}
        found: dict[tuple[str, int], FeedEvent] = {}
        async with await self._causal_session() as session:
            # After a failover, the new primary may show these changes later than the stream did.
            session.advance_operation_time(entry)
            options = {"max_time_ms": _READ_MS, "session": session}
            async for document in self._with_events.find({"_id": {"$in": list(subjects)}}, _FIELDS, **options):
                for each in document.get("events", ()):
                    event = read_event(document["account_id"], document["_id"], each)
                    found[event.key] = event
            missing = [_id_of(*key) for key in keys if key not in found]
            if missing:
                async for document in self._events_final.find({"_id": {"$in": missing}}, **options):
                    event = _own_event(document)
                    found[event.key] = event
        return [found[key] for key in keys if key in found]


def of_accounts(accounts: list[str], start: Millis, end: Millis) -> Document:
    """Return the filter for the documents with an event in a range of stamps. It contains that of the index."""
    in_range = {"$elemMatch": {"stamp": {"$gte": start, "$lt": end}}}
    return {"account_id": {"$in": accounts}, "events": {"$exists": True, **in_range}}


def _id_of(subject: str, revision: int) -> str:
    return f"{subject}:{revision}"


def _own_event(document: Document) -> FeedEvent:
    return read_event(document["account_id"], document["subject"], document)


class _Found:
    """Events of a range. They are complete up to `end`, which may be before the end of the range."""

    def __init__(self, events: list[FeedEvent], end: Millis) -> None:
        self.events = events
        self.end = end


async def _first(
    read: Callable[[Millis, Millis, int], Any],
    events_of: Callable[[Document], list[FeedEvent]],
    start: Millis,
    end: Millis,
    limit: int,
) -> _Found:
    """Read the events at the start of a range: all events of a range that ends earlier, if there are many.

    A query has no order, because MongoDB does not sort documents by the matching one of several events. So the range is
    halved until a query finds all its documents.
    """
    most = max(limit, _PAGE)
    while True:
        # Events of one millisecond are not divided. They are few: each is a write of its own.
        is_shortest = end <= start + 1
        documents = await read(start, end, 0 if is_shortest else most + 1).to_list(None)
        events = [event for each in documents for event in events_of(each) if start <= event.stamp < end]
        if is_shortest or len(documents) <= most:
            return _Found(events, end)
        first: dict[str, Millis] = {}
        for event in events:
            first[event.subject] = min(event.stamp, first.get(event.subject, end))
        end = max(sorted(first.values())[len(first) // 2], start + 1)
