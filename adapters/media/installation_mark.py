"""The mark in a media store: a small object that names the installation to which the store belongs."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Final

from adapters.media.folder_store import FolderMedia
from adapters.media.open_store import LOCAL, Store
from recordings.ports.audio import MediaMissing
from recordings.rules.media_keys import MARK

_MAX_BYTES: Final = 1_000
_BESIDE: Final = "media.installation"
"""The mark of the data folder's own media store is beside that store, not in it."""


async def read_mark(store: Store, prefix: str) -> str | None:
    """Return the id of the installation that marked a store; `None` if there is no mark.

    Raises:
        MediaStoreUnavailableError: the store cannot be read.
    """
    if isinstance(store, FolderMedia):
        text = await asyncio.to_thread(_read_file, _mark_file(store))
    else:
        text = await _read_object(store, f"{prefix}{MARK}")
    try:
        return None if text is None else str(json.loads(text)["installation"])
    except (ValueError, KeyError, TypeError):
        # A mark that cannot be read is not the mark of this installation.
        return "unknown"


async def write_mark(store: Store, installation_id: str) -> None:
    """Write the mark of an installation into a store. A folder that does not exist gets no mark.

    Its disk may not be mounted. A new folder would then look like a store that lost all its audio.
    """
    if isinstance(store, FolderMedia) and not await asyncio.to_thread(store.root.is_dir):
        return
    text = json.dumps({"installation": installation_id})
    if isinstance(store, FolderMedia) and store.prefix == LOCAL:
        await asyncio.to_thread(_write_file, _mark_file(store), text)
        return
    with tempfile.NamedTemporaryFile() as file:
        await asyncio.to_thread(Path(file.name).write_text, text)
        await store.put(MARK, file.name, "application/json")


def _mark_file(store: FolderMedia) -> Path:
    return store.root.with_name(_BESIDE) if store.prefix == LOCAL else store.root / MARK


def _read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()[:_MAX_BYTES]
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write_file(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


async def _read_object(store: Store, url: str) -> bytes | None:
    text = b""
    try:
        async for chunk in store.read(url, 0, _MAX_BYTES):
            text += chunk
    except MediaMissing:
        return None
    return text
