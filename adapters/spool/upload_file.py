"""Write an uploaded file chunk by chunk."""

import asyncio
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

from adapters.spool.disk import PRIVATE_FILE, sync_file, sync_folder, write_all
from adapters.spool.manifest import NAME


class BodyWriter:
    """An upload in progress, with its length and SHA-256 so far. Made by `FolderSpool.open_body`.

    The file gets its final name when it is closed. Before that, and if the upload is interrupted, its name is
    `<name>.part`, so it is never used as a complete file. A cancelled `write` still writes its chunk in a thread, and
    `close` waits for it.
    """

    def __init__(self, path: Path) -> None:
        """Create the file. `FileExistsError` if it exists: no two connections of a sender may write the same file."""
        self.path = path
        self._partial = path.with_name(f"{path.name}.part")
        self._file: int | None = os.open(
            self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE
        )
        self._hash = sha256()
        self._length = 0
        self._lock = Lock()
        self._is_closed = False

    @property
    def length(self) -> int:
        """The number of bytes written so far."""
        return self._length

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes written so far, in hexadecimal."""
        with self._lock:
            return self._hash.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Append bytes. The kernel has them when this returns.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the writer is closed.
        """
        await asyncio.to_thread(self._append, chunk)

    async def close(self, *, sync: bool = True) -> None:
        """Close the file. It can be called again.

        With `sync`, the whole file is on the disk under its final name. Without it, the file stays `<name>.part`.
        """
        if not self._is_closed:
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
                    self._publish(file)
            finally:
                os.close(file)
                self._is_closed = True

    def _publish(self, file: int) -> None:
        # If the sender has started again, the partial file is a new one, and this one has no name any more.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), self._partial.stat()):
                # The name must not survive a power cut without the description of the audio.
                sync_file(self.path.with_name(NAME))
                self._partial.replace(self.path)
                sync_folder(self.path.parent)
                sync_folder(self.path.parent.parent)
