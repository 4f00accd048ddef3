"""A bounded folder of files that can be made again. What was not asked for longest goes first."""

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
class Kept:
    """A file of the cache. `note` is what its maker wanted to be told again."""

    path: Path
    note: str
    size: int
    made: float


class FolderCache:
    """Files by key; all methods block, and are safe to use from several threads.

    A file's name is `<key>~<note>`, each of letters, digits, dots and dashes. Together they take at most `most_bytes`,
    and none is given out longer than `seconds` after it was made: what was deleted elsewhere does not live on here.
    """

    def __init__(self, folder: Path, most_bytes: int, seconds: float) -> None:
        self._folder = folder
        self._most = most_bytes
        self._seconds = seconds
        self._lock = Lock()
        self._files: OrderedDict[str, Kept] | None = None

    def get(self, key: str) -> Kept | None:
        """A file, if it is there and not too old."""
        with self._lock:
            found = self._known().get(key)
            if found is None:
                return None
            if time.time() - found.made > self._seconds or not found.path.is_file():
                self._drop(key)
                return None
            self._known().move_to_end(key)
            return found

    def add(self, key: str, note: str, path: Path) -> Kept:
        """Take a file over from a place on the same disk; what is too much then, goes."""
        with self._lock:
            self._drop(key)
            target = self._folder / f"{key}~{note}"
            path.replace(target)
            kept = _kept(target)
            self._known()[key] = kept
            self._shrink(spared=key)
            return kept

    def remove(self, beginning: str) -> None:
        """Drop every file whose key begins so."""
        with self._lock:
            for key in [key for key in self._known() if key.startswith(beginning)]:
                self._drop(key)

    def sweep(self) -> None:
        """Drop every file that is too old, so that what nobody asks for any more does not lie here for ever."""
        with self._lock:
            oldest = time.time() - self._seconds
            for key in [key for key, kept in self._known().items() if kept.made < oldest]:
                self._drop(key)

    def _known(self) -> OrderedDict[str, Kept]:
        if self._files is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.scandir(self._folder) as entries:
                found = [_kept(Path(entry)) for entry in entries if "~" in entry.name and entry.is_file()]
            self._files = OrderedDict((_key(kept), kept) for kept in sorted(found, key=lambda kept: kept.made))
        return self._files

    def _shrink(self, spared: str) -> None:
        taken = sum(kept.size for kept in self._known().values())
        for key, kept in list(self._known().items()):
            if taken <= self._most:
                return
            if key != spared:
                self._drop(key)
                taken -= kept.size

    def _drop(self, key: str) -> None:
        if (kept := self._known().pop(key, None)) is not None:
            with suppress(FileNotFoundError):
                kept.path.unlink()


def _key(kept: Kept) -> str:
    return kept.path.name.partition("~")[0]


def _kept(path: Path) -> Kept:
    found = path.stat()
    # A small file takes a block all the same.
    size = -(-found.st_size // _BLOCK) * _BLOCK
    return Kept(path, path.name.partition("~")[2], size, found.st_mtime)
