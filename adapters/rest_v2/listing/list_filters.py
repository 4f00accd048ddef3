"""The filters of a list (`docs/v2_contract.md`, section 1.6).

`Filters.matches` is the exact meaning. `Filters.conditions` are the filters that the store can apply, too. They never
exclude a document that `matches` accepts, and neither does `Filters.ids`. So a page is read with them and then checked
with `matches`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from adapters.rest_v2.request.v2_errors import V2Error
from recordings.model.fields import FIELDS, FieldType, filterable
from recordings.model.query import MAX_TEXT, MAX_VALUES, Condition, HasMetadata, In, Or, is_storable
from recordings.model.user_metadata import values_of_text

MAX_FILTERS: Final = 64
_MAX_CONDITIONS: Final = 16
"""Maximum conditions for the store. The other filters are checked only here."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_decode: Final = msgspec.json.Decoder().decode

Document = Mapping[str, Any]
Check = Callable[[Document], bool]

_TEXTS: Final = frozenset(filterable(FieldType.TEXT)) & {name for name, field in FIELDS.items() if field.v2 == name} - {
    "from", "to", "name",
}  # fmt: skip
"""Text fields whose value in the document equals the stored value.

Numbers are not among them. For an imported recording the store has the measured length of the audio, but the document
shows the imported length.
"""
_METADATA: Final = "user_metadata."
_MAX_ALTERNATIVES: Final = 2
"""Maximum values in the condition of one filter on `user_metadata`. With more, only the key is a condition."""
_UNSURE: Final = frozenset({"", "null"})
"""The texts of a missing value, an object and a `null`. The store has no value there."""
_EMPTY: Final = ("", "0", "NULL", "undefined")
TIMES: Final = {"created_from": "pvt_created", "created_to": "pvt_created"} | {
    "modified_from": "pvt_modified",
    "modified_to": "pvt_modified",
}
KEYED: Final = ("has_key", "key_missing", "has_value", "value_missing", "missing_value")
"""Kazoo's documentation has `missing_value` for `value_missing`. Both are accepted."""


class InvalidPathError(LookupError):
    """A path through a value without parts. It excludes the document, with any filter."""


MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one request."""

    checks: Sequence[Check]
    conditions: Sequence[Condition]
    ids: frozenset[str] | None = None
    """The only ids that can match; `None` if any id can."""

    def matches(self, document: Document) -> bool:
        """Return true if a document passes all filters. A filter that cannot be applied excludes it."""
        try:
            return all(check(document) for check in self.checks)
        except InvalidPathError:
            return False


def read_filters(query: Sequence[tuple[str, str]]) -> Filters:
    """Return the filters of a query. A repeated name counts each time. Other parameters are ignored.

    Raises:
        V2Error: there are more than `MAX_FILTERS` filters.
    """
    named = [(name, value) for name, value in query if name in KEYED or name.startswith("filter_")]
    times = [(name, value) for name, value in query if name in TIMES]
    if not named:
        # The time range of the list already covers these. It ignores a creation time that is not a number.
        times = [(name, value) for name, value in times if name.startswith("modified")]
    if len(named) + len(times) > MAX_FILTERS:
        raise V2Error(400, "validation error", {"filter": {"maxItems": {"message": f"at most {MAX_FILTERS} filters"}}})
    checks = [*(_named(name, value) for name, value in named), *(_time(name, value) for name, value in times)]
    conditions = [condition for name, value in named if (condition := _condition(name, value))]
    ids = [accepted_texts(value) for name, value in named if name == "filter_id"]
    return Filters(checks, conditions[:_MAX_CONDITIONS], frozenset.intersection(*ids) if ids else None)


def _named(name: str, value: str) -> Check:
    if name.startswith("filter_not_"):
        equal = _equal(name.removeprefix("filter_not_"), value)
        return lambda document: not equal(document)
    if name.startswith("filter_"):
        return _equal(name.removeprefix("filter_"), value)
    parts = value.split(".")
    return {
        "has_key": lambda document: look_up(document, parts) is not MISSING,
        "key_missing": lambda document: look_up(document, parts) is MISSING,
        "has_value": lambda document: not is_empty(look_up(document, parts)),
    }.get(name, lambda document: is_empty(look_up(document, parts)))


def _equal(key: str, value: str) -> Check:
    parts, accepted = key.split("."), accepted_texts(value)
    return lambda document: as_text(look_up(document, parts)) in accepted


def _time(name: str, value: str) -> Check:
    key, limit = TIMES[name], integer(value)

    def check(document: Document) -> bool:
        at = document.get(key)
        if limit is None or at is None:
            return False
        return bool(at >= limit) if name.endswith("from") else bool(at <= limit)

    return check


def accepted_texts(value: str) -> frozenset[str]:
    """Return the texts that a filter value matches: itself and, if it is JSON, its text or the texts in its array."""
    try:
        parsed = _decode(value)
    except (ValueError, RecursionError):
        return frozenset({value})
    items = parsed if isinstance(parsed, list) else [parsed]
    return frozenset({value, *(item for item in items if isinstance(item, str))})


def look_up(document: Any, parts: Sequence[str]) -> Any:
    """Return the value at a path, or `MISSING`. Names select in objects, numbers (from 1) in arrays.

    Raises:
        InvalidPathError: the path goes through a value without parts.
    """
    found = document
    for part in parts:
        if found is MISSING:
            break
        if isinstance(found, Mapping):
            found = found.get(part, MISSING)
        elif isinstance(found, list):
            found = _item(found, part)
        else:
            raise InvalidPathError(part)
    return found


def _item(items: Sequence[Any], part: str) -> Any:
    index = integer(part)
    return items[index - 1] if index is not None and 1 <= index <= len(items) else MISSING


def as_text(value: Any) -> str:
    """Return a value as the text for a comparison."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return str(value) if isinstance(value, int | float) else ""


def is_empty(value: Any) -> bool:
    """Return true if a value counts as empty. Every form of zero does."""
    if value is MISSING or value is None:
        return True
    if isinstance(value, str):
        return value in _EMPTY
    if isinstance(value, Mapping | list):
        return not value
    return not isinstance(value, bool) and value == 0


def integer(text: str) -> int | None:
    """Return the integer that a text contains, or `None`."""
    return int(text) if _INTEGER.fullmatch(text) else None


def _condition(name: str, value: str) -> Condition | None:
    if not name.startswith("filter_") or name.startswith("filter_not_"):
        return None
    field, accepted = name.removeprefix("filter_"), accepted_texts(value)
    if field.startswith(_METADATA) and not accepted & _UNSURE:
        return _metadata_condition(field.removeprefix(_METADATA).split("."), accepted)
    if field not in _TEXTS or accepted & _UNSURE or len(accepted) > MAX_VALUES:
        return None
    storable = tuple(sorted(text for text in accepted if len(text) <= MAX_TEXT and is_storable(text)))
    return In(field, storable) if len(storable) == len(accepted) else None


def _metadata_condition(parts: Sequence[str], accepted: frozenset[str]) -> Condition | None:
    """Return a condition on the key. It has the value, too, unless the value is nested, long or one of many."""
    key, *nested = parts
    if len(key) > MAX_TEXT or not is_storable(key):
        return None
    values = [value for text in sorted(accepted) for value in values_of_text(text)]
    is_short = all(len(text) <= MAX_TEXT and is_storable(text) for text in accepted)
    if nested or not is_short or len(values) > _MAX_ALTERNATIVES:
        return HasMetadata(key)
    return Or(tuple(HasMetadata(key, value) for value in values))
