"""The indexes, the migrations and the version of the schema.

Many processes may run this at once, and repeatedly. Creating an existing index does nothing, and each migration step
must be idempotent, too. The version never decreases.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pymongo
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.errors import DuplicateKeyError, OperationFailure

from adapters.metadata.audit_columns import ENTRIES
from adapters.metadata.metadata_terms import TERMS, terms_of_json
from adapters.metadata.mongodb.audit_collections import INDEXES as AUDIT_INDEXES
from adapters.metadata.mongodb.driver import Database
from adapters.metadata.mongodb.slot_marks import MARKS, PARTS, SLOT_OF_DAY, SLOT_OF_RECORDING, mark_all
from recordings.model.instants import EARLIEST
from recordings.model.query import OrderField
from recordings.model.recording import IN_PROGRESS

RECORDINGS: Final = "recordings"
ACCOUNTS: Final = "accounts"
KEYS: Final = "api_keys"
INGEST: Final = "ingest_addresses"
USERS: Final = "users"
ACCESS_LIMITS: Final = "access_limits"
POLICIES: Final = "policy_documents"
SECRETS: Final = "account_secrets"
RETENTION_RUNS: Final = "retention_runs"
REVOKED_TOKENS: Final = "revoked_tokens"
PLACES: Final = "places"
PEERS: Final = "peers"
CALLS: Final = "live_calls"
SWITCHES: Final = "switches"
EVENTS: Final = "events"
WEBHOOKS: Final = "webhooks"
WEBHOOK_ATTEMPTS: Final = "webhook_attempts"
META: Final = "meta"

DUE: Final = "due_by_account"
OVERDUE: Final = "stranded"
LEASED: Final = "leased"
BY_STAMP: Final = "by_stamp"
MIGRATION_SECONDS: Final = 3_600.0
"""The maximum time (seconds) that one process spends on indexes and migrations in `open`."""
_CONFLICTS: Final = frozenset({85, 86})
"""The codes of MongoDB for an index with the same keys and another name or other options, and for the opposite."""
_BATCH: Final = 1_000
"""How many documents one write of a migration changes."""
_OPTIONS: Final = ("unique", "partialFilterExpression", "expireAfterSeconds")
HAS_DUE: Final = {"due_at": {"$gte": EARLIEST}}
"""The partial filter of the index of due work. A query must contain it to use that index."""


class SchemaTooNewError(RuntimeError):
    """The database was written by a later release, so this release cannot read its documents."""


class IndexConflictError(RuntimeError):
    """An existing index prevents an index of this service. The message says which index to drop."""


def index_of(order: OrderField, *, owner: bool) -> str:
    """Return the name of the index for a sort order: over an account, or over one owner's recordings."""
    return f"by_{'owner_' if owner else ''}{order.value}"


def index_keys(order: OrderField, *, owner: bool) -> tuple[str, ...]:
    """Return the fields of the index for a sort order."""
    shelf = () if order is OrderField.MODIFIED else ("shelf",)
    return ("account_id", *(("owner_id",) if owner else ()), *shelf, order.value, "_id")


def lookup_index(field: str) -> str:
    """Return the name of the index that finds an account's recordings by the value of a field."""
    return f"of_{field}"


def field_index(field: str) -> str:
    """Return the name of the index that has an account's recordings by the value of a field."""
    return f"on_{field}"


def field_keys(field: str) -> tuple[str, ...]:
    """Return the fields of that index: each value has its recordings in START order."""
    return ("account_id", "shelf", field, "start", "_id")


_FIELD_INDEXES: Final = (
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id",
    "interaction_id", "cdr_id", "endpoint_id", "origin", "label", "name", "facets",
)  # fmt: skip
_DROPPED: Final = (lookup_index("call_id"), lookup_index("interaction_id"))
"""Indexes of older releases. The indexes of fields serve their queries, too."""


def _index(name: str, *keys: str, **options: Any) -> IndexModel:
    return IndexModel([(key, ASCENDING) for key in keys], name=name, **options)


