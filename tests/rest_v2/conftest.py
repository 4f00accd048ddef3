"""The v2 API on SQLite and on MongoDB. All tests share one store of each kind. Each test has its own account."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymongo import MongoClient

from adapters.media import FolderMedia
from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from recordings.ports.recording_store import MetadataStore
from tests.rest_v2.v2_installation import Installation, V2Client, client_of, new_account


@pytest.fixture(scope="session", params=["sqlite", "mongodb"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def database(kind: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str] | None]:
    """A MongoDB database that only these tests use."""
    if kind == "sqlite":
        yield None
        return
    uri: str = request.getfixturevalue("mongodb_uri")
    client: MongoClient[Any] = request.getfixturevalue("mongodb_client")
    name = f"test_{uuid.uuid4().hex}"
    yield uri, name
    client.drop_database(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installation(
    database: tuple[str, str] | None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("rest_v2")
    store: MetadataStore = MongoStore(*database) if database else SqliteStore(folder)
    await store.open()
    (folder / "audio").mkdir()
    installation = Installation(store, FolderMedia(folder / "audio", "local:"), folder)
    yield installation
    await installation.close()
    await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def v2(installation: Installation) -> AsyncIterator[V2Client]:
    # Refill all rate limit buckets.
    installation.ticks.now += 1_000
    account = await new_account(installation)
    async with client_of(installation.app()) as client:
        yield V2Client(installation, account, client)
