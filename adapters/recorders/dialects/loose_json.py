"""Read values of JSON messages from senders that write numbers as text, omit values, or write null in their place."""

import binascii
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from adapters.recorders.dialects.stream_limits import MAX_MESSAGE, ProtocolError

MAX_DIGITS: Final = 20
"""Maximum length (characters) of a number that is written as text."""
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_SPACE: Final = re.compile(r"\s+")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def parse_object(text: str | bytes) -> Mapping[str, Any]:
    """Parse a message that is a JSON object.

    Raises:
        ProtocolError: the message is too long, or not a JSON object.
    """
    if len(text) > MAX_MESSAGE:
        raise ProtocolError(f"the message has {len(text)} characters, at most {MAX_MESSAGE} are allowed")
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ProtocolError(f"not a media stream message: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError("not a media stream message: it is not a JSON object")
    return value


def to_object(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one in place of any other value."""
    return value if isinstance(value, dict) else {}


def to_text(value: Any) -> str:
    """Return a value as text: numbers and booleans as JSON writes them, and nothing for null, lists and objects."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, int | float) else ""


def to_integer(value: Any) -> int | None:
    """Return a number, or a text that has a number, as an integer without its fraction; `None` for other values."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS and _NUMBER.fullmatch(value):
        value = float(value) if {".", "e", "E"} & set(value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value)


def to_bytes(value: Any) -> bytes | None:
    """Decode base64: also without padding, with the URL-safe alphabet (RFC 4648, section 5), and with white space.

    Null and a missing value are no bytes. Return `None` for a value that is not base64.
    """
    if value is None:
        return b""
    if not isinstance(value, str):
        return None
    text = _SPACE.sub("", value).rstrip("=").translate(_URL_SAFE)
    try:
        return binascii.a2b_base64(f"{text}{'=' * (-len(text) % 4)}", strict_mode=True) if text else b""
    except ValueError:
        return None
