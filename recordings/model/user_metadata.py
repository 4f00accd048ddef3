"""What users write on a recording: an object of their own, bounded, and kept as it is."""

import json
from collections.abc import Mapping
from typing import Any, Final

from recordings.model.errors import InvalidInput
from recordings.model.query import is_storable

MAX_BYTES: Final = 16_384
"""The most that the metadata of a recording may take, as JSON."""
MAX_DEPTH: Final = 16
"""How deep an object may be nested."""
MAX_INTEGER: Final = 2**53
"""Integers beyond this are not the same number in every JSON reader, so they are refused."""


def merge_metadata(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata after a change: keys are replaced one by one, and `None` takes one out.

    Raises:
        InvalidInput: a value is no JSON value that every store and reader keeps as it is, or it is too much.
    """
    if not _is_kept(changes):
        raise InvalidInput.of(("user_metadata",), "type", dict(changes), "an object of plain JSON values")
    merged = {name: value for name, value in {**current, **changes}.items() if value is not None}
    size = len(json.dumps(merged).encode())
    if size > MAX_BYTES:
        raise InvalidInput.of(("user_metadata",), "maximum", f"{size} bytes", f"at most {MAX_BYTES} bytes as JSON")
    return merged


def _is_kept(value: Any, depth: int = 0) -> bool:
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        named = all(type(name) is str and is_storable(name) for name in value)
        return named and all(_is_kept(item, depth + 1) for item in value.values())
    if isinstance(value, list):
        return all(_is_kept(item, depth + 1) for item in value)
    if type(value) is str:
        return is_storable(value)
    if type(value) is int:
        return abs(value) <= MAX_INTEGER
    return value is None or type(value) is bool or (type(value) is float and abs(value) < float("inf"))
