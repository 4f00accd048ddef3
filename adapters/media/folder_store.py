"""Audio in a folder of this machine."""

import asyncio
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from adapters.media.file_reader import OpenFile
from adapters.media.store_errors import MediaFaultError
from adapters.media.store_keys import quoted, unquoted
from adapters.media.store_listing import objects_in_folder
from recordings.ports.audio import MediaMissing
from recordings.use_cases.doctor import StoredObject

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
            MediaFaultError: there is no such folder at all.
        """
        path = self._path(url)
        try:
            file = await OpenFile.open(path)
        except MediaMissing:
            await asyncio.to_thread(self._require_root)
            raise
        try:
            offset, stop = start, file.size if end is None else min(end, file.size)
            while offset < stop and (chunk := await file.read(offset, stop - offset)):
                offset += len(chunk)
                yield chunk
        finally:
            file.close()

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is no such file.

        Raises:
            MediaFaultError: there is no such folder at all.
        """
        try:
            path = self._path(url)
        except MediaMissing:
            return None
        found = await asyncio.to_thread(_length, path)
        if found is None:
            await asyncio.to_thread(self._require_root)
        return found

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        with suppress(MediaMissing):
            await asyncio.to_thread(self._delete, self._path(url))

    def objects(self) -> AsyncIterator[StoredObject]:
        """Everything that lies in the folder."""
        return objects_in_folder(self._root, self.prefix)

    async def close(self) -> None:
        """Nothing is open."""

    def _require_root(self) -> None:
        # A disk that is not mounted is no proof that the audio is lost.
        if not self._root.is_dir():
            message = f"there is no folder {self._root}"
            raise MediaFaultError(message)

    def _path(self, url: str) -> Path:
        if not url.startswith(self.prefix):
            raise MediaMissing(url)
        try:
            return self._root / unquoted(url.removeprefix(self.prefix))
        except ValueError as error:
            raise MediaMissing(url) from error

    def _put(self, target: Path, path: Path) -> None:
        with path.open("rb") as source:
            passing, copy = _create(target)
            # Closed last: until then it is ours.
            with copy:
                try:
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


def _create(target: Path) -> tuple[Path, BinaryIO]:
    """A private file beside its target, empty and ours alone, in a folder that a deletion may take away meanwhile.

    What a process left of it that died while it was writing is taken over, so that nothing stays behind.
    """
    for _ in range(_TRIES):
        _make_folder(target.parent)
        with suppress(FileNotFoundError):
            passing = target.with_name(f".{target.name}.part")
            if (file := _take(passing)) is None:
                passing = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
                file = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            return passing, open(file, "wb")  # noqa: PTH123 - of a descriptor; the caller closes it
    message = f"the folder {target.parent} keeps disappearing"
    raise OSError(message)


def _take(path: Path) -> int | None:
    """Open a file that nobody who lives is writing, and empty it; `None` where that cannot be known."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its writer may have come to its end since we opened it: then it is the object itself.
        if os.path.samestat(os.fstat(file), path.stat()):
            os.ftruncate(file, 0)
            return file
    except (BlockingIOError, FileNotFoundError):
        # Somebody keeps the same just now, or has just done so.
        pass
    except OSError:
        # This disk knows no locks, so nobody has a file of this name on it.
        path.unlink(missing_ok=True)
    os.close(file)
    return None


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
