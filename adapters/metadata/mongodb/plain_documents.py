"""The documents of all collections as plain values, in the form that both stores share. Migrations read and write them.

`adapters.metadata.sqlite.plain_rows` describes the form. The events of a recording are in its document or in the
collection of events; here all of them are rows of one kind.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from bson import json_util
from bson.int64 import Int64
from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from adapters.metadata.mongodb.bson_document import projection, to_document, to_rows
from adapters.metadata.mongodb.driver import Connection, Document
from adapters.metadata.mongodb.indexes import EVENTS, RECORDINGS
from adapters.metadata.stored_kinds import TABLES
from recordings.model.feed_event import EventType
from recordings.model.instants import SECOND
from recordings.model.query import OrderField
from recordings.model.recording import ROW_FIELDS, Recording
from recordings.ports.copied_store import CopyError, RowPage
from recordings.ports.peers import RegisteredServer

Row = Mapping[str, Any]
_DUPLICATE: Final = 11_000
_FIELDS: Final = (*ROW_FIELDS, OrderField.MODIFIED.value)
_BY_ID: Final = [("_id", ASCENDING)]
_OPTIONAL: Final = ("state", "reason", "duration_ms")
_ABSENT: Final[Mapping[str, Row]] = {
    "accounts": {"media": None, "numbers": [], "sip_realm": None, "quota": {}},
    "api_keys": {"owner_id": None, "revoked": None},
    "ingest_addresses": {"revoked": None, "record_all": False},
    "access_limits": {"disabled": None, "not_before": 0},
    "events": dict.fromkeys(_OPTIONAL),
    "installation": {"key_id": None, "key_since": None},
}
"""The values of fields that a document may lack."""
_INSIDE: Final = "inside"
_BESIDE: Final = "beside"
"""Events are read first inside the documents of recordings, then in their own collection."""


class PlainDocuments:
    """The `MigratedStore` part of the MongoDB store. Its subclass sets `_connection`."""

    _connection: Connection

    async def servers(self) -> Sequence[RegisteredServer]:
        """Return registered servers. The subclass has this method."""
        raise NotImplementedError

    async def mark_all(self) -> int:
        """Mark all slots of the figures. The subclass has this method."""
        raise NotImplementedError

    @asynccontextmanager
    async def without_writes(self) -> AsyncIterator[None]:
        """Check that no server is running. A command that runs now can still write: the comparison finds that."""
        if running := [found.peer.node for found in await self.servers() if found.is_alive]:
            raise CopyError(f"these servers run on the database: {', '.join(running)}. Stop them first")
        yield

    async def plain_rows(self, kind: str, after: str | None, limit: int) -> RowPage:
        """Return the documents of a kind behind a position, in the order of their ids."""
        if kind == EVENTS:
            return await self._read_events(after, limit)
        selector = _from(after)
        if kind == "installation":
            selector = {"_id": kind}
        fields = projection(_FIELDS) if kind == RECORDINGS else None
        found = self._connection.database[TABLES[kind].collection].find(selector, fields, sort=_BY_ID, limit=limit)
        documents: list[Document] = await found.to_list(None)
        following = _position(documents, limit) if kind != "installation" else None
        if kind == RECORDINGS:
            return RowPage(to_rows(documents, _FIELDS), following)
        return RowPage([_to_plain(kind, document) for document in documents], following)

    async def add_plain_rows(self, kind: str, rows: Sequence[Row]) -> None:
        """Insert documents. Existing documents stay as they are."""
        collection = self._connection.database[TABLES[kind].collection]
        try:
            await collection.insert_many([_from_plain(kind, row) for row in rows], ordered=False)
        except BulkWriteError as error:
            failed = error.details.get("writeErrors", ())
            if error.details.get("writeConcernErrors") or any(each["code"] != _DUPLICATE for each in failed):
                raise

    async def finish_plain_rows(self) -> None:
        """Let the servers count the figures."""
        await self.mark_all()

    async def _read_events(self, after: str | None, limit: int) -> RowPage:
        place, position = json.loads(after) if after else (_INSIDE, None)
        database = self._connection.database
        if place == _INSIDE:
            selector = _from(position) | {"events": {"$exists": True}}
            fields = {"account_id": 1, "events": 1}
            documents = await database[RECORDINGS].find(selector, fields, sort=_BY_ID, limit=limit).to_list(None)
            rows = [
                _event(each, document["account_id"], document["_id"])
                for document in documents
                for each in document["events"]
            ]
            following = _position(documents, limit)
            return RowPage(rows, json.dumps((_INSIDE, following) if following else (_BESIDE, None)))
        documents = await database[EVENTS].find(_from(position), sort=_BY_ID, limit=limit).to_list(None)
        inside = await self._inside([document["subject"] for document in documents])
        rows = [
            _event(document, document["account_id"], document["subject"])
            for document in documents
            # A writer that died between two writes has left the event in both places.
            if (document["subject"], document["revision"]) not in inside
        ]
        following = _position(documents, limit)
        return RowPage(rows, json.dumps((_BESIDE, following)) if following else None)

    async def _inside(self, subjects: Sequence[str]) -> set[tuple[str, int]]:
        """Return the events that the documents of these recordings have, by subject and revision."""
        found = self._connection.database[RECORDINGS].find(
            {"_id": {"$in": list(set(subjects))}}, {"events.revision": 1}
        )
        return {
            (document["_id"], each["revision"])
            for document in await found.to_list(None)
            for each in document.get("events", ())
        }


def _from(after: str | None) -> Document:
    return {"_id": {"$gt": json_util.loads(after)}} if after else {}


def _position(documents: Sequence[Document], limit: int) -> str | None:
    # `to_rows` renames the id of a recording in place, so this comes first.
    return json_util.dumps(documents[-1]["_id"]) if len(documents) == limit else None


def _event(stored: Row, account_id: str, subject: str) -> dict[str, Any]:
    names = ("revision", "type", "time", "stamp", *_OPTIONAL)
    row = {"account_id": account_id, "subject": subject, **{name: stored.get(name) for name in names}}
    return {name: _plain(value) for name, value in row.items()}


def _to_plain(kind: str, document: Document) -> dict[str, Any]:
    identity = document.pop("_id")
    row: dict[str, Any] = {**_ABSENT.get(kind, {}), **{name: _plain(value) for name, value in document.items()}}
    match kind:
        case "accounts":
            row.pop("parent_id", None)
            row["quota"] = {name: limit for name, limit in row["quota"].items() if limit is not None}
        case "users":
            row.pop("login")
        case "revoked_tokens":
            row["until"] = round(document["until"].replace(tzinfo=UTC).timestamp() * SECOND)
        case "places":
            row["url"] = identity
        case "webhook_attempts":
            row["slot"] = int(identity.rpartition(":")[2])
    if TABLES[kind].key == ("id",) and kind != "installation":
        row["id"] = identity
    return row


def _from_plain(kind: str, row: Row) -> Document:
    document = dict(row)
    match kind:
        case "recordings":
            return {**to_document(Recording.from_row(row)), "changed": row["changed"]}  # type: ignore[arg-type]
        case "accounts":
            document["parent_id"] = row["tree"][-1] if row["tree"] else None
        case "users":
            document["login"] = row["username"].lower()
        case "revoked_tokens":
            document["until"] = datetime.fromtimestamp(row["until"] / SECOND, UTC)
        case "events":
            document = {name: value for name, value in row.items() if value is not None or name not in _OPTIONAL}
            if EventType(row["type"]).is_of_account:
                document["of_account"] = True
    identity = _identity(kind, document)
    return document if identity is None else {"_id": identity, **document}


def _identity(kind: str, document: Document) -> Any:
    """Return the `_id` of a document; `None` if MongoDB makes it. Remove the fields that are only in it."""
    if kind in {"users", "policy_documents"}:
        return None
    if kind == "webhook_attempts":
        return f"{document['webhook_id']}:{document.pop('slot')}"
    if kind in {"access_limits", "account_secrets", "events"}:
        return ":".join(str(each) for each in TABLES[kind].identify(document))
    if kind == "retention_runs":
        return document["account_id"]
    return kind if kind == "installation" else document.pop(TABLES[kind].key[0])


def _plain(value: Any) -> Any:
    """Return a value without BSON's own classes."""
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
