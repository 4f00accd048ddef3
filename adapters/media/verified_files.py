"""The files of a media store whose SHA-256 was computed a short time ago."""

import os
import time
from collections.abc import Callable
from typing import Final

from adapters.media.verified_versions import VerifiedVersions

_SETTLED_NS: Final = 2_000_000_000
"""A file can be changed twice within one tick of the file system's clock. FAT has the longest one."""


class VerifiedFiles:
    """Remembers the digests of files. A changed or replaced file is another version."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._versions = VerifiedVersions(clock)
        self._now_ns = now_ns

    def has(self, descriptor: int, sha256: str) -> bool:
        """Return true if the digest of the open file is known to be this one."""
        return self._versions.checksum(_version(os.fstat(descriptor)), sha256) is not None

    def add(self, opened: os.stat_result, sha256: str) -> None:
        """Remember the digest of a file. `opened` is the file's state before it was read."""
        if self._now_ns() - opened.st_ctime_ns >= _SETTLED_NS:
            # The server does not read the bytes of a known file, so it does not need the CRC-32.
            self._versions.add(_version(opened), sha256, 0)


def _version(found: os.stat_result) -> tuple[int, ...]:
    # No program can set the time of change (`st_ctime`).
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