def _unique(field: str) -> IndexModel:
    # Every text is greater than or equal to "", and null is not a text: documents without a value are not in the index.
    only = {field: {"$gte": ""}}
    return _index(lookup_index(field), "account_id", field, unique=True, partialFilterExpression=only)


INDEXES: Final[dict[str, Sequence[IndexModel]]] = {
    RECORDINGS: (
        *(
            _index(index_of(order, owner=owner), *index_keys(order, owner=owner))
            for order in OrderField
            for owner in (False, True)
        ),
        *(_index(field_index(field), *field_keys(field)) for field in _FIELD_INDEXES),
        _index(field_index("media_length"), "account_id", "shelf", "media.length", "_id"),
        # Recordings without metadata have no entry.
        _index(field_index(TERMS), *field_keys(TERMS), partialFilterExpression={TERMS: {"$exists": True}}),
        _unique("active_call"),
        _unique("start_key"),
        _unique("held_source"),
        _index(
            lookup_index("source_key"), "account_id", "source_key", "created", "_id",
            partialFilterExpression={"source_key": {"$gte": ""}},
        ),
        _index(DUE, "work", "account_id", "node", "due_at", "_id", partialFilterExpression=HAS_DUE),
        _index(OVERDUE, "due_at", "_id", partialFilterExpression={**HAS_DUE, "node": {"$gte": ""}}),
        _index(LEASED, "lease.holder", partialFilterExpression={"lease.holder": {"$gte": ""}}),
        # One entry for each event of the document.
        _index(
            BY_STAMP, "account_id", "events.stamp", partialFilterExpression={"events": {"$exists": True}},
        ),
        _index("held", "node", "state", "created", "_id", partialFilterExpression={"node": {"$gte": ""}}),
    ),
    EVENTS: (_index(BY_STAMP, "account_id", "stamp"),),
    WEBHOOKS: (
        _index("of_account", "account_id", "created", "_id"),
        _index("due", "due_at", partialFilterExpression={**HAS_DUE, "enabled": True}),
    ),
    WEBHOOK_ATTEMPTS: (_index("of_webhook", "webhook_id", "number"),),
    ACCOUNTS: (
        _index("by_created", "created", "_id"),
        _index("of_tree", "tree", "created", "_id"),
        _index("of_parent", "parent_id", "created", "_id"),
        _index("of_realm", "sip_realm", unique=True, partialFilterExpression={"sip_realm": {"$gte": ""}}),
    ),
    KEYS: (
        _index("of_secret", "secret_sha256", unique=True),
        _index("of_account", "account_id", "created", "_id"),
    ),
    INGEST: (_index("of_account", "account_id", "created", "_id"),),
    USERS: (
        _index("of_id", "account_id", "id", unique=True),
        _index("of_login", "account_id", "login", unique=True),
        _index("of_account", "account_id", "created", "id"),
        *(
            _index(f"of_{digest}", "account_id", f"passwords.{digest}",
                   partialFilterExpression={f"passwords.{digest}": {"$gte": ""}})
            for digest in ("md5", "sha")
        ),
    ),
    ACCESS_LIMITS: (_index("of_account", "account_id"),),
    SECRETS: (_index("of_account", "account_id"),),
    RETENTION_RUNS: (_index("by_start", "finished", "started"),),
    POLICIES: (_index("of_id", "account_id", "kind", "id", unique=True),),
    # The server deletes expired documents.
    REVOKED_TOKENS: (_index("by_until", "until", expireAfterSeconds=0),),
    PEERS: (_index("by_until", "until", expireAfterSeconds=0),),
    CALLS: (
        _index("by_until", "until", expireAfterSeconds=0),
        _index("of_account", "account_id", "started", "_id"),
        _index("of_call", "account_id", "call_id"),
        _index("of_node", "node"),
    ),
    MARKS: (
        _index("of_account", "account_id", "at", partialFilterExpression={"dirty": True}),
        _index("by_time", "level", "at", partialFilterExpression={"dirty": True}),
    ),
    ENTRIES: AUDIT_INDEXES,
    PARTS: (_index("of_slot", "account_id", "cube", "level", "at", unique=True),),
}  # fmt: skip

