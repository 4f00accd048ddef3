"""The digests of a body that is being sent, computed in a thread: SHA-256 costs more than the copy itself."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

from adapters.http.fastest_zlib import fastest_zlib

BATCH: Final = 512 * 1024
"""Bytes that a thread hashes at a time (0.3 to 1 ms). A shorter rest is hashed without a thread."""


class BodyDigests:
    """The SHA-256 of a body, and its CRC-32 if it is needed. At most two batches wait to be hashed."""

    def __init__(self, *, checksum: bool) -> None:
        self.checksum = 0
        self._has_checksum = checksum
        self._sha256 = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._size = 0
        self._running: asyncio.Future[None] | None = None

    async def add(self, data: bytes) -> None:
        """Add the next bytes."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size < BATCH:
            return
        if self._running is not None:
            await self._running
        batch, self._waiting, self._size = self._waiting, [], 0
        self._running = asyncio.get_running_loop().run_in_executor(None, self._compute, batch)

    async def sha256(self) -> str:
        """Return the SHA-256 of all bytes, in hexadecimal. `checksum` is their CRC-32 then."""
        if self._running is not None:
            await self._running
        self._compute(self._waiting)
        self._waiting = []
        return self._sha256.hexdigest()

    def _compute(self, batch: Sequence[bytes]) -> None:
        for data in batch:
            self._sha256.update(data)
            if self._has_checksum:
                self.checksum = fastest_zlib.crc32(data, self.checksum)
