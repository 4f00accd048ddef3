"""The user metadata of a recording: a JSON object of limited size with the client's own keys and values."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from recordings.model.errors import InvalidInput
from recordings.model.query import is_storable

MAX_BYTES: Final = 16_384
"""Maximum size of a recording's metadata as JSON, in bytes."""
MAX_DEPTH: Final = 16
"""Maximum depth of nested objects and arrays."""
MAX_INTEGER: Final = 2**53
"""Maximum absolute value of an integer. Some JSON readers change larger numbers, so they are refused."""

_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?", re.ASCII)


def merge_metadata(current: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """Return the metadata after a change. Each key is replaced by its new value; `None` removes the key.

    Raises:
        InvalidInput: a value is not allowed, or the metadata becomes too large. All stores and JSON readers must be
            able to keep a value without change.
    """
    if not isinstance(changes, Mapping) or not _is_storable_json(changes):
        raise InvalidInput.of(("user_metadata",), "type", changes, "an object of plain JSON values")
    merged = {name: value for name, value in {**current, **changes}.items() if value is not None}
    size = len(json.dumps(merged).encode())
    if size > MAX_BYTES:
        raise InvalidInput.of(("user_metadata",), "maximum", f"{size} bytes", f"at most {MAX_BYTES} bytes as JSON")
    return merged


def values_of_text(text: str) -> list[str | float]:
    """Return the values that a text may stand for: itself, and the number or the boolean of the same form."""
    found: list[str | float] = [text]
    if text in {"true", "false"}:
        found.append(text == "true")
    elif _NUMBER.fullmatch(text) and abs(float(text)) <= MAX_INTEGER:
        found.append(int(text) if text.lstrip("-").isdigit() else float(text))
    return found


def _is_storable_json(value: Any, depth: int = 0) -> bool:
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        named = all(type(name) is str and is_storable(name) for name in value)
        return named and all(_is_storable_json(item, depth + 1) for item in value.values())
    if isinstance(value, list):
        return all(_is_storable_json(item, depth + 1) for item in value)
    if type(value) is str:
        return is_storable(value)
    if type(value) is int:
        return abs(value) <= MAX_INTEGER
    return value is None or type(value) is bool or (type(value) is float and abs(value) < float("inf"))