Migration = Callable[[Database], Awaitable[None]]


async def _set_ended(database: Database) -> None:
    # The best known time for recordings of older releases. Imported recordings have only the time of their creation.
    over = {"ended": {"$exists": False}, "state": {"$nin": sorted(IN_PROGRESS)}}
    stored = {"$ifNull": ["$media.stored_at", "$modified"]}
    ended = {"$cond": [{"$eq": [{"$ifNull": ["$imported", None]}, None]}, stored, "$created"]}
    await database[RECORDINGS].update_many(over, [{"$set": {"ended": ended}}])


async def _set_held_source(database: Database) -> None:
    # Older releases may have stored the same file several times. Only the first of these recordings holds it.
    stored = {
        "held_source": {"$exists": False},
        "source_key": {"$gte": ""},
        "source_sha256": {"$gte": ""},
        "$or": [{"state": "STORED"}, {"state": "TRASHED", "trashed_from": "STORED"}],
    }
    fields = ("account_id", "source_key", "source_sha256")
    order = [(field, ASCENDING) for field in ("account_id", "source_key", "created", "_id")]
    found = database[RECORDINGS].find(stored, dict.fromkeys(fields, 1), sort=order, hint=lookup_index("source_key"))
    async for document in found:
        held = f"{document['source_key']}:{document['source_sha256']}"
        with suppress(DuplicateKeyError):
            await database[RECORDINGS].update_one(
                {"_id": document["_id"], "held_source": {"$exists": False}}, {"$set": {"held_source": held}}
            )


async def _set_changed(database: Database) -> None:
    await database[RECORDINGS].update_many({"changed": {"$exists": False}}, [{"$set": {"changed": "$modified"}}])


async def _mark_slots(database: Database) -> None:
    # The recordings of earlier releases are counted in the background.
    await mark_all(MARKS, (database[RECORDINGS], SLOT_OF_RECORDING))


async def _mark_days(database: Database) -> None:
    # The parts of days have the cells of their hours, too.
    await mark_all(MARKS, (database[PARTS], SLOT_OF_DAY))


async def _set_parent_id(database: Database) -> None:
    has_none = {"parent_id": {"$exists": False}}
    parent = {"$ifNull": [{"$arrayElemAt": ["$tree", -1]}, None]}
    await database[ACCOUNTS].update_many(has_none, [{"$set": {"parent_id": parent}}])


async def _set_facets(database: Database) -> None:
    # See `adapters.metadata.facets`. The server computes them, and a repeated run continues.
    parts: list[Any] = ["$state"]
    parts += [{"$ifNull": [f"${name}", ""]} for name in ("reason", "end_cause", "direction", "delivery.state")]
    has = [{"$ifNull": [f"${name}", None]} for name in ("media", "hold")]
    parts += [{"$cond": [{"$eq": [each, None]}, "0", "1"]} for each in has]
    parts.append("$format")
    joined = [item for part in parts for item in (part, "|")][:-1]
    await database[RECORDINGS].update_many({"facets": {"$exists": False}}, [{"$set": {"facets": {"$concat": joined}}}])
    for name in _DROPPED:
        with suppress(OperationFailure):
            await database[RECORDINGS].drop_index(name)


async def _set_terms(database: Database) -> None:
    collection = database[RECORDINGS]
    has_none = {TERMS: {"$exists": False}, "user_metadata": {"$nin": ["{}", None]}}
    changes: list[UpdateOne] = []
    async for document in collection.find(has_none, {"user_metadata": 1}):
        if (terms := terms_of_json(document["user_metadata"])) is not None:
            # A server of an earlier release may still write. The text is the one that has these terms.
            changes.append(UpdateOne(document, {"$set": {TERMS: terms}}))
        if len(changes) == _BATCH:
            await collection.bulk_write(changes, ordered=False)
            changes.clear()
    if changes:
        await collection.bulk_write(changes, ordered=False)


