"""Open and read a file from the event loop: directly if it is in memory, and in a thread if it must come from the disk.

`preadv` with `RWF_NOWAIT` (Linux 4.14) reads from the page cache and fails instead of waiting. Most audio is played
shortly after it was written or played. So most reads need no thread, which halves the CPU time.
"""

import asyncio
import os
import stat
from asyncio import Future
from pathlib import Path
from typing import Final, Self

from adapters.media.open_cached import open_cached
from adapters.media.verified_files import VerifiedFiles
from recordings.ports.audio import MediaMissing

AT_ONCE: Final = 256 * 1024
"""Maximum bytes in one read on the event loop. It takes about 30 microseconds."""
IN_THREAD: Final = 1 << 20
"""Maximum bytes in one read in a thread."""
SAMPLED: Final = 256 * 1024
"""One byte of so many is a sample. The system reads whole blocks in advance."""
MAX_SAMPLES: Final = 64
"""Maximum samples, but one, of a part. Parts become long only while the client reads fast."""
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


class OpenFile:
    """A file that is open for one reader. `size` is its length in bytes at the time of opening."""

    def __init__(
        self,
        descriptor: int,
        opened: os.stat_result,
        verified: VerifiedFiles | None = None,
        *,
        nowait: bool = _NOWAIT is not None,
    ) -> None:
        self.size = opened.st_size
        self._opened = opened
        self._verified = verified or VerifiedFiles()
        self._descriptor = descriptor
        self._nowait = nowait
        self._buffer: bytearray | None = None
        self._reading: Future[bytes] | None = None

    @classmethod
    async def open(cls, path: Path, verified: VerifiedFiles | None = None) -> Self:
        """Open a file.

        Raises:
            MediaMissing: the file does not exist.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, _open, path)
        try:
            return cls(*await asyncio.shield(opening), verified)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise

    @classmethod
    def open_now(cls, path: Path, verified: VerifiedFiles | None = None) -> Self | None:
        """Open a file on a local disk if its path is in memory. Return `None` if not, or if it cannot be opened."""
        descriptor = open_cached(path, _FLAGS)
        if descriptor is None:
            return None
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):
            os.close(descriptor)
            return None
        return cls(descriptor, opened, verified)

    @property
    def is_on_disk(self) -> bool:
        """True for a disk of this machine. A network file system, for which each call may wait, has no device."""
        return os.major(self._opened.st_dev) != 0

    async def read(self, offset: int, most: int) -> bytes:
        """Return at most `most` bytes from an offset. Only the end of the file gives no bytes."""
        ready = self._read_at_once(offset, most)
        if ready is None:
            return await self._read_in_thread(offset, most)
        # The read did not wait. Without this pause a long file would block all other tasks.
        await asyncio.sleep(0)
        return ready

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def is_in_memory(self, start: int, end: int) -> bool:
        """Return true if the bytes from `start` to `end` (exclusive) are in memory, as far as samples can show it."""
        if not self._nowait or _NOWAIT is None:
            return False
        sample, step = [bytearray(1)], max(SAMPLED, -(-(end - start) // MAX_SAMPLES))
        try:
            return all(
                os.preadv(self._descriptor, sample, offset, _NOWAIT) for offset in (*range(start, end, step), end - 1)
            )
        except OSError:
            return False

    def read_now(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end` (exclusive), without a thread."""
        return os.pread(self._descriptor, end - start, start)

    def is_verified(self, sha256: str) -> bool:
        """Return true if the file had this digest a short time ago, and was not changed since."""
        return self._verified.has(self._descriptor, sha256)

    def note_verified(self, sha256: str) -> None:
        """Remember the digest of the file."""
        self._verified.add(self._opened, sha256)

    def close(self) -> None:
        """Close the file, after a thread that still reads from it."""
        if self._reading is None or self._reading.done():
            os.close(self._descriptor)
        else:
            descriptor = self._descriptor
            self._reading.add_done_callback(lambda _reading: os.close(descriptor))

    def _read_at_once(self, offset: int, most: int) -> bytes | None:
        """Return the bytes that are in memory, or `None` if there are none."""
        if not self._nowait or _NOWAIT is None:
            return None
        self._buffer = self._buffer or bytearray(AT_ONCE)
        view = memoryview(self._buffer)[:most]
        try:
            count = os.preadv(self._descriptor, [view], offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError:
            # The file system does not support the flag. If the disk is broken, the read in the thread fails too.
            self._nowait = False
            return None
        return bytes(view[:count])

    async def _read_in_thread(self, offset: int, most: int) -> bytes:
        loop = asyncio.get_running_loop()
        self._reading = loop.run_in_executor(None, os.pread, self._descriptor, min(most, IN_THREAD), offset)
        # The thread cannot be cancelled, so it continues after its reader is cancelled.
        return await asyncio.shield(self._reading)


def _open(path: Path) -> tuple[int, os.stat_result]:
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaMissing(str(path)) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise MediaMissing(str(path))
    return descriptor, found


def _close_opened(opening: "Future[tuple[int, os.stat_result]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])
