"""A simple model of the filters, for the tests of the real ones (`docs/v2_contract.md`, section 1.6)."""

import json
from typing import Any

Query = list[tuple[str, str]]


class InapplicableFilterError(Exception):
    """A filter cannot be applied. It excludes the document."""


def matches(document: dict[str, Any], query: Query) -> bool:
    """Return true if a document passes all filters. A repeated name counts each time."""
    keyed = ("has_key", "key_missing", "has_value", "value_missing", "missing_value")
    only_times = not any(name.startswith("filter_") or name in keyed for name, _ in query)
    try:
        return all(holds(document, name, value, only_times=only_times) for name, value in query)
    except InapplicableFilterError:
        return False


def holds(document: dict[str, Any], name: str, value: str, *, only_times: bool) -> bool:  # noqa: PLR0911
    if name.startswith("filter_not_"):
        return not equals(document, name[11:], value)
    if name.startswith("filter_"):
        return equals(document, name[7:], value)
    if name == "has_key":
        return at(document, value) is not None
    if name == "key_missing":
        return at(document, value) is None
    if name == "has_value":
        return not empty(at(document, value))
    if name in {"value_missing", "missing_value"}:
        return empty(at(document, value))
    if name.startswith("created") and only_times:
        return True
    if name.startswith(("created", "modified")):
        return time(document, name, value)
    return True


def time(document: dict[str, Any], name: str, value: str) -> bool:
    try:
        limit = int(value)
    except ValueError as error:
        raise InapplicableFilterError from error
    have = document["pvt_created" if name.startswith("created") else "pvt_modified"]
    return bool(have >= limit) if name.endswith("_from") else bool(have <= limit)


def at(document: Any, path: str) -> list[Any] | None:
    """Return the value at a path in a list, or `None` if there is no value."""
    for segment in path.split("."):
        if isinstance(document, dict):
            if segment not in document:
                return None
            document = document[segment]
        elif isinstance(document, list):
            if not segment.isdigit() or not 1 <= int(segment) <= len(document):
                return None
            document = document[int(segment) - 1]
        else:
            raise InapplicableFilterError
    return [document]


def text(box: list[Any] | None) -> str:
    if box is None or isinstance(box[0], dict | list):
        return ""
    return box[0] if isinstance(box[0], str) else json.dumps(box[0])


def equals(document: dict[str, Any], path: str, value: str) -> bool:
    have = text(at(document, path))
    if have == value:
        return True
    try:
        parsed = json.loads(value)
    except ValueError:
        return False
    if isinstance(parsed, list):
        return any(isinstance(member, str) and member == have for member in parsed)
    return isinstance(parsed, str) and parsed == have


def empty(box: list[Any] | None) -> bool:
    if box is None:
        return True
    value = box[0]
    if isinstance(value, bool):
        return False
    return value in (0, "0", "", None, "NULL", "undefined") or value in ([], {})
