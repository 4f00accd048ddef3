"""Translate queries to MongoDB filters.

MongoDB's logic has two values, like the logic of a `Condition`. MongoDB compares a text only with texts and a number
only with numbers, so null is in no range. It compares texts byte by byte in UTF-8, which is the order of code points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import ASCENDING, DESCENDING

from adapters.metadata.index_ranges import (
    Bound,
    IndexRange,
    RowsWithKey,
    RowsWithoutKey,
    filtered_range,
    lookup_condition,
)
from adapters.metadata.mongodb.indexes import index_keys, index_of, lookup_index
from recordings.model.fields import PARTS
from recordings.model.query import And, Condition, Equal, HasMedia, Held, In, Not, Or, Prefix, Query, Range, prefix_end

Filter = dict[str, Any]

_NOTHING: Final[Filter] = {"_id": {"$in": []}}
_LOWEST: Final = MinKey()
_HIGHEST: Final = MaxKey()


@dataclass(frozen=True, slots=True)
class Find:
    """The arguments of one `find`, except projection and limit. `low` and `high` bound the index named by `hint`."""

    filter: Filter
    hint: str
    sort: list[tuple[str, int]] = field(default_factory=list)
    low: Filter | None = None
    high: Filter | None = None


def condition(item: Condition) -> Filter:  # noqa: PLR0911 - one `return` for each kind of condition
    """Translate a condition to a filter."""
    match item:
        case And(items):
            return {"$and": [condition(each) for each in items]} if items else {}
        case Or(items):
            return {"$or": [condition(each) for each in items]} if items else _NOTHING
        case Not(inner):
            return {"$nor": [condition(inner)]}
        case HasMedia(present):
            return {"media": {"$ne" if present else "$eq": None}}
        case Held(present):
            return {"hold": {"$ne" if present else "$eq": None}}
        case Equal(name, value):
            return {path(name): {"$eq": value}}
        case In(name, values):
            return {path(name): {"$in": list(values)}}
        case Prefix(name, text):
            return _between(name, text, prefix_end(text))
        case Range(name, minimum, below):
            return _between(name, minimum, below)


def path(name: str) -> str:
    """Return the path of a field, or of a part of an object field."""
    part = PARTS.get(name)
    return name if part is None else f"{part.field}.{part.key}"


def _between(name: str, minimum: str | int | None, below: str | int | None) -> Filter:
    bounds = {sign: value for sign, value in (("$gte", minimum), ("$lt", below)) if value is not None}
    return {path(name): bounds or {"$ne": None}}


def _selected(query: Query) -> Filter:
    selection: Filter = {"account_id": query.account_id, **_on_shelf(query)}
    if query.owner_id is not None:
        selection["owner_id"] = query.owner_id
    return selection


def _on_shelf(query: Query) -> Filter:
    return {} if query.shelf is None else {"shelf": query.shelf.value}


def _all(*filters: Filter) -> Filter:
    args = [each for each in filters if each]
    return args[0] if len(args) == 1 else {"$and": args}


def find(query: Query, parts: Sequence[IndexRange], *, down: bool) -> Find:
    """Return one `find` for all ranges of a page: rows without and with the sort key are adjacent in an index."""
    direction = DESCENDING if down else ASCENDING
    found = lookup_condition(query)
    key = query.order.field.value
    if found is not None:
        # Few rows: look them up by the field's value, then sort them.
        within = {"$or": [_all(*_beyond(key, index_range)) for index_range in parts]}
        selection = _all(_selected(query), condition(query.where), within)
        return Find(selection, lookup_index(found.field), [(key, direction), ("_id", direction)])
    owner = query.owner_id is not None
    keys = index_keys(query.order.field, owner=owner)
    first, last = (parts[-1], parts[0]) if down else (parts[0], parts[-1])
    known = {"account_id": query.account_id, "owner_id": query.owner_id, **_on_shelf(query)}
    prefix = [known[name] for name in keys[:-2]]
    outside = {} if "shelf" in keys else _on_shelf(query)
    return Find(
        # The index bounds already contain account, owner and shelf. A router of a sharded cluster needs `account_id`
        # in the filter to find the shard.
        _all({"account_id": query.account_id, **outside}, condition(query.where)),
        index_of(query.order.field, owner=owner),
        # The sort names all keys of the index, so MongoDB reads in index order and sorts nothing.
        [(name, direction) for name in keys],
        dict(zip(keys, [*prefix, *_low_end(first)], strict=True)),
        dict(zip(keys, [*prefix, *_high_end(last)], strict=True)),
    )


def _low_end(index_range: IndexRange) -> tuple[Any, Any]:
    """Return the first (key, id) of a range, inclusive."""
    if isinstance(index_range, RowsWithoutKey):
        return (None, _LOWEST if index_range.low is None else _next(index_range.low))
    # Rows with a key start after the last row without one.
    return (None, _HIGHEST) if index_range.low is None else (index_range.low[0], _next(index_range.low[1]))


def _high_end(index_range: IndexRange) -> tuple[Any, Any]:
    """Return the end (key, id) of a range, exclusive."""
    if isinstance(index_range, RowsWithoutKey):
        return (None, _HIGHEST if index_range.high is None else index_range.high)
    return index_range.high or (_HIGHEST, _HIGHEST)


def _next(text: str) -> str:
    """Return the smallest text greater than the given one; the empty text unchanged, because no id is empty."""
    return f"{text}\0" if text else ""


def _beyond(key: str, index_range: IndexRange) -> list[Filter]:
    if isinstance(index_range, RowsWithoutKey):
        ids = {
            sign: bound for sign, bound in (("$gt", index_range.low), ("$lt", index_range.high)) if bound is not None
        }
        return [{key: None, **({"_id": ids} if ids else {})}]
    sides = [
        _side(key, sign, bound)
        for sign, bound in (("$gt", index_range.low), ("$lt", index_range.high))
        if bound is not None
    ]
    return [{key: {"$ne": None}}, *sides]


def _side(key: str, sign: str, bound: Bound) -> Filter:
    return {"$or": [{key: {sign: bound[0]}}, {key: bound[0], "_id": {sign: bound[1]}}]}


def count(query: Query) -> Find:
    """Return the filter and index to count a query: by its look-up field, or by its part of the sort index."""
    found = lookup_condition(query)
    hint = lookup_index(found.field) if found else index_of(query.order.field, owner=query.owner_id is not None)
    index_range = filtered_range(query)
    within = _beyond(query.order.field.value, RowsWithKey(index_range.low, index_range.high)) if index_range else []
    return Find(_all(_selected(query), condition(query.where), *within), hint)
