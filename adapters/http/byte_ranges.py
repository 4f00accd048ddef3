"""Byte ranges (RFC 9110, section 14), with no I/O."""

import re
from dataclasses import dataclass
from typing import Final

# A list may have empty elements (RFC 9110, 5.6.1.2).
_SINGLE: Final = re.compile(r"bytes=[ \t,]*([0-9]*)-([0-9]*)[ \t,]*", re.IGNORECASE | re.ASCII)
_BEYOND: Final = 19
"""Digits that no length has."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` up to (not with) `end`, at least one."""

    start: int
    end: int

    def content_range(self, length: int) -> str:
        """The value of `Content-Range` (RFC 9110, section 14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{length}"


class UnsatisfiableRangeError(Exception):
    """A range that is well-formed and has nothing of the representation: 416 (RFC 9110, section 15.5.17)."""


def choose_part(header: str | None, length: int) -> Part | None:
    """The part that a `Range` asks for; `None` for the whole.

    The whole is what a recipient gets that sent no range, one that is malformed or of an unknown unit, or several:
    a server may ignore the field (RFC 9110, section 14.2), and nobody who plays audio sends several.

    Raises:
        UnsatisfiableRangeError: it begins behind the end, or asks for the last 0 bytes.
    """
    found = _SINGLE.fullmatch(header.strip(" \t")) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    return _from_first(_number(first), last, length) if first else _suffix(_number(last), length)


def _from_first(first: int, last: str, length: int) -> Part | None:
    if last and _number(last) < first:
        return None
    if first >= length:
        raise UnsatisfiableRangeError
    return Part(first, min(_number(last) + 1, length) if last else length)


def _suffix(size: int, length: int) -> Part | None:
    """The last bytes. Of an empty representation that is all of it, which only a 200 can say."""
    if not size:
        raise UnsatisfiableRangeError
    return Part(max(0, length - size), length) if length else None


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) < _BEYOND else 10**_BEYOND
