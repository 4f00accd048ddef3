"""The audit trail in MongoDB: a document for each entry, and one for each seal."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import BulkWriteError

from adapters.metadata.audit_columns import COLUMNS, ENTRIES, HIDDEN, PRUNED, SEALS, TrailRange, to_values, trail_range
from adapters.metadata.mongodb.driver import Database, Document, to_cursor
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.audit_entry import AuditFilter, ChainName, Link, Seal, StoredEntry
from recordings.model.query import Position
from recordings.ports.audit_store import MAX_EXAMINED_ENTRIES, ChainMoved, TrailPage

_DUPLICATE: Final = 11_000
_CHAIN: Final = "by_chain"
_NEWEST_FIRST: Final = [("at", DESCENDING), ("_id", DESCENDING)]


def _index(name: str, *keys: str, **options: Any) -> IndexModel:
    return IndexModel([(key, ASCENDING) for key in keys], name=name, **options)


INDEXES: Final = (
    _index(_CHAIN, "account_id", "writer", "seq", unique=True),
    _index("by_time", "account_id", "at", "_id"),
    _index("by_who", "account_id", "who", "at", "_id"),
    # An empty text is less than every id, and null is not a text.
    _index("by_object", "account_id", "object_id", "at", "_id", partialFilterExpression={"object_id": {"$gte": ""}}),
)


@raises_store_unavailable
class AuditCollections:
    """The collections of audit entries and of seals."""

    def __init__(self, database: Database) -> None:
        self._entries = database[ENTRIES]
        self._seals = database[SEALS]

    async def append_entries(self, entries: Sequence[StoredEntry]) -> None:
        """Add entries at the ends of their chains. The first ones may be stored when it fails."""
        try:
            await self._entries.insert_many([_document(entry) for entry in entries])
        except BulkWriteError as error:
            if any(each.get("code") == _DUPLICATE for each in error.details.get("writeErrors", ())):
                raise ChainMoved from error
            raise

    async def chain_end(self, chain: ChainName) -> Link:
        """Return the last link of a chain."""
        found = await self._entries.find_one(_of(chain), {"seq": 1, "hash": 1}, sort=[("seq", DESCENDING)], hint=_CHAIN)
        return Link(int(found["seq"]), found["hash"]) if found else Link()

    async def entries_by_id(self, ids: Collection[str]) -> Sequence[StoredEntry]:
        """Return the entries that exist of these ids."""
        found = self._entries.find({"_id": {"$in": list(ids)}})
        return [_entry(document) for document in await found.to_list(None)]

    async def trail_page(self, filter: AuditFilter, limit: int, after: Position | None = None) -> TrailPage:
        """Return entries of one account, newest first."""
        wanted = trail_range(filter, after)
        indexed, hint = _indexed(wanted), f"by_{wanted.index}"
        pipeline = [
            {"$match": indexed},
            {"$sort": dict(_NEWEST_FIRST)},
            {"$limit": MAX_EXAMINED_ENTRIES},
            {"$match": _rest(wanted)},
            {"$limit": limit + 1},
        ]
        cursor = await to_cursor(self._entries.aggregate(pipeline, hint=hint))
        found = [_entry(document) for document in await cursor.to_list(None)]
        if len(found) > limit:
            return TrailPage(found[:limit], Position(found[limit - 1].at, found[limit - 1].id))
        last = self._entries.find(
            indexed, {"at": 1}, sort=_NEWEST_FIRST, skip=MAX_EXAMINED_ENTRIES - 1, limit=1, hint=hint
        )
        positions = [Position(int(each["at"]), each["_id"]) for each in await last.to_list(None)]
        return TrailPage(found, positions[0] if positions else None)

    async def chains(self, after: ChainName | None = None, limit: int = 1_000) -> Sequence[ChainName]:
        """Return the chains after this one, sorted."""
        found: list[ChainName] = []
        last = after or ChainName("", "")
        order = [("account_id", ASCENDING), ("writer", ASCENDING), ("seq", ASCENDING)]
        while len(found) < limit:
            # One short request for each chain. `$group` would read the index of all entries.
            following = {
                "account_id": {"$gte": last.account_id},
                "$or": [{"account_id": {"$gt": last.account_id}}, {"writer": {"$gt": last.writer}}],
            }
            document = await self._entries.find_one(
                following, {"account_id": 1, "writer": 1, "_id": 0}, sort=order, hint=_CHAIN
            )
            if document is None:
                break
            last = ChainName(document["account_id"], document["writer"])
            found.append(last)
        return found

    async def chain_entries(self, chain: ChainName, after: int, limit: int = 1_000) -> Sequence[StoredEntry]:
        """Return the entries of a chain with a greater number, in order."""
        found = self._entries.find({**_of(chain), "seq": {"$gt": after}}, sort=[("seq", ASCENDING)], limit=limit)
        return [_entry(document) for document in await found.to_list(None)]

    async def prune_chain(self, root: StoredEntry) -> None:
        """Delete the entries before the root, and the content of the root."""
        await self._entries.delete_many({**_of(root.chain), "seq": {"$lt": root.seq}})
        await self._entries.update_one({**_of(root.chain), "seq": root.seq}, {"$set": PRUNED})

    async def add_seal(self, seal: Seal) -> None:
        """Add a seal."""
        values = {"writer": seal.writer, "at": seal.at, "text": seal.text}
        await self._seals.update_one({"_id": seal.id}, {"$setOnInsert": values}, upsert=True)

    async def seals(self, after: str = "", limit: int = 1_000) -> Sequence[Seal]:
        """Return the seals whose id is greater, sorted by id."""
        found = self._seals.find({"_id": {"$gt": after}}, sort=[("_id", ASCENDING)], limit=limit)
        return [
            Seal(id=each["_id"], writer=each["writer"], at=int(each["at"]), text=each["text"])
            for each in await found.to_list(None)
        ]

    async def delete_seals(self, ids: Collection[str]) -> None:
        """Delete seals."""
        await self._seals.delete_many({"_id": {"$in": list(ids)}})


def _of(chain: ChainName) -> Document:
    return {"account_id": chain.account_id, "writer": chain.writer}


def _indexed(wanted: TrailRange) -> Document:
    at = {name: value for name, value in (("$gte", wanted.since), ("$lt", wanted.before)) if value is not None}
    conditions: list[Document] = [{name: value} for name, value in wanted.equal.items()]
    if at:
        conditions.append({"at": at})
    if wanted.below is not None:
        key, identity = wanted.below.key, wanted.below.id
        # The first condition bounds the index.
        conditions += [{"at": {"$lte": key}}, {"$or": [{"at": {"$lt": key}}, {"_id": {"$lt": identity}}]}]
    return {"$and": conditions}


def _rest(wanted: TrailRange) -> Document:
    rest: Document = {"body": {"$ne": ""}}
    for name, value in wanted.rest.items():
        rest[name] = {"$in": list(value)} if isinstance(value, tuple) else value
    if wanted.hides_ends:
        rest["action"] = {"$nin": list(HIDDEN)}
    return rest


def _document(entry: StoredEntry) -> Document:
    values = dict(zip(COLUMNS, to_values(entry), strict=True))
    return {"_id": values.pop("id"), **values}


def _entry(document: Mapping[str, Any]) -> StoredEntry:
    values = {name: document[name] for name in COLUMNS if name != "id"}
    numbers = {name: int(values[name]) for name in ("seq", "at")}
    return StoredEntry(**{**values, **numbers, "id": document["_id"]})
