"""Gather received chunks while a thread writes earlier ones."""

import asyncio
from typing import Final

from adapters.recorders.embedded.spool_ports import FileWriter

GATHERED: Final = 128 * 1024
"""When so many bytes wait, the sender waits too."""


class GatheredWrites:
    """Writes chunks in their order. Each chunk is written at once, or together with others after a running write.

    A call of a thread for each chunk of a fast sender would need more CPU time than the write. `length` is the number
    of bytes so far.
    """

    def __init__(self, writer: FileWriter) -> None:
        self.length = 0
        self._writer = writer
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._writing: asyncio.Task[None] | None = None

    async def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            OSError: an earlier write failed.
        """
        self._chunks.append(chunk)
        self._waiting += len(chunk)
        self.length += len(chunk)
        if self._writing is None or self._writing.done():
            await self.finish()
            self._writing = asyncio.create_task(self._write_all())
        elif self._waiting >= GATHERED:
            await self.finish()

    async def finish(self) -> None:
        """Wait until all bytes are written.

        Raises:
            OSError: a write failed.
        """
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        while self._chunks:
            chunks, self._chunks, self._waiting = self._chunks, [], 0
            await self._writer.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
