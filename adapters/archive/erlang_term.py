"""Decode Erlang's external term format, without I/O. Only plain data is decoded, nothing is executed.

Atoms and texts become `str` and `bytes`, lists `list`, tuples `tuple`, maps `dict`. The format is described at
https://www.erlang.org/doc/apps/erts/erl_ext_dist.html.
"""

import struct
import zlib
from typing import Any, Final

_VERSION: Final = 131
_MAX_SIZE: Final = 1 << 20
_MAX_DEPTH: Final = 32


class ErlangTermError(ValueError):
    """The bytes are not a term that can be decoded."""


def decode_term(data: bytes) -> Any:
    """Return the value of one term.

    Raises:
        ErlangTermError: the bytes are not a term, or a term of another kind.
    """
    if not data or data[0] != _VERSION:
        message = "the version of the format is missing"
        raise ErlangTermError(message)
    body = data[1:]
    try:
        if body[:1] == b"P":
            body = zlib.decompressobj().decompress(body[5:], _MAX_SIZE)
        return _Reader(body).term(0)
    except (struct.error, IndexError, zlib.error, UnicodeDecodeError, TypeError) as error:
        message = "the term is damaged"
        raise ErlangTermError(message) from error


class _Reader:
    """Reads terms one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def term(self, depth: int) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line for each tag of the format
        """Read one term. `dict` raises `TypeError` for a key that is a list or a map."""
        if depth > _MAX_DEPTH:
            message = "the term is nested too deep"
            raise ErlangTermError(message)
        match self._number("B"):
            case 97:
                return self._number("B")
            case 98:
                return self._number("i")
            case 70:
                return self._number("d")
            case 110:
                size = self._number("B")
                sign = self._number("B")
                value = int.from_bytes(self._bytes(size), "little")
                return -value if sign else value
            case 100 | 118:
                return self._bytes(self._number("H")).decode()
            case 115 | 119:
                return self._bytes(self._number("B")).decode()
            case 107:
                return list(self._bytes(self._number("H")))
            case 109:
                return self._bytes(self._number("I"))
            case 106:
                return []
            case 104:
                return tuple(self._terms(self._number("B"), depth))
            case 105:
                return tuple(self._terms(self._number("I"), depth))
            case 108:
                items = self._terms(self._number("I"), depth)
                # The tail of a proper list is the empty list.
                self.term(depth + 1)
                return items
            case 116:
                items = self._terms(2 * self._number("I"), depth)
                return dict(zip(items[::2], items[1::2], strict=True))
            case tag:
                message = f"a term of the kind {tag} is not supported"
                raise ErlangTermError(message)

    def _terms(self, count: int, depth: int) -> list[Any]:
        if count > len(self._data) - self._at:
            # Each term has at least one byte.
            raise IndexError
        return [self.term(depth + 1) for _ in range(count)]

    def _number(self, kind: str) -> Any:
        return struct.unpack(f">{kind}", self._bytes(struct.calcsize(f">{kind}")))[0]

    def _bytes(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise IndexError
        self._at += count
        return part
