"""The filters of a listing: what a client may ask for, and what that means on a document (contract section 1.6).

`Filters.keeps` is the meaning. `Filters.condition` is a part of it that a store can answer from what it has: it never
excludes what `keeps` would keep, so a page is read with it and checked with `keeps`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from adapters.rest_v2.request.v2_errors import Fault
from recordings.model.query import MAX_TEXT, MAX_VALUES, Condition, In, is_storable

MAX_FILTERS: Final = 64
_PUSHED: Final = 16
"""At most so many are handed to the store; the others are checked here alone."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_decode: Final = msgspec.json.Decoder().decode

Document = Mapping[str, Any]
Check = Callable[[Document], bool]

_TEXTS: Final = frozenset({
    "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id", "interaction_id", "cdr_id",
    "owner_id", "endpoint_id", "origin",
})  # fmt: skip
"""Fields that a document shows exactly as the store has them, whenever it shows them as text.

Numbers are not among them: of an imported recording the store has the length of its audio as it was measured, and the
document the one that was imported.
"""
_UNSURE: Final = frozenset({"", "null"})
"""What a missing value, an object or a `null` reads as in a document; a store has nothing at all there."""
_EMPTY: Final = ("", "0", "NULL", "undefined")
TIMES: Final = {"created_from": "pvt_created", "created_to": "pvt_created"} | {
    "modified_from": "pvt_modified",
    "modified_to": "pvt_modified",
}
KEYED: Final = ("has_key", "key_missing", "has_value", "value_missing", "missing_value")
"""`missing_value` is what the reference's documentation calls `value_missing`: both are taken."""


class BadPathError(LookupError):
    """A path that leads through something that has no parts. It excludes the document, whatever the filter."""


MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one request."""

    checks: Sequence[Check]
    conditions: Sequence[Condition]

    def keeps(self, document: Document) -> bool:
        """Whether a document meets all of them. One that a filter cannot be applied to is not kept."""
        try:
            return all(check(document) for check in self.checks)
        except BadPathError:
            return False


def read_filters(query: Sequence[tuple[str, str]]) -> Filters:
    """The filters in a query. A name that repeats counts each time; what is no filter is passed over.

    Raises:
        Fault: there are too many.
    """
    named = [(name, value) for name, value in query if name in KEYED or name.startswith("filter_")]
    times = [(name, value) for name, value in query if name in TIMES]
    if not named:
        # The span of the listing says the same, and forgives a creation time that is no number.
        times = [(name, value) for name, value in times if name.startswith("modified")]
    if len(named) + len(times) > MAX_FILTERS:
        raise Fault(400, "validation error", {"filter": {"maxItems": {"message": f"at most {MAX_FILTERS} filters"}}})
    checks = [*(_named(name, value) for name, value in named), *(_time(name, value) for name, value in times)]
    pushed = [condition for name, value in named if (condition := _condition(name, value))]
    return Filters(checks, pushed[:_PUSHED])


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
    parts, accepted = key.split("."), meanings(value)
    return lambda document: as_text(look_up(document, parts)) in accepted


def _time(name: str, value: str) -> Check:
    key, limit = TIMES[name], integer(value)

    def check(document: Document) -> bool:
        at = document.get(key)
        if limit is None or at is None:
            return False
        return bool(at >= limit) if name.endswith("from") else bool(at <= limit)

    return check


def meanings(value: str) -> frozenset[str]:
    """The texts that a filter's value equals: itself, and as JSON the text, or the texts in the array, that it is."""
    try:
        parsed = _decode(value)
    except (ValueError, RecursionError):
        return frozenset({value})
    items = parsed if isinstance(parsed, list) else [parsed]
    return frozenset({value, *(item for item in items if isinstance(item, str))})


def look_up(document: Any, parts: Sequence[str]) -> Any:
    """What is at a path: names lead into objects, numbers (from 1) into arrays; `MISSING` if nothing is.

    Raises:
        BadPathError: the path leads through something that has no parts.
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
            raise BadPathError(part)
    return found


def _item(items: Sequence[Any], part: str) -> Any:
    index = integer(part)
    return items[index - 1] if index is not None and 1 <= index <= len(items) else MISSING


def as_text(value: Any) -> str:
    """A value as the text that is compared."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return str(value) if isinstance(value, int | float) else ""


def is_empty(value: Any) -> bool:
    """Whether a value counts as none. Zero does, in every form."""
    if value is MISSING or value is None:
        return True
    if isinstance(value, str):
        return value in _EMPTY
    if isinstance(value, Mapping | list):
        return not value
    return not isinstance(value, bool) and value == 0


def integer(text: str) -> int | None:
    """The integer that a text is; `None` if it is none."""
    return int(text) if _INTEGER.fullmatch(text) else None


def _condition(name: str, value: str) -> Condition | None:
    if not name.startswith("filter_") or name.startswith("filter_not_"):
        return None
    field, accepted = name.removeprefix("filter_"), meanings(value)
    if field not in _TEXTS or accepted & _UNSURE or len(accepted) > MAX_VALUES:
        return None
    kept = tuple(sorted(text for text in accepted if len(text) <= MAX_TEXT and is_storable(text)))
    return In(field, kept) if len(kept) == len(accepted) else None
