"""A size-limited folder of files that can be made again. The least recently used file is deleted first."""

import os
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

_BLOCK: Final = 4_096


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file in the cache. `note` is a text that was stored with it; `made_at` is a Unix time in seconds.

    `length` is in bytes; `size` is what it takes on the disk.
    """

    path: Path
    note: str
    length: int
    size: int
    made_at: float


class FolderCache:
    """Files by key. All methods block and are safe to use from several threads.

    A file's name is `<key>~<note>`. Key and note consist of letters, digits, dots and dashes. All files and all
    reservations together take at most `max_bytes`. `get` returns no file older than `seconds`, so a recording that
    another server deleted does not live on here.
    """

    def __init__(self, folder: Path, max_bytes: int, seconds: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._lock = Lock()
        self._reserved = 0
        self._files: OrderedDict[str, CachedFile] | None = None

    def get(self, key: str) -> CachedFile | None:
        """Return a file if it exists and is not too old."""
        with self._lock:
            found = self._index().get(key)
            if found is None:
                return None
            if time.time() - found.made_at > self._seconds or not found.path.is_file():
                self._drop(key)
                return None
            self._index().move_to_end(key)
            return found

    def reserve(self, size: int) -> bool:
        """Reserve space for files that are being made, and delete old files for it.

        Return false if other reservations take the space. A size above the limit is never granted.
        """
        with self._lock:
            if self._reserved + size > self._max_bytes:
                return False
            self._reserved += size
            self._shrink()
            return True

    def release(self, size: int) -> None:
        """Give up a reservation."""
        with self._lock:
            self._reserved -= size

    def add(self, key: str, note: str, path: Path) -> CachedFile:
        """Move a file on the same disk into the cache. The caller has reserved at least its size, in whole blocks."""
        with self._lock:
            self._drop(key)
            target = self._folder / f"{key}~{note}"
            path.replace(target)
            added = _cached_file(target)
            self._index()[key] = added
            return added

    def remove(self, key_prefix: str) -> int:
        """Delete every file with this key prefix. Return their number."""
        with self._lock:
            found = [key for key in self._index() if key.startswith(key_prefix)]
            for key in found:
                self._drop(key)
        return len(found)

    def sweep(self) -> None:
        """Delete every file that is too old, also if no client asks for it again."""
        with self._lock:
            oldest = time.time() - self._seconds
            for key in [key for key, file in self._index().items() if file.made_at < oldest]:
                self._drop(key)

    def _index(self) -> OrderedDict[str, CachedFile]:
        if self._files is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.scandir(self._folder) as entries:
                found = [_cached_file(Path(entry)) for entry in entries if "~" in entry.name and entry.is_file()]
            self._files = OrderedDict((_key(file), file) for file in sorted(found, key=lambda file: file.made_at))
        return self._files

    def _shrink(self) -> None:
        total = self._reserved + sum(file.size for file in self._index().values())
        for key, file in list(self._index().items()):
            if total <= self._max_bytes:
                return
            self._drop(key)
            total -= file.size

    def _drop(self, key: str) -> None:
        if (file := self._index().pop(key, None)) is not None:
            with suppress(FileNotFoundError):
                file.path.unlink()


def _key(file: CachedFile) -> str:
    return file.path.name.partition("~")[0]


def _cached_file(path: Path) -> CachedFile:
    found = path.stat()
    length = found.st_size
    return CachedFile(path, path.name.partition("~")[2], length, size_on_disk(length), found.st_mtime)


def size_on_disk(length: int) -> int:
    """Return the bytes that a file takes: a small file still takes a whole disk block."""
    return -(-length // _BLOCK) * _BLOCK
