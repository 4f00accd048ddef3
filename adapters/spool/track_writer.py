"""Write the headerless tracks of a live take."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from adapters.spool.disk import PRIVATE_FILE, write_all

_CLOSED: Final = "this writer is closed"


class SpoolWriter:
    """The open track files of a take, left first. Made by `FolderSpool.open_tracks`.

    When `write_at` returns, the kernel has the bytes, so a crash of this process loses none of them. A power cut can
    lose the bytes since the last `sync`. It is safe to use from several threads.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._files: list[int] = []
        self._lock = Lock()
        try:
            for path in self.paths:
                self._files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
        except OSError:
            self._close(sync=False)
            raise

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Write bytes at an offset of a track. The caller must fill gaps, because a gap is read as zero bytes.

        It is not a coroutine. Writing a packet to the page cache takes microseconds, less than a switch to a thread.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the writer is closed.
        """
        with self._lock:
            if not self._files:
                raise ValueError(_CLOSED)
            write_all(self._files[track_index], data, offset_bytes)

    def length(self, track_index: int) -> int:
        """Return the current length of a track in bytes, including the bytes of an earlier writer."""
        with self._lock:
            self._check_open()
            return os.fstat(self._files[track_index]).st_size

    async def sync(self) -> None:
        """Sync the written bytes to the disk."""
        await asyncio.to_thread(self._sync)

    async def close(self, *, sync: bool = True) -> None:
        """Close the files, and sync them first by default. It can be called again."""
        await asyncio.to_thread(self._close, sync=sync)

    def _sync(self) -> None:
        with self._lock:
            self._check_open()
            for file in self._files:
                os.fsync(file)

    def _close(self, *, sync: bool) -> None:
        with self._lock:
            files, self._files = self._files, []
            try:
                if sync:
                    for file in files:
                        os.fsync(file)
            finally:
                for file in files:
                    os.close(file)

    def _check_open(self) -> None:
        if not self._files:
            raise ValueError(_CLOSED)
