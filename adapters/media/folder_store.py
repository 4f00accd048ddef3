"""The media store in a folder on this machine."""

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from adapters.media.file_reader import OpenFile
from adapters.media.store_errors import AccessRefusedError, MediaFaultError
from adapters.media.store_keys import quoted, unquoted
from adapters.media.store_listing import objects_in_folder
from adapters.media.verified_files import VerifiedFiles
from recordings.ports.audio import Chunk, FilePart, MediaMissing, StoredObject

_COPIED_AT_ONCE: Final = 1 << 20
_TRIES: Final = 8
_PART: Final = 2 << 20
"""Maximum bytes in one part of a file, for a client that reads slowly."""
_MAX_PART: Final = 64 << 20
"""The same for a client that reads fast. Each part costs about 0.2 ms."""
_PART_SECONDS: Final = 0.25
"""How long a part should take."""
_MAX_GROWTH: Final = 4


class FolderMedia:
    """A `MediaStore` in the folder `root`. Its URLs are `prefix` and the quoted key.

    With a prefix that does not name the folder (`local:`), the folder can be moved. With `prune`, a deletion also
    deletes the folders that it leaves empty, up to the root.
    """

    def __init__(self, root: Path, prefix: str, *, prune: bool = True) -> None:
        self.prefix = prefix
        self.root = root
        self._prune = prune
        self._verified = VerifiedFiles()
        self._is_on_disk = False
        """Whether the last file that a thread opened was on a disk of this machine."""

    async def put(self, key: str, path: str, content_type: str) -> str:  # noqa: ARG002 - a folder keeps no types
        """Store a copy of a file. An object with the same key is replaced.

        The copy is complete and synced to the disk when this returns. If it fails, no part of it stays.
        """
        url = self.prefix + quoted(key)
        await asyncio.to_thread(self._put, self.root / key, Path(path))
        return url

    async def keep(self, key: str, path: str, content_type: str) -> tuple[str, str]:  # noqa: ARG002 - as in `put`
        """Store a file that nothing changes later. Return the URL and the SHA-256 of the bytes that were read back.

        A file on the same disk is not copied: it gets a second name. Otherwise as `put`.
        """
        url = self.prefix + quoted(key)
        return url, await asyncio.to_thread(self._keep, self.root / key, Path(path))

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from `start` to `end` (exclusive).

        Raises:
            MediaMissing: the file does not exist.
            MediaFaultError: the store's folder does not exist.
        """
        file = await self._open(url)
        try:
            offset, stop = start, file.size if end is None else min(end, file.size)
            while offset < stop and (chunk := await file.read(offset, stop - offset)):
                offset += len(chunk)
                yield chunk
        finally:
            file.close()

    async def parts(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[Chunk]:
        """Return the same as `read`, but the parts of the file that are in memory instead of their bytes."""
        file = await self._open(url)
        try:
            offset, stop, size = start, file.size if end is None else min(end, file.size), _PART
            while offset < stop:
                part = FilePart(file, offset, min(offset + size, stop))
                chunk = part if file.is_in_memory(part.start, part.end) else await file.read(offset, stop - offset)
                if not chunk:
                    return
                offset += len(chunk)
                begun = time.monotonic()
                yield chunk
                size = next_length(len(chunk), time.monotonic() - begun)
        finally:
            file.close()

    async def length(self, url: str) -> int | None:
        """Return the length in bytes, or `None` if the file does not exist.

        Raises:
            MediaFaultError: the store's folder does not exist.
        """
        try:
            path = self._path(url)
        except MediaMissing:
            return None
        try:
            found = await asyncio.to_thread(_length, path)
        except PermissionError as error:
            raise _refused(error) from error
        if found is None:
            await asyncio.to_thread(self._require_root)
        return found

    async def delete(self, url: str) -> None:
        """Delete a file. It is no error if it does not exist."""
        with suppress(MediaMissing):
            await asyncio.to_thread(self._delete, self._path(url))

    def objects(self) -> AsyncIterator[StoredObject]:
        """Return all files in the folder."""
        return objects_in_folder(self.root, self.prefix)

    async def close(self) -> None:
        """Do nothing: this store keeps nothing open."""

    async def _open(self, url: str) -> OpenFile:
        path = self._path(url)
        file = OpenFile.open_now(path, self._verified) if self._is_on_disk else None
        if file is not None:
            return file
        try:
            file = await OpenFile.open(path, self._verified)
        except MediaMissing:
            await asyncio.to_thread(self._require_root)
            raise
        except PermissionError as error:
            raise _refused(error) from error
        self._is_on_disk = file.is_on_disk
        return file

    def _require_root(self) -> None:
        # If the disk is not mounted, the audio is not lost.
        if not self.root.is_dir():
            message = f"there is no folder {self.root}; check that its disk is mounted"
            raise MediaFaultError(message)

    def _path(self, url: str) -> Path:
        if not url.startswith(self.prefix):
            raise MediaMissing(url)
        try:
            return self.root / unquoted(url.removeprefix(self.prefix))
        except ValueError as error:
            raise MediaMissing(url) from error

    def _put(self, target: Path, path: Path) -> None:
        with path.open("rb") as source:
            partial, copy = _create(target)
            # Closed last, because the open file holds the lock.
            with copy:
                try:
                    shutil.copyfileobj(source, copy, _COPIED_AT_ONCE)
                    copy.flush()
                    os.fsync(copy.fileno())
                    partial.replace(target)
                except BaseException:
                    partial.unlink(missing_ok=True)
                    raise
        _sync_folder(target.parent)

    def _keep(self, target: Path, path: Path) -> str:
        if not _link(target, path):
            self._put(target, path)
        with target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _delete(self, path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents if self._prune else ():
            if folder == self.root or not _remove_empty(folder):
                return


def next_length(length: int, seconds: float) -> int:
    """Return the length of the next part for a client that got the last `length` bytes in this time."""
    wanted = min(int(length * _PART_SECONDS / max(seconds, 1e-9)), _MAX_GROWTH * length)
    return max(_PART, min(wanted, _MAX_PART))


def _refused(error: OSError) -> AccessRefusedError:
    return AccessRefusedError(f"{error.filename} cannot be read: {error.strerror}")


def _link(target: Path, path: Path) -> bool:
    """Give a private file a second name, and sync both. Return false if that is not possible, as on two disks."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            return False
        for _ in range(_TRIES):
            _make_folder(target.parent)
            try:
                os.link(path, target)
            except FileNotFoundError:
                # A deletion has removed the folder.
                continue
            except FileExistsError:
                if not path.samefile(target):
                    return False
            except OSError:
                return False
            # An old object without a recording would be an orphan.
            os.utime(file.fileno())
            os.fsync(file.fileno())
            _sync_folder(target.parent)
            return True
    return False


