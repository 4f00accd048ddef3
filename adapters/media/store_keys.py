"""Keys of stored audio. They are relative, consist of ids, and can never leave the store's folder."""

from typing import Final
from urllib.parse import quote, unquote

_LONGEST: Final = 1_024
_LONGEST_PART: Final = 200
"""In bytes. A file name can have 255 bytes, and the name of a partial file is longer than its key."""


def check_key(key: str) -> str:
    """Return a key if it is safe on every store.

    Raises:
        ValueError: the key is empty, too long or absolute, or contains `.` or `..` as a part, a backslash or a control
            character.
    """
    parts = key.split("/")
    fine = key.isprintable() and "\\" not in key and len(key.encode("utf-8", "replace")) <= _LONGEST
    if not fine or not all(map(_is_plain, parts)):
        message = f"{key!r} is not a valid key of stored audio"
        raise ValueError(message)
    return key


def quoted(key: str) -> str:
    """Return a key percent-encoded for a URL."""
    return quote(check_key(key))


def unquoted(text: str) -> str:
    """Return the key for a text that `quoted` returned.

    Raises:
        ValueError: the key is not safe.
    """
    return check_key(unquote(text, errors="strict"))


def _is_plain(part: str) -> bool:
    return part not in {"", ".", ".."} and len(part.encode("utf-8", "replace")) <= _LONGEST_PART
