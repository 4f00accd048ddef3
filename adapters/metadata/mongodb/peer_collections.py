"""Servers and their live calls in MongoDB.

Only MongoDB's clock (`$$NOW`) decides which servers are alive, so that servers with different clocks agree. The TTL
indexes delete expired documents up to a minute late. They only keep the collections small.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, DeleteOne, ReplaceOne

from adapters.metadata.mongodb.driver import Database, Document
from adapters.metadata.mongodb.indexes import CALLS, PEERS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from adapters.metadata.row_fields import decode, encode
from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.recording import Direction
from recordings.ports.peers import Peer

MAX_PEERS: Final = 1_000
"""The maximum number of servers in a search for calls."""
_ALIVE: Final[Document] = {"$expr": {"$gt": ["$until", "$$NOW"]}}


@raises_store_unavailable
class PeerCollections:
    """The collections of servers and of live calls."""

    def __init__(self, database: Database) -> None:
        self._peers = database[PEERS]
        self._calls = database[CALLS]

    async def greet(self, peer: Peer, lease: Millis) -> None:
        """Register a server, or renew its lease."""
        change = [{"$set": {"url": {"$literal": peer.url}, "until": {"$add": ["$$NOW", lease]}}}]
        await self._peers.update_one({"_id": peer.node}, change, upsert=True)

    async def leave(self, node: str) -> None:
        """Remove a server and its calls."""
        await self._peers.delete_one({"_id": node})
        await self._calls.delete_many({"node": node})

    async def peer(self, node: str) -> Peer | None:
        """Return the live server with this node name."""
        found = await self._peers.find_one({"_id": node, **_ALIVE})
        return Peer(found["_id"], found["url"]) if found else None

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> None:
        """Add live calls of a server."""
        until = datetime.now(UTC) + timedelta(milliseconds=keep)
        if writes := [_replace_call(node, call, until) for call in calls]:
            await self._calls.bulk_write(writes, ordered=False)

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove calls that ended."""
        if writes := [DeleteOne({"_id": _identity(node, *names)}) for names in calls]:
            await self._calls.bulk_write(writes, ordered=False)

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id. If several servers have it, return the call that started first."""
        found = await self._held({"account_id": account_id, "call_id": call_id}, ASCENDING, 1)
        return next(iter(found), None)

    async def held_calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Return live calls of an account, newest first."""
        return await self._held({"account_id": account_id}, DESCENDING, limit)

    async def _held(self, selector: Document, direction: int, limit: int) -> Sequence[Call]:
        there = await self._peers.find(_ALIVE, {"_id": 1}, limit=MAX_PEERS).to_list(None)
        nodes = [document["_id"] for document in there]
        order = [("started", direction), ("_id", direction)]
        found = self._calls.find({**selector, "node": {"$in": nodes}}, sort=order, limit=limit)
        return [_call(document) for document in await found.to_list(None)]


def _identity(node: str, account_id: str, call_id: str) -> Document:
    return {"node": node, "account_id": account_id, "call_id": call_id}


def _replace_call(node: str, call: Call, until: datetime) -> "ReplaceOne[Any]":
    identity = _identity(node, call.account_id, call.call_id)
    # The call itself is JSON text: the client chooses the names of its channel variables.
    document = {**identity, "started": call.started, "call": encode(asdict(call)), "until": until}
    return ReplaceOne({"_id": identity}, document, upsert=True)


def _call(document: Document) -> Call:
    values = decode(document["call"])
    direction = values["direction"]
    call = Call(**values | {"direction": None if direction is None else Direction(direction)})
    return replace(call, node=str(document["node"]))
