"""The digest of a set of rows: the same for every order of the rows, so that two stores can be compared."""

import hashlib
from typing import Final

_SIZE: Final = 32
_RANGE: Final = 1 << (8 * _SIZE)


class RowDigest:
    """Adds the SHA-256 of each row, modulo 2^256."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: bytes) -> None:
        """Add the encoded row."""
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(row).digest(), "big")) % _RANGE

    def hexdigest(self) -> str:
        """Return the digest of the rows so far, in hexadecimal digits."""
        return f"{self._sum:0{2 * _SIZE}x}"
