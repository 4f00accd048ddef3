"""The stores that run the contract tests. To test another store, add an entry to `STORES`."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from adapters.media import MediaRouter, open_media_store
from adapters.net import Guard
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address

GetServer = Callable[[str], Any]


@dataclass(frozen=True)
class StoreConfig:
    """The URL of a store and its options."""

    url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


LOOPBACK = Guard(private=["127.0.0.1"])


def s3_config(server: Address) -> StoreConfig:
    """Return a new folder in an existing bucket."""
    options = {"endpoint_url": server["s3"], "key": server["key"], "secret": server["secret"]}
    return StoreConfig(f"s3://{server.get('bucket', BUCKET)}/{uuid.uuid4().hex}", options)


STORES: dict[str, Callable[[Path, GetServer], StoreConfig]] = {
    "local": lambda _folder, _get_server: StoreConfig(),
    "file": lambda folder, _get_server: StoreConfig(f"file://{quote(str(folder))}/of audio"),
    "memory": lambda folder, _get_server: StoreConfig(f"memory://{folder.name}"),
    "s3 on seaweedfs": lambda _folder, get_server: s3_config(get_server("seaweedfs")),
    "s3 on juicefs": lambda _folder, get_server: s3_config(get_server("juicefs")),
    "http by put": lambda _folder, get_server: StoreConfig(
        f"{get_server('seaweedfs')['filer']}/put/{uuid.uuid4().hex}"
    ),
    "http by post": lambda _folder, get_server: StoreConfig(
        f"{get_server('seaweedfs')['filer']}/post/{uuid.uuid4().hex}", {"method": "post"}
    ),
}


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """Replace the folder of the tests by one on a disk: that is where audio is stored."""
    return disk_path


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MediaRouter]:
    config = STORES[request.param](tmp_path / "media of a test", request.getfixturevalue)
    opened = open_media_store(config.url, tmp_path / "data", config.options, guard=LOOPBACK)
    yield opened
    await opened.close()
    # The memory file system is shared by the whole process.
    MemoryFileSystem.store.clear()
