"""The stores that the contract is run on. Another one is one more entry of `STORES`."""

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
from tests.servers.shared import Answer

Ask = Callable[[str], Any]


@dataclass(frozen=True)
class Place:
    """A URL, and the options of its store."""

    url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


LOOPBACK = Guard(private=["127.0.0.1"])


def s3_place(server: Answer) -> Place:
    """A new folder of a bucket that is there."""
    options = {"endpoint_url": server["s3"], "key": server["key"], "secret": server["secret"]}
    return Place(f"s3://{server.get('bucket', BUCKET)}/{uuid.uuid4().hex}", options)


STORES: dict[str, Callable[[Path, Ask], Place]] = {
    "local": lambda _folder, _ask: Place(),
    "file": lambda folder, _ask: Place(f"file://{quote(str(folder))}/of audio"),
    "memory": lambda folder, _ask: Place(f"memory://{folder.name}"),
    "s3 on seaweedfs": lambda _folder, ask: s3_place(ask("seaweedfs")),
    "s3 on juicefs": lambda _folder, ask: s3_place(ask("juicefs")),
    "http by put": lambda _folder, ask: Place(f"{ask('seaweedfs')['filer']}/put/{uuid.uuid4().hex}"),
    "http by post": lambda _folder, ask: Place(
        f"{ask('seaweedfs')['filer']}/post/{uuid.uuid4().hex}", {"method": "post"}
    ),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MediaRouter]:
    place = STORES[request.param](tmp_path / "media of a test", request.getfixturevalue)
    opened = open_media_store(place.url, tmp_path / "data", place.options, guard=LOOPBACK)
    yield opened
    await opened.close()
    # It is one for the whole process.
    MemoryFileSystem.store.clear()
