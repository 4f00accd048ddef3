"""Audio in a folder of this machine."""

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from adapters.media.keys import quoted, unquoted
from adapters.media.listing import objects_in_folder
from adapters.media.reading import OpenFile
from recordings.doctor import StoredObject
from recordings.ports import MediaMissing

_COPIED_AT_ONCE: Final = 1 << 20
_TRIES: Final = 8


class FolderMedia:
    """A `MediaStore` in the folder `root`; its URLs are `prefix` and the quoted key.

    A prefix that does not name the folder (`local:`) lets the folder move. `prune` deletes folders that a deletion left
    empty, up to the root.
    """

    def __init__(self, root: Path, prefix: str, *, prune: bool = True) -> None:
        self.prefix = prefix
        self._root = root
        self._prune = prune

    async def put(self, key: str, path: str, content_type: str) -> str:  # noqa: ARG002 - a folder keeps no types
        """Keep a copy of a file: all of it, on the disk itself, or nothing. An object of that key is replaced."""
        url = self.prefix + quoted(key)
        await asyncio.to_thread(self._put, self._root / key, Path(path))
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to (not with) `end`.

        Raises:
            MediaMissing: there is no such file.
        """
        file = await OpenFile.open(self._path(url))
        try:
            offset, stop = start, file.size if end is None else min(end, file.size)
            while offset < stop and (chunk := await file.read(offset, stop - offset)):
                offset += len(chunk)
                yield chunk
        finally:
            file.close()

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is no such file."""
        try:
            return await asyncio.to_thread(_length, self._path(url))
        except MediaMissing:
            return None

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        with suppress(MediaMissing):
            await asyncio.to_thread(self._delete, self._path(url))

    def objects(self) -> AsyncIterator[StoredObject]:
        """Everything that lies in the folder."""
        return objects_in_folder(self._root, self.prefix)

    async def close(self) -> None:
        """Nothing is open."""

    def _path(self, url: str) -> Path:
        if not url.startswith(self.prefix):
            raise MediaMissing(url)
        try:
            return self._root / unquoted(url.removeprefix(self.prefix))
        except ValueError as error:
            raise MediaMissing(url) from error

    def _put(self, target: Path, path: Path) -> None:
        passing = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with path.open("rb") as source:
            try:
                with _create(passing) as copy:
                    shutil.copyfileobj(source, copy, _COPIED_AT_ONCE)
                    copy.flush()
                    os.fsync(copy.fileno())
                passing.replace(target)
            except BaseException:
                passing.unlink(missing_ok=True)
                raise
        _sync_folder(target.parent)

    def _delete(self, path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents if self._prune else ():
            if folder == self._root or not _remove_empty(folder):
                return


def _create(path: Path) -> BinaryIO:
    """A new private file, in a folder that a deletion may take away under our hands."""
    for _ in range(_TRIES):
        _make_folder(path.parent)
        with suppress(FileNotFoundError):
            return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")  # noqa: PTH123 - the caller closes it
    message = f"the folder {path.parent} keeps disappearing"
    raise OSError(message)


def _make_folder(folder: Path) -> None:
    """A private folder whose name survives a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    # A deletion may prune the parent just now: the caller tries again.
    with suppress(FileExistsError, FileNotFoundError):
        folder.mkdir(mode=0o700)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _length(path: Path) -> int | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
