"""`start_key`: a position in a list, in a small part of Erlang's term encoding (`docs/v2_contract.md`, section 1.4).

A key is a list of integers, texts and the empty object, which sorts after all texts. For security nothing else of that
encoding is decoded.

    [63877497874, {}]                      -> g2wAAAACbgUAEkRl3w5oAWpq
    [63877497875, "202403-5f3a..."]
    ["8e24...", 63877497874, {}]           of a user's list
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import Enum
from typing import Final

MAX_LENGTH: Final = 4_096
"""Maximum characters of a key. An owner id of 512 characters and a recording id of 128 need 3 500."""
_ELEMENTS: Final = 4
_INTEGER_BYTES: Final = 8
_VERSION, _LIST, _NIL = 0x83, 0x6C, 0x6A
_SMALL, _INTEGER, _BIG, _TEXT = 0x61, 0x62, 0x6E, 0x6D
_HIGH: Final = bytes((0x68, 0x01, _NIL))
_MAX_BYTE, _MAX_INTEGER = 0xFF, 2**31 - 1


class High(Enum):
    """The empty object, which sorts last."""

    HIGH = "{}"


HIGH: Final = High.HIGH
Element = int | str | High


class BadKeyError(ValueError):
    """The text is not a start key."""


def encode(elements: Sequence[Element]) -> str:
    """Return a key as text."""
    body = b"".join(_encode(element) for element in elements)
    term = struct.pack(">BBI", _VERSION, _LIST, len(elements)) + body + bytes((_NIL,))
    return urlsafe_b64encode(term).decode().rstrip("=")


def _encode(element: Element) -> bytes:
    if isinstance(element, High):
        return _HIGH
    if isinstance(element, str):
        text = element.encode()
        return struct.pack(">BI", _TEXT, len(text)) + text
    if 0 <= element <= _MAX_BYTE:
        return bytes((_SMALL, element))
    if abs(element) <= _MAX_INTEGER:
        return struct.pack(">Bi", _INTEGER, element)
    size = (abs(element).bit_length() + 7) // 8
    return bytes((_BIG, size, element < 0)) + abs(element).to_bytes(size, "little")


def decode(text: str) -> list[Element]:
    """Return the elements of a key.

    Raises:
        BadKeyError: the text is not a key, or contains an element that no key has.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        raise BadKeyError(text[:MAX_LENGTH])
    try:
        term = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(elements := _Term(term).elements()) != text.rstrip("="):
            raise BadKeyError(text)
    except (ValueError, struct.error, IndexError) as error:
        raise BadKeyError(text) from error
    return elements


class _Term:
    """Reads the bytes of a term from left to right."""

    def __init__(self, term: bytes) -> None:
        self._rest = term

    def elements(self) -> list[Element]:
        version, kind, count = struct.unpack(">BBI", self._take(6))
        if (version, kind) != (_VERSION, _LIST) or count > _ELEMENTS:
            raise BadKeyError
        found = [self._element() for _ in range(count)]
        if self._rest != bytes((_NIL,)):
            raise BadKeyError
        return found

    def _element(self) -> Element:
        kind = self._take(1)[0]
        if kind == _SMALL:
            return self._take(1)[0]
        if kind == _INTEGER:
            return int.from_bytes(self._take(4), "big", signed=True)
        if kind == _TEXT:
            return self._take(int.from_bytes(self._take(4), "big")).decode()
        if kind == _HIGH[0] and self._take(2) == _HIGH[1:]:
            return HIGH
        return self._big(kind)

    def _big(self, kind: int) -> int:
        size, negative = self._take(2)
        if kind != _BIG or size > _INTEGER_BYTES or negative > 1:
            raise BadKeyError
        value = int.from_bytes(self._take(size), "little")
        return -value if negative else value

    def _take(self, size: int) -> bytes:
        if len(self._rest) < size:
            raise BadKeyError
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
