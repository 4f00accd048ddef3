"""A reserve on the disk of the data folder. It lets a server start and delete recordings if the disk is full."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from graph.server.log_setup import logger

SIZE: Final = 8 << 20
_NEEDED: Final = 8 * SIZE
"""The reserve is made only if this many bytes are free."""
_ALMOST_FULL: Final = 1 << 20
_NAME: Final = "reserve"
_log: Final = logger("server")


class DiskReserve:
    """A file of `SIZE` bytes. It is deleted if the metadata store needs its space, and made again later. It blocks."""

    def __init__(self, data: Path) -> None:
        self._path = data / _NAME

    def make(self) -> None:
        """Make the reserve if there is none and the disk has much space. An error has no effect."""
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if self._path.exists() or disk.f_bavail * disk.f_frsize < _NEEDED:
                return
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, SIZE)
            except OSError:
                self._path.unlink(missing_ok=True)
            finally:
                os.close(file)

    async def report(self) -> str | None:
        """Make the reserve if it is missing. Return a problem for `/readyz` if that is not possible."""
        await asyncio.to_thread(self.make)
        return None if await asyncio.to_thread(self._has_space) else "the disk of this server is almost full"

    def _has_space(self) -> bool:
        disk = os.statvfs(self._path.parent)
        return self._path.exists() and disk.f_bavail * disk.f_frsize > _ALMOST_FULL

    def release(self) -> bool:
        """Delete the reserve. Return false if there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _log.error("disk full, reserve used", path=str(self._path))
        return True
