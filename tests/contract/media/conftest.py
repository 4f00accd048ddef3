"""The stores that the contract is run on. Another one is one more entry of `STORES`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from adapters.media import MediaRouter, open_media_store

STORES: dict[str, Callable[[Path], str | None]] = {
    "local": lambda _folder: None,
    "file": lambda folder: f"file://{quote(str(folder))}/of audio",
    "memory": lambda folder: f"memory://{folder.name}",
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MediaRouter]:
    opened = open_media_store(STORES[request.param](tmp_path / "media of a test"), tmp_path / "data")
    yield opened
    await opened.close()
    # It is one for the whole process.
    MemoryFileSystem.store.clear()