async def _bare_tombstones(database: Database) -> None:
    # Tombstones of earlier releases have ids of the switch, the name of who deleted them, and a text.
    names = ("interaction_id", "cdr_id", "trashed_by", "trashed_reason", "source_sha256")
    change = {"$set": {"call_id": "", **dict.fromkeys(names)}}
    await database[RECORDINGS].update_many({"state": "PURGED", "call_id": {"$ne": ""}}, change)


async def _set_work(database: Database) -> None:
    # See `recordings.model.work`.
    is_delivery = {"$and": [{"$eq": ["$state", "STORED"]}, {"$eq": ["$delivery.state", "PENDING"]}]}
    branches = [
        {"case": {"$eq": ["$state", "FINALIZING"]}, "then": "FINALIZE"},
        {"case": {"$in": ["$state", sorted(IN_PROGRESS)]}, "then": "CHECK"},
        {"case": {"$eq": ["$state", "TRASHED"]}, "then": "PURGE"},
        {"case": is_delivery, "then": "DELIVER"},
    ]
    work = {"$switch": {"branches": branches, "default": "EXPIRE"}}
    await database[RECORDINGS].update_many({"work": {"$exists": False}, **HAS_DUE}, [{"$set": {"work": work}}])
    with suppress(OperationFailure):
        await database[RECORDINGS].drop_index("due")


MIGRATIONS: Final[tuple[Migration, ...]] = (
    _set_ended,
    _set_held_source,
    _set_changed,
    _mark_slots,
    _set_parent_id,
    _set_facets,
    _set_terms,
    _bare_tombstones,
    _set_work,
    _mark_days,
)
"""The first step migrates version 1 to 2, and so on. A new database needs no step: it starts with the latest form."""


async def _create_indexes(database: Database, name: str, indexes: Sequence[IndexModel]) -> None:
    try:
        await database[name].create_indexes(list(indexes))
    except OperationFailure as error:
        if error.code not in _CONFLICTS:
            raise
        existing = await database[name].index_information()
        conflicts = [text for index in indexes if (text := _conflict(name, index.document, existing))]
        raise IndexConflictError("; ".join(conflicts) or str(error)) from error


def _conflict(name: str, wanted: Mapping[str, Any], existing: Mapping[str, Any]) -> str | None:
    """Return which index to drop, if an index has the keys or the name of a wanted index, but not both."""
    keys = list(wanted["key"].items())
    for each, found in existing.items():
        has_keys, has_name = [tuple(key) for key in found["key"]] == keys, each == wanted["name"]
        has_options = all(found.get(option) == wanted.get(option) for option in _OPTIONS)
        if (has_keys and not has_name) or (has_name and not (has_keys and has_options)):
            command = f'db.getCollection("{name}").dropIndex("{each}")'
            return (
                f"the index {each!r} of the collection {name!r} prevents the index {wanted['name']!r} of this service, "
                f"which has {'the same keys' if has_keys else 'other keys'}: drop it with {command}, and start again"
            )
    return None


async def migrate(database: Database) -> None:
    """Create missing indexes and migrate the documents to the latest schema.

    Raises:
        SchemaTooNewError: the database was written by a later release.
        IndexConflictError: an existing index prevents one of this service.
    """
    latest = len(MIGRATIONS) + 1
    found = await database[META].find_one({"_id": "schema"})
    version = int(found["version"]) if found else 0
    if version > latest:
        raise SchemaTooNewError(
            f"the database has schema {version}, this release supports up to {latest}: install a later release"
        )
    # The server is reachable. The next steps may take as long as a large collection needs, longer than a request may.
    with pymongo.timeout(MIGRATION_SECONDS):
        for name, indexes in INDEXES.items():
            await _create_indexes(database, name, indexes)
        for step in MIGRATIONS[version - 1 :] if version else ():
            await step(database)
    await database[META].update_one({"_id": "schema"}, {"$max": {"version": latest}}, upsert=True)
