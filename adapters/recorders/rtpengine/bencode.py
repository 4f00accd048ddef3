"""Bencode, the encoding of rtpengine's ng protocol: integers, byte strings, lists and dictionaries. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

MAX_NESTING: Final = 32
"""Maximum nesting depth of a decoded message."""
MAX_DIGITS: Final = 20
"""Maximum number of digits of an integer or of a length."""


class BencodeError(ValueError):
    """Bytes that are not one bencoded value."""


def encode(value: int | str | bytes | Sequence[Any] | Mapping[str, Any]) -> bytes:
    """Return a value as bencode. Text is UTF-8, and the keys of a dictionary are sorted."""
    if isinstance(value, bool | int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, Mapping):
        return b"d" + b"".join(encode(key) + encode(item) for key, item in sorted(value.items())) + b"e"
    return b"l" + b"".join(map(encode, value)) + b"e"


def decode(data: bytes) -> Any:
    """Return the value of bencoded bytes. Strings are text; bytes that are not UTF-8 are surrogates.

    Raises:
        BencodeError: the bytes are not exactly one value.
    """
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes follow the value")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at an offset, and the offset after it."""
    kind = data[at : at + 1]
    if depth > MAX_NESTING:
        raise BencodeError("the value is nested too deeply")
    if kind == b"i":
        return _number(data, at + 1, b"e")
    if kind.isdigit():
        length, start = _number(data, at, b":")
        if not 0 <= length <= len(data) - start:
            raise BencodeError(f"a string of {length} bytes does not fit at offset {at}")
        return data[start : start + length].decode("utf-8", "surrogateescape"), start + length
    if kind not in {b"l", b"d"}:
        raise BencodeError(f"no value begins at offset {at}")
    items, at = [], at + 1
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    if kind == b"l":
        return items, at + 1
    keys = items[::2]
    if len(items) % 2 or not all(isinstance(key, str) for key in keys):
        raise BencodeError(f"the dictionary before offset {at} has a wrong key, or a key without a value")
    return dict(zip(keys, items[1::2], strict=True)), at + 1


def _number(data: bytes, at: int, end: bytes) -> tuple[int, int]:
    stop = data.find(end, at, at + MAX_DIGITS + 1)
    digits = data[at:stop] if stop >= 0 else b""
    if not digits.removeprefix(b"-").isdigit():
        raise BencodeError(f"no number begins at offset {at}")
    return int(digits), stop + 1
