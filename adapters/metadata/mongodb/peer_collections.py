"""Servers and their live calls in MongoDB.

Only MongoDB's clock (`$$NOW`) decides which servers are alive, so that servers with different clocks agree. The `lease`
of a server is short. Its document remains for `KEPT` after that. The TTL indexes delete expired documents up to a
minute late. They only keep the collections small.

A live call has one document, with the account and the call's id as its key. So it belongs to one server at a time.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DeleteOne, ReplaceOne, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from adapters.metadata.mongodb.driver import Database, Document, to_cursor
from adapters.metadata.mongodb.indexes import CALLS, PEERS, SWITCHES
from adapters.metadata.mongodb.keyset import bounds, order
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from adapters.metadata.row_fields import decode, encode
from recordings.model.call import Call, Network
from recordings.model.instants import DAY, SECOND, Millis
from recordings.model.query import PageRequest
from recordings.model.recording import Direction
from recordings.ports.peers import Peer, RegisteredServer

MAX_PEERS: Final = 1_000
"""The maximum number of servers in a search for calls."""
KEPT: Final[Millis] = 30 * DAY
"""The time after which a server that did not return is forgotten."""
_DUPLICATE: Final = 11_000
_CLAIM_TRIES: Final = 3
_CHANGED_CALL: Final[list[Document]] = [
    {"$match": {"operationType": {"$in": ["insert", "replace", "update", "delete"]}}},
    {"$project": {"documentKey": 1}},
]
_WATCH_MS: Final = 500
_LEASE: Final[Document] = {"$ifNull": ["$lease", "$until"]}
_ALIVE: Final[Document] = {"$expr": {"$gt": [_LEASE, "$$NOW"]}}
_REACHABLE: Final[Document] = {**_ALIVE, "url": {"$gt": ""}}
_SERVER: Final[Document] = {
    "url": 1,
    "version": 1,
    "clock_difference": 1,
    "keys": 1,
    "remaining": {"$subtract": [_LEASE, "$$NOW"]},
}


@raises_store_unavailable
class PeerCollections:
    """The collections of servers and of live calls."""

    def __init__(self, database: Database) -> None:
        self._peers = database[PEERS]
        self._calls = database[CALLS]
        # Change streams exist with this read concern only.
        self._watched_calls = self._calls.with_options(read_concern=ReadConcern("majority"))
        self._switches = database[SWITCHES]

    async def register(self, peer: Peer, lease: Millis) -> Millis:
        """Register a server, or renew its lease. Return MongoDB's time."""
        change = {
            "url": {"$literal": peer.url},
            "version": {"$literal": peer.version},
            "clock_difference": peer.clock_difference,
            "keys": list(peer.keys),
            "lease": {"$add": ["$$NOW", lease]},
            "until": {"$add": ["$$NOW", KEPT]},
            "seen": "$$NOW",
        }
        found = await self._peers.find_one_and_update(
            {"_id": peer.node}, [{"$set": change}], {"seen": 1}, upsert=True, return_document=ReturnDocument.AFTER
        )
        seen: datetime = found["seen"].replace(tzinfo=UTC)
        return round(seen.timestamp() * SECOND)

    async def end_lease(self, node: str) -> None:
        """End the lease of a server, and remove its calls."""
        await self._peers.update_one({"_id": node}, [{"$set": {"lease": "$$NOW"}}])
        await self._calls.delete_many({"node": node})

    async def forget(self, node: str) -> None:
        """Remove a server and its calls."""
        await self._peers.delete_one({"_id": node})
        await self._calls.delete_many({"node": node})

    async def peer(self, node: str) -> Peer | None:
        """Return the live server with this node name."""
        found = await self._peers.find_one({"_id": node, **_ALIVE})
        return _peer(found) if found else None

    async def servers(self, nodes: Collection[str] | None = None) -> Sequence[RegisteredServer]:
        """Return registered servers, by name."""
        selector = {} if nodes is None else {"_id": {"$in": list(nodes)}}
        found = await self._peers.find(selector, _SERVER, sort=[("_id", ASCENDING)], limit=MAX_PEERS).to_list(None)
        return [RegisteredServer(_peer(document), int(document["remaining"])) for document in found]

    async def hold_switch(self, switch: str, node: str, lease: Millis) -> str:
        """Lease a switch to a server, unless another server has it."""
        is_free = {"$or": [{"$eq": ["$node", node]}, {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}]}
        change = {
            "node": {"$cond": [is_free, node, "$node"]},
            "until": {"$cond": [is_free, {"$add": ["$$NOW", lease]}, "$until"]},
        }
        for _ in range(_CLAIM_TRIES):
            # Two servers may insert the first document of a switch at the same time.
            with suppress(DuplicateKeyError):
                found = await self._switches.find_one_and_update(
                    {"_id": switch}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
                )
                return str(found["node"])
        return ""

    async def release_switches(self, node: str) -> None:
        """End the leases of a server on switches."""
        await self._switches.update_many({"node": node}, [{"$set": {"until": "$$NOW"}}])

    async def call_counts(self) -> Mapping[str, int]:
        """Return the number of live calls of each server."""
        cursor = await to_cursor(self._calls.aggregate([{"$group": {"_id": "$node", "calls": {"$sum": 1}}}]))
        return {document["_id"]: int(document["calls"]) for document in await cursor.to_list(None)}

    async def claim_call(self, node: str, call: Call, keep: Millis, instead_of: str | None = None) -> str | None:
        """Add a live call of a server, unless another server has it."""
        claimed = _replace_call([node] if instead_of is None else [node, instead_of], node, call, _until(keep))
        for _ in range(_CLAIM_TRIES):
            try:
                await self._calls.bulk_write([claimed])
            except BulkWriteError as error:
                if not _is_duplicate(error):
                    raise
                found = await self._calls.find_one({"_id": _identity(call.account_id, call.call_id)}, {"node": 1})
                if found is not None:
                    return str(found["node"])
                # The other server has just removed the call.
            else:
                return None
        return None

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> Collection[tuple[str, str]]:
        """Add live calls of a server. Return those that another server has."""
        added, until = list(calls), _until(keep)
        if not added:
            return []
        try:
            await self._calls.bulk_write([_replace_call([node], node, call, until) for call in added], ordered=False)
        except BulkWriteError as error:
            if not _is_duplicate(error):
                raise
            refused = (added[failed["index"]] for failed in error.details["writeErrors"])
            return [(call.account_id, call.call_id) for call in refused]
        return []

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove calls that ended."""
        if writes := [DeleteOne({"_id": _identity(*names), "node": node}) for names in calls]:
            await self._calls.bulk_write(writes, ordered=False)

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id."""
        selector = {"account_id": account_id, "call_id": call_id, "node": {"$in": await self._reachable()}}
        found = await self._calls.find_one(selector)
        return _call(found) if found else None

    async def held_calls(
        self, account_id: str, request: PageRequest, *, owner_id: str | None = None, other_than: str = ""
    ) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        selector = await self._selector(account_id, owner_id, other_than)
        within = bounds(request, "started", lambda call_id: _identity(account_id, call_id), descending=True)
        found = self._calls.find({**selector, **within}, sort=order(request, "started", descending=True))
        calls = [_call(document) for document in await found.limit(request.limit).to_list(None)]
        return calls[::-1] if request.backward else calls

    async def watch_calls(self) -> AsyncGenerator[Collection[str]]:
        """Yield the ids of accounts whose live calls changed."""
        async with await to_cursor(self._watched_calls.watch(_CHANGED_CALL, max_await_time_ms=_WATCH_MS)) as stream:
            # Motor opens the stream only here.
            change = await stream.try_next()
            yield ()
            while True:
                yield () if change is None else (change["documentKey"]["_id"]["account_id"],)
                change = await stream.try_next()

    async def count_held_calls(self, account_id: str, *, owner_id: str | None = None, other_than: str = "") -> int:
        """Return the number of live calls of an account."""
        return int(await self._calls.count_documents(await self._selector(account_id, owner_id, other_than)))

    async def _selector(self, account_id: str, owner_id: str | None, other_than: str) -> Document:
        nodes = [node for node in await self._reachable() if node != other_than]
        owner = {} if owner_id is None else {"owner_id": owner_id}
        return {"account_id": account_id, "node": {"$in": nodes}, **owner}

    async def _reachable(self) -> list[str]:
        found = await self._peers.find(_REACHABLE, {"_id": 1}, limit=MAX_PEERS).to_list(None)
        return [document["_id"] for document in found]


