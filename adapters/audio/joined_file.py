"""A file that is made of a new header and of parts of another file."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO


class JoinedFile(io.RawIOBase):
    """A read-only file of a header and ranges of another file. `ranges` are (offset, length).

    It never copies the ranges. Closing it closes the other file.
    """

    def __init__(self, file: BinaryIO, header: bytes, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._file = file
        self._header = header
        self._ranges = tuple(item for item in ranges if item[1] > 0)
        self._starts = [0, *accumulate((length for _, length in self._ranges), initial=len(header))]
        self._at = 0

    @property
    def length(self) -> int:
        """The total number of bytes."""
        return self._starts[-1]

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; fewer only at the end."""
        wanted = self.length - self._at if size < 0 else min(size, self.length - self._at)
        parts = []
        while wanted > 0 and (part := self._read_one(wanted)):
            parts.append(part)
            wanted -= len(part)
            self._at += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the other file."""
        self._file.close()
        super().close()

    def _read_one(self, wanted: int) -> bytes:
        if self._at < len(self._header):
            return self._header[self._at : self._at + wanted]
        number = bisect_right(self._starts, self._at, lo=1) - 2
        offset, length = self._ranges[number]
        within = self._at - self._starts[number + 1]
        self._file.seek(offset + within)
        return self._file.read(min(wanted, length - within))
