"""The files of a media store whose SHA-256 was computed a short time ago."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_FILES: Final = 10_000
SECONDS: Final = 3_600.0
"""A disk can damage a file without a change of its times, so the digest of a file is computed again after an hour."""
_SETTLED_NS: Final = 2_000_000_000
"""A file can be changed twice within one tick of the file system's clock. FAT has the longest one."""

_Version = tuple[int, int, int, int, int]


class VerifiedFiles:
    """Remembers the digests of up to 10,000 files. A changed or replaced file is another file."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._known: OrderedDict[_Version, tuple[str, float]] = OrderedDict()

    def has(self, descriptor: int, sha256: str) -> bool:
        """Return true if the digest of the open file is known to be this one."""
        known = self._known.get(_version(os.fstat(descriptor)))
        return known is not None and known[0] == sha256 and self._clock() < known[1]

    def add(self, opened: os.stat_result, sha256: str) -> None:
        """Remember the digest of a file. `opened` is the file's state before it was read."""
        if self._now_ns() - opened.st_ctime_ns < _SETTLED_NS:
            return
        version = _version(opened)
        self._known[version] = (sha256, self._clock() + SECONDS)
        self._known.move_to_end(version)
        if len(self._known) > MAX_FILES:
            self._known.popitem(last=False)


def _version(found: os.stat_result) -> _Version:
    # No program can set the time of change (`st_ctime`).
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
