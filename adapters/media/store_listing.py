"""List stored objects folder by folder. The memory depends on the largest folder, not on the size of the store."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from adapters.media.store_errors import AccessRefusedError
from recordings.ports.audio import StoredObject

_MAX_NAMED: Final = 5
_TIME_FIELDS: Final = ("mtime", "LastModified", "last_modified", "created")
"""The names that fsspec's stores use for the time of an object."""


async def objects_in_folder(root: Path, prefix: str) -> AsyncIterator[StoredObject]:
    """Return all files under a folder, including partial files. A missing folder has no files.

    Raises:
        AccessRefusedError: some folders cannot be read. It is raised after the files of all other folders.
    """
    waiting = [root]
    unreadable: list[str] = []
    while waiting:
        folder = waiting.pop()
        try:
            folders, found = await asyncio.to_thread(_scan, root, folder, prefix)
        except OSError as error:
            unreadable.append(f"{folder} ({error.strerror})")
            continue
        waiting += folders
        for each in found:
            yield each
    if unreadable:
        named = ", ".join(unreadable[:_MAX_NAMED])
        raise AccessRefusedError(f"{len(unreadable)} folders cannot be read: {named}")


async def objects_of_fsspec(
    ls: Callable[[str], Awaitable[list[dict[str, Any]]]], strip: Callable[[str], str], base: str
) -> AsyncIterator[StoredObject]:
    """Return all objects under a URL, given the store's `ls` call of fsspec."""
    waiting = [root := strip(base)]
    while waiting:
        with suppress(FileNotFoundError):
            for found in await ls(waiting.pop()):
                if found["type"] == "directory":
                    waiting.append(found["name"])
                elif found["name"].startswith(f"{root}/"):
                    url = f"{base}/{found['name'].removeprefix(f'{root}/')}"
                    yield StoredObject(url, int(found["size"] or 0), _modified_ms(found))


def _scan(root: Path, folder: Path, prefix: str) -> tuple[list[Path], list[StoredObject]]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    with entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    folders = [Path(entry) for entry in reversed(listed) if entry.is_dir(follow_symlinks=False)]
    return folders, list(_files(listed, root, prefix))


def _files(listed: list["os.DirEntry[str]"], root: Path, prefix: str) -> Iterator[StoredObject]:
    for entry in listed:
        # A file may be deleted while the folder is being listed.
        with suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                # A file of others may have a name that is not UTF-8.
                url = prefix + quote(os.fsencode(Path(entry).relative_to(root)))
                yield StoredObject(url, found.st_size, found.st_mtime_ns // 1_000_000)


def _modified_ms(found: dict[str, Any]) -> int | None:
    modified = next((found[name] for name in _TIME_FIELDS if found.get(name) is not None), None)
    if isinstance(modified, datetime):
        return round(modified.timestamp() * 1_000)
    return round(modified * 1_000) if isinstance(modified, int | float) else None
