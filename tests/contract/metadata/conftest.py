"""The stores under test. Each starts empty and opens in the test's event loop."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.indexes import INDEXES
from adapters.metadata.sqlite import SqliteStore
from recordings.ports.recording_store import MetadataStore
from tests.servers.fixtures import new_database_name
from tests.servers.mongod import Document

STORES = ("sqlite", "pymongo", "motor")


@pytest.fixture(scope="session")
def emptied_databases(mongodb_client: MongoClient[Document]) -> Iterator[list[str]]:
    """The databases that earlier tests of this worker used. They have no documents."""
    names: list[str] = []
    yield names
    for name in names:
        mongodb_client.drop_database(name)


@pytest.fixture
def mongodb_database(mongodb_client: MongoClient[Document], emptied_databases: list[str]) -> Iterator[str]:
    """Return the name of a database without documents. It may have the collections and indexes of a store.

    Making and dropping a hundred files for them takes the server longer than most of these tests.
    `test_mongodb.py` uses new databases.
    """
    name = emptied_databases.pop() if emptied_databases else new_database_name()
    yield name
    database = mongodb_client[name]
    for collection in database.list_collection_names():
        usual = {"_id_", *(index.document["name"] for index in INDEXES.get(collection, ()))}
        if set(database[collection].index_information()) != usual:
            # A test changed the indexes.
            database.drop_collection(collection)
        else:
            database[collection].delete_many({})
    emptied_databases.append(name)


class Stores:
    """Opens several stores on the same data, as several processes do."""

    def __init__(self, kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self.kind = kind
        self._folder = folder
        self._request = request
        self._made: list[MetadataStore] = []

    async def open(self, **options: Any) -> MetadataStore:
        """Open a store. `options` are further arguments of its class."""
        store = self._make(options)
        self._made.append(store)
        await store.open()
        return store

    def _make(self, options: Any) -> MetadataStore:
        if self.kind == "sqlite":
            return SqliteStore(self._folder, **options)
        uri, name = (self._request.getfixturevalue(each) for each in ("mongodb_uri", "mongodb_database"))
        return MongoStore(uri, name, driver=self.kind, **options)

    async def close(self) -> None:
        for store in self._made:
            await store.close()


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stores(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    if kind != "sqlite":
        # Request the database now, so that it is dropped only after all stores are closed.
        request.getfixturevalue("mongodb_database")
    made = Stores(kind, tmp_path, request)
    yield made
    await made.close()


@pytest.fixture
async def store(stores: Stores) -> MetadataStore:
    return await stores.open()
