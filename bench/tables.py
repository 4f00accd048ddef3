"""Large tables of recordings for the benchmarks, and access to them through a store and through its bare driver."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, MongoClient, WriteConcern

from adapters.metadata.access_path import Access
from adapters.metadata.index_ranges import page_ranges, reads_descending
from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb import where as mongo_where
from adapters.metadata.mongodb.bson_document import projection, to_document
from adapters.metadata.row_fields import FREE_FORM, encode
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite import recording_table as sqlite_recordings
from adapters.metadata.sqlite import where as sqlite_where
from adapters.metadata.sqlite.database import connect
from adapters.metadata.sqlite.sqlite_store import FILE
from adapters.metadata.sqlite.terms_schema import ADD_ALL_TERMS
from recordings.model.ids import new_recording_id
from recordings.model.query import PageRequest, Query
from recordings.model.recording import Media, Recording, State
from recordings.ports.recording_store import MetadataStore

NOW = 1_795_336_400_000
OWNERS = 20
BACKLOG = 2_000
"""How many recordings are due, in a table of any size. They are the newest, as in a real installation."""
BATCH = 20_000
"""How many recordings one transaction writes when a table is filled."""
FORMER_FIELDS = ("call_id", "interaction_id")
"""The only fields that had an index before."""
OWNERS_DUE = tuple(f"{number:032x}" for number in range(0, OWNERS, 10))
"""The owners of one recording in ten."""


TEMPLATE = Recording(
    id="",
    account_id="0123456789abcdef0123456789abcdef",
    state=State.STORED,
    start=NOW,
    created=NOW,
    modified=NOW,
    call_id="",
    from_="1001@0123456789ab.sip.invalid",
    to="1002@0123456789ab.sip.invalid",
    origin="inbound from PSTN to owner : callflow",
    name="recording.mp3",
    caller_id_name="Caller",
    callee_id_number="1002",
    ended=NOW,
    media=Media("file:///audio/2026/11/x.mp3", "audio/mpeg", 480_000, 60_000, 8_000, 2, "ab" * 32, NOW),
    user_metadata={"note": "x"},
)


def varied(count: int) -> Iterator[dict[str, Any]]:
    """Yield the varying fields of the recordings of one account. Some have no duration and no caller."""
    chance = random.Random(count)
    for number in range(count):
        at = NOW + number * 1_000 + chance.randrange(5_000)
        yield {
            "id": new_recording_id(at),
            "start": at,
            "created": at - chance.randrange(60_000),
            "ended": at + chance.randrange(600_000),
            "call_id": f"{chance.getrandbits(64):016x}@10.0.0.1",
            "owner_id": f"{number % OWNERS:032x}",
            "interaction_id": f"{number // 2:020d}-{chance.getrandbits(32):08x}",
            "caller_id_number": None if number % 50 == 0 else f"+4930{chance.randrange(20_000):07d}",
            "duration_ms": None if number % 50 == 0 else chance.randrange(600_000),
            "due_at": NOW - chance.randrange(1_000_000) if number >= count - BACKLOG else None,
        }


def at_rest(count: int) -> Iterator[dict[str, Any]]:
    """Yield the varying fields of recordings for which no background work is due."""
    for values in varied(count):
        yield values | {"due_at": None}


def recordings(count: int) -> list[Recording]:
    return [replace(TEMPLATE, **values) for values in varied(count)]


def changed(changes: dict[str, Any]) -> Recording:
    """Return a recording with other values in some fields."""
    return replace(TEMPLATE, **changes)


Varied = Callable[[int], Iterator[dict[str, Any]]]


class StoreBench:
    """One store and its bare driver. `fill` writes the rows in bulk, which is faster than one insert for each."""

    name: str
    store: MetadataStore

    async def fill(self, size: int) -> None:
        raise NotImplementedError

    async def fall_due(self) -> None:
        """Make one recording in ten due, old and new recordings."""
        raise NotImplementedError

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        raise NotImplementedError

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        raise NotImplementedError

    async def bare_insert(self, recording: Recording) -> Any:
        raise NotImplementedError


class Sqlite(StoreBench):
    name = "SQLite"

    def __init__(self, folder: Path, varied: Varied = varied) -> None:
        self.store = SqliteStore(folder)
        self._varied = varied
        self._path = folder / FILE

    async def fill(self, size: int) -> None:
        await asyncio.to_thread(self._fill, size)

    def _fill(self, size: int) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        where = "FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'recordings' AND sql IS NOT NULL"
        indexes = connection.execute(f"SELECT name, sql {where}").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        values = self._values(size)
        while batch := list(islice(values, BATCH)):
            connection.execute("BEGIN")
            connection.executemany(sqlite_recordings.INSERT, batch)
            connection.execute("COMMIT")
        connection.execute(ADD_ALL_TERMS)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def _values(self, size: int) -> Iterator[list[Any]]:
        for changes in self._varied(size):
            yield sqlite_recordings.values_of(changed(changes))

    async def make_former(self) -> None:
        """Give the table the indexes that it had before the indexes of fields, and no triggers."""
        await asyncio.to_thread(self._make_former)

    def _make_former(self) -> None:
        connection = sqlite3.connect(self._path, timeout=60)
        where = "name LIKE 'recordings!_on!_%' ESCAPE '!' OR name LIKE '%!_changed' ESCAPE '!' OR type = 'trigger'"
        for kind, name in connection.execute(f"SELECT type, name FROM sqlite_schema WHERE {where}").fetchall():  # noqa: S608 - constants
            connection.execute(f"DROP {kind} {name}")
        for field in FORMER_FIELDS:
            connection.execute(f"CREATE INDEX recordings_of_{field} ON recordings (account_id, {field})")
        connection.close()

    async def former_insert(self, recording: Recording) -> None:
        """Insert a recording as before the indexes of fields: without terms and marks."""
        store: Any = self.store
        await store._write(lambda each: each.execute(sqlite_recordings.INSERT, sqlite_recordings.values_of(recording)))

    async def fall_due(self) -> None:
        await asyncio.to_thread(self._fall_due)

    def _fall_due(self) -> None:
        connection = sqlite3.connect(self._path)
        with connection:
            marks = ", ".join("?" * len(OWNERS_DUE))
            due = f"UPDATE recordings SET due_at = ? - abs(random() % 1000000) WHERE owner_id IN ({marks})"  # noqa: S608 - only question marks
            connection.execute(due, (NOW, *OWNERS_DUE))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def connect(self) -> None:
        self._bare = connect(self._path, "rw")

    def disconnect(self) -> None:
        self._bare.close()

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        path = Access(page_ranges(query, request), reads_descending(query, request))
        (part,) = path.parts
        statement = sqlite_where.page(query, path, part, names, request.limit + 1)
        return await asyncio.to_thread(lambda: self._bare.execute(*statement).fetchall())

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        columns = ", ".join(f'"{name}"' for name in names)
        statement = f"SELECT {columns} FROM recordings WHERE id = ?"  # noqa: S608 - the names are constants
        return await asyncio.to_thread(lambda: self._bare.execute(statement, (recording_id,)).fetchone())

    async def bare_insert(self, recording: Recording) -> Any:
        # One transaction for each insert: SQLite runs the transactions of a file one after another in any case.
        self._bare.execute(sqlite_recordings.INSERT, sqlite_recordings.values_of(recording))


class Mongo(StoreBench):
    name = "MongoDB"

    def __init__(self, uri: str, database: str, varied: Varied = varied) -> None:
        self.store = MongoStore(uri, database)
        self._varied = varied
        self._uri, self._database = uri, database

    async def fill(self, size: int) -> None:
        await asyncio.to_thread(self._fill, size)
        # Creates the indexes again.
        await self.store.open()

    def _fill(self, size: int) -> None:
        with MongoClient[Any](self._uri) as client:
            collection = client[self._database].get_collection("recordings", write_concern=WriteConcern(1))
            collection.drop_indexes()
            documents = (
                {**to_document(changed(changes)), "changed": NOW + number}
                for number, changes in enumerate(self._varied(size))
            )
            while batch := list(islice(documents, 5_000)):
                collection.insert_many(batch, ordered=False)

    async def make_former(self) -> None:
        """Give the collection the indexes that it had before the indexes of fields."""
        await asyncio.to_thread(self._make_former)
        self.connect()

    def _make_former(self) -> None:
        with MongoClient[Any](self._uri) as client:
            collection = client[self._database]["recordings"]
            for name in collection.index_information():
                if name.startswith("on_") or name.endswith(("_changed", "_stamp")):
                    collection.drop_index(name)
            for field in FORMER_FIELDS:
                collection.create_index([("account_id", 1), (field, 1)], name=f"of_{field}")

    async def former_insert(self, recording: Recording) -> None:
        """Insert a recording as before the indexes of fields: in a request of its own, without marks."""
        row: Any = recording.to_row()
        for name in FREE_FORM:
            row[name] = None if row[name] is None else encode(row[name])
        await self._bare.insert_one({"_id": row.pop("id"), **row})

    async def fall_due(self) -> None:
        await asyncio.to_thread(self._fall_due)

    def _fall_due(self) -> None:
        with MongoClient[Any](self._uri) as client:
            ago = {"$toLong": {"$multiply": [{"$rand": {}}, 1_000_000]}}
            change = [{"$set": {"due_at": {"$subtract": [NOW, ago]}}}]
            client[self._database]["recordings"].update_many({"owner_id": {"$in": list(OWNERS_DUE)}}, change)

    def connect(self) -> None:
        self._client: AsyncMongoClient[Any] = AsyncMongoClient(self._uri)
        database = self._client[self._database]
        self._bare = database.get_collection("recordings", write_concern=WriteConcern("majority", j=True))

    async def disconnect(self) -> None:
        await self._client.close()

    async def bare_page(self, query: Query, request: PageRequest, names: Sequence[str]) -> Any:
        find = mongo_where.find(query, Access(page_ranges(query, request), reads_descending(query, request)))
        limit = request.limit + 1
        return await self._bare.find(
            find.filter, projection(names), sort=find.sort, limit=limit, batch_size=limit + 1,
            hint=find.hint, min=find.low, max=find.high,
        ).to_list()  # fmt: skip

    async def bare_row(self, recording_id: str, names: Sequence[str]) -> Any:
        return await self._bare.find_one({"_id": recording_id}, projection(names))

    async def bare_insert(self, recording: Recording) -> Any:
        return await self._bare.insert_one(to_document(recording))


@asynccontextmanager
async def opened(bench: Any) -> AsyncIterator[Any]:
    await bench.store.open()
    yield bench
    await bench.store.close()


@asynccontextmanager
async def connected(bench: Any) -> AsyncIterator[Any]:
    bench.connect()
    yield bench
    if (closing := bench.disconnect()) is not None:
        await closing
