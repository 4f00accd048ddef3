"""Byte ranges (RFC 9110, section 14), with no I/O."""

import re
from dataclasses import dataclass
from typing import Final

# A list may have empty elements (RFC 9110, section 5.6.1.2).
_SINGLE: Final = re.compile(r"bytes=[ \t,]*([0-9]*)-([0-9]*)[ \t,]*", re.IGNORECASE | re.ASCII)
_MAX_DIGITS: Final = 19
"""No length has this many digits."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` up to and without `end`. A part has at least one byte."""

    start: int
    end: int

    def content_range(self, length: int) -> str:
        """Return the value of `Content-Range` (RFC 9110, section 14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{length}"


class UnsatisfiableRangeError(Exception):
    """A well-formed range without any byte of the representation: 416 (RFC 9110, section 15.5.17)."""


def choose_part(header: str | None, length: int) -> Part | None:
    """Return the part that a `Range` field requests; `None` for the whole.

    A missing or malformed field, an unknown unit and a list of several ranges all request the whole. A server may
    ignore the field (RFC 9110, section 14.2), and no audio player requests several ranges.

    Raises:
        UnsatisfiableRangeError: the range starts after the end, or requests the last 0 bytes.
    """
    match = _SINGLE.fullmatch(header.strip(" \t")) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    return _from_first(_number(first), last, length) if first else _suffix(_number(last), length)


def _from_first(first: int, last: str, length: int) -> Part | None:
    if last and _number(last) < first:
        return None
    if first >= length:
        raise UnsatisfiableRangeError
    return Part(first, min(_number(last) + 1, length) if last else length)


def _suffix(size: int, length: int) -> Part | None:
    """Return the last bytes. For an empty representation that is the whole, and its response is a 200."""
    if not size:
        raise UnsatisfiableRangeError
    return Part(max(0, length - size), length) if length else None


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) < _MAX_DIGITS else 10**_MAX_DIGITS
