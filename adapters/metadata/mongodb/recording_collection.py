"""Recordings in MongoDB."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from adapters.metadata.account_turns import take_turns
from adapters.metadata.mongodb.bson_document import projection, readable_recordings, to_document, to_recordings, to_rows
from adapters.metadata.mongodb.change_clock import CHANGED, WRITE_MS, ChangeClock
from adapters.metadata.mongodb.driver import Connection, Document, to_cursor
from adapters.metadata.mongodb.event_collection import SPILLED, EventCollection, with_event
from adapters.metadata.mongodb.grouped_inserts import GroupedInserts
from adapters.metadata.mongodb.grouped_reads import GroupedReads
from adapters.metadata.mongodb.indexes import DUE, HAS_DUE, OVERDUE, RECORDINGS, lookup_index
from adapters.metadata.mongodb.rollup_documents import COUNTED_FIELDS, changed_slots
from adapters.metadata.mongodb.slot_marks import SlotMarks
from adapters.metadata.mongodb.unavailable import in_time, raises_store_unavailable
from adapters.metadata.row_fields import fields_to_read
from recordings.model.feed_event import FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import SECOND, Millis
from recordings.model.query import prefix_end
from recordings.model.recording import IN_PROGRESS, ROW_FIELDS, Recording, State
from recordings.model.work import Work
from recordings.ports.recording_store import Claim, DueState, Taken, Unique

CLAIM_ROUNDS: Final = 8
"""How many times a claimer searches again after others took all recordings that it found."""
_WHOLE: Final = projection(ROW_FIELDS)
_NEWEST_FIRST: Final = [("created", DESCENDING), ("_id", DESCENDING)]


@raises_store_unavailable
class RecordingCollection(EventCollection):
    """The collection of recordings, whose documents have their events."""

    def __init__(self, connection: Connection, clock: ChangeClock, marks: SlotMarks) -> None:
        EventCollection.__init__(self, connection, clock)
        self._connection = connection
        self._clock = clock
        self._collection = connection.database[RECORDINGS]
        self._majority = self._collection.with_options(read_concern=ReadConcern("majority"))
        self._slot_marks = marks
        self._inserts = GroupedInserts(self._collection, clock, marks)
        self._reads = GroupedReads(self._with_ids)
        self._unconfirmed_claim: tuple[list[str], str] | None = None

    async def insert(self, recording: Recording, event: FeedEvent | None = None) -> None:
        """Insert a recording and its event, or raise `Taken`."""
        document = to_document(recording)
        try:
            await self._inserts.insert(document, event, changed_slots(None, document))
        except DuplicateKeyError as error:
            raise _to_taken(error) from error

    async def save(self, recording: Recording, expected: int, event: FeedEvent | None = None) -> bool:
        """Replace a recording, and add its event, if its revision is still the expected one."""
        selector = {"_id": recording.id, "account_id": recording.account_id, "revision": expected}
        before = await self._collection.find_one(selector, COUNTED_FIELDS | SPILLED)
        if before is None:
            return False
        spilled = before["spilled"] if event is not None else None
        if spilled:
            await self.move_events(recording.account_id, recording.id, spilled)
        document = to_document(recording)
        change = {"$replaceWith": with_event(document, event, len(spilled or ()))}
        try:
            async with self._slot_marks.writing(changed_slots(before, document)):
                with pymongo.timeout(WRITE_MS / SECOND):
                    done = await self._collection.update_one(selector, [change], hint="_id_")
        except DuplicateKeyError as error:
            raise _to_taken(error) from error
        return bool(done.matched_count)

    async def watermark(self) -> Millis:
        """Return an instant that no later write can be behind."""
        return await self._clock.watermark()

    async def remove(self, recording_id: str) -> None:
        """Remove a recording."""
        before = await self._collection.find_one({"_id": recording_id}, COUNTED_FIELDS)
        async with self._slot_marks.writing(changed_slots(before, None)):
            await self._collection.delete_one({"_id": recording_id})

    async def load(self, recording_id: str) -> Recording | None:
        """Return a whole recording."""
        row = (await self.rows((recording_id,))).get(recording_id)
        return None if row is None else Recording.from_row(row)

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """Return the rows with these ids, by id."""
        names = fields_to_read(fields)
        if len(ids) == 1:
            (recording_id,) = ids
            document = await self._reads.read(recording_id, names)
            documents = [] if document is None else [document]
        else:
            documents = await self._with_ids(ids, names)
        return {row["id"]: row for row in to_rows(documents, names)}

    async def _with_ids(self, ids: Collection[str], names: tuple[str, ...]) -> list[Document]:
        selector = next(iter(ids)) if len(ids) == 1 else {"$in": list(ids)}
        found = self._collection.find({"_id": selector}, projection(names), batch_size=len(ids) + 1)
        async with in_time():
            documents: list[Document] = await found.to_list(None)
        return documents

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """Return the recording that a `start` with this idempotency key created."""
        return next(iter(await self._find(account_id, "start_key", start_key)), None)

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """Return the recording in progress on this call."""
        return next(iter(await self._find(account_id, "active_call", call_id)), None)

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """Return the recordings made from the source with this key, newest first."""
        return await self._find(account_id, "source_key", source_key, limit)

    async def find_holders(self, account_id: str, source: str) -> Sequence[Recording]:
        """Return the recordings that hold an uploaded file, oldest first."""
        found = self._collection.find(holders(account_id, source), _WHOLE, hint=lookup_index("held_source"))
        recordings = to_recordings(await found.to_list(None), ROW_FIELDS)
        return sorted(recordings, key=lambda found: (found.created, found.id))

    async def _find(self, account_id: str, field: str, value: str, limit: int = 1) -> list[Recording]:
        selector = {"account_id": account_id, field: value}
        found = self._collection.find(selector, _WHOLE, sort=_NEWEST_FIRST, limit=limit, hint=lookup_index(field))
        return to_recordings(await found.to_list(None), ROW_FIELDS)

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Return the recordings in progress on a node, oldest first."""
        selector = {"node": node, "state": {"$in": sorted(IN_PROGRESS)}}
        order = [("created", ASCENDING), ("_id", ASCENDING)]
        found = self._collection.find(selector, _WHOLE, sort=order, limit=limit, hint="held")
        return readable_recordings(await found.to_list(None), ROW_FIELDS)

    async def claim_due(self, claim: Claim) -> Sequence[Recording]:
        """Lease due recordings to the claimer."""
        unconfirmed, self._unconfirmed_claim = self._unconfirmed_claim, None
        if unconfirmed is not None and (claimed := await self._load_claimed(*unconfirmed, due_at={"$gt": claim.now})):
            # The response to the last claim was lost. Without this, its recordings would wait until the lease expires.
            return claimed
        for _ in range(CLAIM_ROUNDS):
            ids = await self._due(claim)
            claimed = await self._claim(ids, claim) if ids else []
            if claimed or not ids:
                return claimed
        return []

    async def _due(self, claim: Claim) -> list[str]:
        if claim.work is not None:
            return take_turns(await self._due_by_account(claim, claim.work), claim.limit)
        # Stranded recordings have waited longest, so they come before other due work.
        found = await self._first_due(overdue(claim), OVERDUE, claim.limit)
        if len(found) < claim.limit and claim.node is not None:
            for work in Work:
                for of_account in await self._due_by_account(claim, work):
                    found += of_account
        return list(dict.fromkeys(found))[: claim.limit]

    async def _due_by_account(self, claim: Claim, work: Work) -> list[list[str]]:
        """Return the oldest due recordings of one account after another, until there are enough."""
        found: list[list[str]] = []
        for after, last in ((claim.after, None), ("", claim.after)) if claim.after else (("", None),):
            account_id: str | None = after
            while len(found) < claim.limit:
                account_id = await self._next_account(claim, work, account_id or "", last)
                if account_id is None:
                    break
                selector = due(claim, work) | {"account_id": account_id}
                found.append(await self._first_due(selector, DUE, claim.room_of(account_id)))
        return found

    async def _next_account(self, claim: Claim, work: Work, after: str, last: str | None) -> str | None:
        """Return the first account after another one that has due work; `None` if there is none up to `last`."""
        wanted: Document = {"$gt": after, "$nin": claim.full_accounts} | ({} if last is None else {"$lte": last})
        selector = due(claim, work) | {"account_id": wanted}
        order = [("account_id", ASCENDING)]
        found = await self._collection.find_one(selector, {"account_id": 1}, sort=order, hint=DUE)
        return None if found is None else str(found["account_id"])

    async def _first_due(self, selector: Document, index: str, limit: int) -> list[str]:
        order = [("due_at", ASCENDING), ("_id", ASCENDING)]
        found = self._collection.find(selector, {"_id": 1}, sort=order, limit=limit, batch_size=limit + 1, hint=index)
        return [document["_id"] for document in await found.to_list(None)]

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make the recordings due that a dead holder had leased. Return their number."""
        change = _next_revision({"lease": None, "due_at": now})
        with pymongo.timeout(WRITE_MS / SECOND):
            return int((await self._collection.update_many({"lease.holder": holder}, change)).modified_count)

    async def due_states(self, node: str, now: Millis, limit: int) -> Sequence[DueState]:
        """Return how many recordings are due, by state."""
        counted = {"_id": "$state", "count": {"$sum": 1}, "first": {"$min": "$due_at"}}
        stages: list[Document] = [{"$match": due_for(node, now)}, {"$limit": limit}, {"$group": counted}]
        found = await to_cursor(self._collection.aggregate(stages, hint=DUE))
        return [DueState(State(each["_id"]), each["count"], each["first"]) for each in await found.to_list(None)]

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[RecordingRow]:
        """Return rows of all accounts with an id above `after`, ordered by id."""
        names = fields_to_read(fields)
        found = self._collection.find(
            {"_id": {"$gt": after}}, projection(names), sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1
        )
        return to_rows(await found.to_list(None), names)

    async def _claim(self, ids: list[str], claim: Claim) -> list[Recording]:
        # One atomic update changes each document and checks `due_at` again, so only one of two claimers gets it.
        # `claim` marks the documents of this claim. The next save replaces the document and so removes the mark.
        claim_id = uuid4().hex
        change = {"lease": {"holder": claim.holder, "until": claim.until}, "due_at": claim.until, "claim": claim_id}
        still_due = {"_id": {"$in": ids}, "due_at": {"$lte": claim.now}}
        try:
            with pymongo.timeout(WRITE_MS / SECOND):
                done = await self._collection.update_many(still_due, _next_revision(change))
        except PyMongoError:
            self._unconfirmed_claim = ids, claim_id
            raise
        return await self._load_claimed(ids, claim_id) if done.modified_count else []

    async def _load_claimed(self, ids: list[str], claim_id: str, **others: Any) -> list[Recording]:
        selector = {"_id": {"$in": ids}, "claim": claim_id, **others}
        found = self._collection.find(selector, _WHOLE, batch_size=len(ids) + 1)
        try:
            claimed = {item.id: item for item in readable_recordings(await found.to_list(None), ROW_FIELDS)}
        except PyMongoError:
            self._unconfirmed_claim = ids, claim_id
            raise
        return [claimed[recording_id] for recording_id in ids if recording_id in claimed]


def _next_revision(values: Document) -> list[Document]:
    """Return the update that sets these values, the next revision and `changed`."""
    computed = {"revision": {"$add": ["$revision", 1]}, "changed": CHANGED}
    return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"$literal": values}, computed]}}]


def due(claim: Claim, work: Work) -> Document:
    """Return the filter for the recordings that are due for a claimer and need this kind of work."""
    # A server of an earlier release does not write the kind of work.
    kinds: Any = {"$in": [work.value, None]} if work is Work.FINALIZE else work.value
    return {"work": kinds, **due_for(claim.node, claim.now)}


def due_for(node: str | None, now: Millis) -> Document:
    """Return the filter for recordings due for any node or for this one. It contains the filter of the due index."""
    return {"node": {"$in": [None, node]}, "due_at": {**HAS_DUE["due_at"], "$lte": now}}


def overdue(claim: Claim) -> Document:
    """Return the filter for recordings that their own node has not worked on in time."""
    return {"node": {"$gte": ""}, "due_at": {**HAS_DUE["due_at"], "$lte": claim.overdue_before}}


def holders(account_id: str, source: str) -> Document:
    """Return the filter for the recordings that hold an uploaded file."""
    return {"account_id": account_id, "held_source": {"$gte": source, "$lt": prefix_end(source)}}


def _to_taken(error: DuplicateKeyError) -> Exception:
    keys = (error.details or {}).get("keyPattern", {})
    names = ("_id", "active_call", "start_key", "held_source")
    violated = (unique for unique, key in zip(Unique, names, strict=True) if key in keys)
    return next((Taken(unique) for unique in violated), error)