def _peer(document: Document) -> Peer:
    difference, keys = int(document.get("clock_difference", 0)), tuple(document.get("keys", ()))
    return Peer(document["_id"], document["url"], document.get("version", ""), difference, keys)


def _until(keep: Millis) -> datetime:
    return datetime.now(UTC) + timedelta(milliseconds=keep)


def _is_duplicate(error: BulkWriteError) -> bool:
    """Return true if writes failed only because another server has the calls."""
    failed = error.details.get("writeErrors", [])
    return bool(failed) and all(one["code"] == _DUPLICATE for one in failed)


def _identity(account_id: str, call_id: str) -> Document:
    return {"account_id": account_id, "call_id": call_id}


def _replace_call(owners: Sequence[str], node: str, call: Call, until: datetime) -> "ReplaceOne[Any]":
    """Return a write that fails as a duplicate if the call belongs to none of these servers."""
    identity = _identity(call.account_id, call.call_id)
    # The call itself is JSON text: the client chooses the names of its channel variables.
    document = {
        **identity,
        "node": node,
        "started": call.started,
        "owner_id": call.owner_id,
        "call": encode(asdict(call)),
        "until": until,
    }
    return ReplaceOne({"_id": identity, "node": {"$in": list(owners)}}, document, upsert=True)


def _call(document: Document) -> Call:
    values = decode(document["call"])
    enums = {"direction": Direction, "from_network": Network, "to_network": Network}
    typed = {name: kind(values[name]) for name, kind in enums.items() if values.get(name) is not None}
    call = Call(**values | typed)
    return replace(call, node=str(document["node"]))
