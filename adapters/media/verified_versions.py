"""The versions of stored audio whose SHA-256 was computed a short time ago."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MAX_VERSIONS: Final = 10_000
SECONDS: Final = 3_600.0
"""A store can damage audio without a new version, so the SHA-256 is computed again after an hour."""


class VerifiedVersions:
    """Remembers the SHA-256 and the CRC-32 of up to 10,000 versions. Changed audio is another version."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, tuple[str, int, float]] = OrderedDict()

    def checksum(self, version: Hashable, sha256: str) -> int | None:
        """Return the CRC-32 of a version that is known to have this SHA-256; `None` if it is not."""
        known = self._known.get(version)
        return known[1] if known is not None and known[0] == sha256 and self._clock() < known[2] else None

    def add(self, version: Hashable, sha256: str, checksum: int) -> None:
        """Remember the digests of a version."""
        self._known[version] = (sha256, checksum, self._clock() + SECONDS)
        self._known.move_to_end(version)
        if len(self._known) > MAX_VERSIONS:
            self._known.popitem(last=False)