def _create(target: Path) -> tuple[Path, BinaryIO]:
    """Create an empty private file beside its target, for this writer only.

    The file of a writer that died is reused, so that no partial file stays behind. A deletion may remove the folder at
    the same time: then this tries again.
    """
    for _ in range(_TRIES):
        _make_folder(target.parent)
        with suppress(FileNotFoundError):
            partial = target.with_name(f".{target.name}.part")
            if (file := _open_unlocked(partial)) is None:
                partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
                file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            return partial, open(file, "wb")  # noqa: PTH123 - of a descriptor; the caller closes it
    message = f"the folder {target.parent} was deleted {_TRIES} times while a file was being created in it"
    raise OSError(message)


def _open_unlocked(path: Path) -> int | None:
    """Open, lock and empty a file that no living process writes. Return `None` if that is not certain."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The writer may have finished since the file was opened: then this file is the object itself.
        if os.path.samestat(os.fstat(file), path.stat()):
            os.ftruncate(file, 0)
            return file
    except (BlockingIOError, FileNotFoundError):
        # Another process stores the same object now, or has just stored it.
        pass
    except OSError:
        # This disk has no locks, so no writer uses this file name on it.
        path.unlink(missing_ok=True)
    os.close(file)
    return None


def _make_folder(folder: Path) -> None:
    """Create a private folder and sync its parent, so that the folder survives a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    # A deletion may remove the parent at the same time: then the caller tries again.
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
