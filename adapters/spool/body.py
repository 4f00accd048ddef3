"""Writing a file that comes in whole, chunk by chunk."""

import asyncio
import os
from hashlib import sha256
from pathlib import Path
from threading import Lock

from adapters.spool.disk import PRIVATE_FILE, write_all


class BodyWriter:
    """An incoming file, with its length and SHA-256 so far. Made by `FolderSpool.open_body`.

    A cancelled `write` goes on in its thread to the end of its chunk; `close` waits for it.
    """

    def __init__(self, path: Path) -> None:
        # A new file of its own: a sender that came back never mixes its bytes with those of its broken connection.
        path.unlink(missing_ok=True)
        self.path = path
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
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
        """Close the file, synced unless told otherwise. Closing again is fine."""
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
            finally:
                os.close(file)
