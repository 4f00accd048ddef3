"""The stores under test. Each starts empty and opens in the test's event loop."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from recordings.ports.recording_store import MetadataStore

STORES = ("sqlite", "pymongo", "motor")


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
