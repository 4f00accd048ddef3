"""What is stored, folder by folder, so that a store of any size is listed in the memory that one folder takes."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from recordings.use_cases.doctor import StoredObject

_MOMENTS: Final = ("mtime", "LastModified", "last_modified", "created")
"""What fsspec's stores call the time of an object."""


async def objects_in_folder(root: Path, prefix: str) -> AsyncIterator[StoredObject]:
    """Every file under a folder; files that a broken transfer left as well. A folder that is not there has none."""
    waiting = [root]
    while waiting:
        folders, found = await asyncio.to_thread(_scan, root, waiting.pop(), prefix)
        waiting += folders
        for each in found:
            yield each


async def objects_of_fsspec(
    ls: Callable[[str], Awaitable[list[dict[str, Any]]]], strip: Callable[[str], str], base: str
) -> AsyncIterator[StoredObject]:
    """Every object under a URL of a store that lists as fsspec does."""
    waiting = [root := strip(base)]
    while waiting:
        with suppress(FileNotFoundError):
            for found in await ls(waiting.pop()):
                if found["type"] == "directory":
                    waiting.append(found["name"])
                elif found["name"].startswith(f"{root}/"):
                    url = f"{base}/{found['name'].removeprefix(f'{root}/')}"
                    yield StoredObject(url, int(found["size"] or 0), _moment(found))


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
        # What is deleted meanwhile is not there.
        with suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                url = prefix + quote(str(Path(entry).relative_to(root)))
                yield StoredObject(url, found.st_size, found.st_mtime_ns // 1_000_000)


def _moment(found: dict[str, Any]) -> int | None:
    moment = next((found[name] for name in _MOMENTS if found.get(name) is not None), None)
    if isinstance(moment, datetime):
        return round(moment.timestamp() * 1_000)
    return round(moment * 1_000) if isinstance(moment, int | float) else None
