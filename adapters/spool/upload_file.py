"""Writing a file that comes in whole, chunk by chunk."""

import asyncio
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

from adapters.spool.disk import PRIVATE_FILE, sync_folder, write_all


class BodyWriter:
    """An incoming file, with its length and SHA-256 so far. Made by `FolderSpool.open_body`.

    It has its name when it is closed. Until then, and if it breaks off, it is `<name>.part`: nobody takes it for whole.
    A cancelled `write` goes on in its thread to the end of its chunk; `close` waits for it.
    """

    def __init__(self, path: Path) -> None:
        # A new file of its own: a sender that came back never mixes its bytes with those of its broken connection.
        self.path = path
        self._passing = path.with_name(f"{path.name}.part")
        for each in (path, self._passing):
            each.unlink(missing_ok=True)
        self._file: int | None = os.open(
            self._passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE
        )
        self._hash = sha256()
        self._length = 0
        self._lock = Lock()

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._length

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes written so far, in hexadecimal."""
        with self._lock:
            return self._hash.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Append bytes; the kernel has them when this returns.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the writer is closed.
        """
        await asyncio.to_thread(self._append, chunk)

    async def close(self, *, sync: bool = True) -> None:
        """Close the file: all of it is on the disk, under its name, unless told otherwise. Closing again is fine."""
        await asyncio.to_thread(self._close, sync=sync)

    def _append(self, chunk: bytes) -> None:
        with self._lock:
            if self._file is None:
                message = "this writer is closed"
                raise ValueError(message)
            write_all(self._file, chunk, self._length)
            self._hash.update(chunk)
            self._length += len(chunk)

    def _close(self, *, sync: bool) -> None:
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                return
            try:
                if sync:
                    os.fsync(file)
                    self._name(file)
            finally:
                os.close(file)

    def _name(self, file: int) -> None:
        # A sender that came back has begun anew: then this file has no place any more.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), self._passing.stat()):
                self._passing.replace(self.path)
                sync_folder(self.path.parent)
