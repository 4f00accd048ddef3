"""Keys of stored audio: relative, made of ids, and never a way out of the store."""

from typing import Final
from urllib.parse import quote, unquote

_LONGEST: Final = 1_024
_LONGEST_PART: Final = 200
"""Bytes; a file's name may have 255, and a passing name needs some more."""


def check_key(key: str) -> str:
    """Give a key back if it is safe on every store.

    Raises:
        ValueError: it is empty, too long, absolute, has a `.` or `..` in it, a backslash or a control character.
    """
    parts = key.split("/")
    fine = key.isprintable() and "\\" not in key and len(key.encode("utf-8", "replace")) <= _LONGEST
    if not fine or not all(map(_is_plain, parts)):
        message = f"{key!r} is no key of stored audio"
        raise ValueError(message)
    return key


def quoted(key: str) -> str:
    """A key for use in a URL."""
    return quote(check_key(key))


def unquoted(text: str) -> str:
    """The key that `quoted` made this of.

    Raises:
        ValueError: it is no safe key.
    """
    return check_key(unquote(text, errors="strict"))


def _is_plain(part: str) -> bool:
    return part not in {"", ".", ".."} and len(part.encode("utf-8", "replace")) <= _LONGEST_PART
