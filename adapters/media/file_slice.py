"""A part of a file as a file object, so that a multipart upload does not hold its parts in memory."""

import io
import os


class Slice(io.RawIOBase):
    """At most `size` bytes of an open file, from `start`. The position of the file itself does not change."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true: the client reads the part twice, once to sign it and once to send it."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer and return the number of bytes, 0 at the end."""
        view = memoryview(buffer)[: max(0, self._size - self._at)]
        count = os.preadv(self._descriptor, [view], self._start + self._at) if view else 0
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position in the part and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Return the position in the part."""
        return self._at
