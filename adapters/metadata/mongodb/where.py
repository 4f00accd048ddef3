"""Queries in MongoDB's language.

Its logic is two-valued as the vocabulary's is, and it compares a text or a number only with its like, so null is in no
range. Texts are compared byte by byte in UTF-8, which is by code point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import ASCENDING, DESCENDING

from adapters.metadata.index_ranges import Bound, Missing, Present, Scan, lookup, narrowed
from adapters.metadata.mongodb.indexes import index_keys, index_of, lookup_index
from recordings.model.query import And, Condition, Equal, HasMedia, In, Not, Or, Prefix, Query, Range, prefix_end

Filter = dict[str, Any]

_NOTHING: Final[Filter] = {"_id": {"$in": []}}
_LOWEST: Final = MinKey()
_HIGHEST: Final = MaxKey()


@dataclass(frozen=True, slots=True)
class Find:
    """The arguments of one `find`, besides projection and limit. `low` and `high` bound the index that `hint` names."""

    filter: Filter
    hint: str
    sort: list[tuple[str, int]] = field(default_factory=list)
    low: Filter | None = None
    high: Filter | None = None


def condition(item: Condition) -> Filter:  # noqa: PLR0911 - one line a kind of condition reads best
    """A condition as a filter."""
    match item:
        case And(items):
            return {"$and": [condition(each) for each in items]} if items else {}
        case Or(items):
            return {"$or": [condition(each) for each in items]} if items else _NOTHING
        case Not(inner):
            return {"$nor": [condition(inner)]}
        case HasMedia(present):
            return {"media": {"$ne" if present else "$eq": None}}
        case Equal(name, value):
            return {name: {"$eq": value}}
        case In(name, values):
            return {name: {"$in": list(values)}}
        case Prefix(name, text):
            return _between(name, text, prefix_end(text))
        case Range(name, minimum, below):
            return _between(name, minimum, below)


def _between(name: str, minimum: str | int | None, below: str | int | None) -> Filter:
    bounds = {sign: value for sign, value in (("$gte", minimum), ("$lt", below)) if value is not None}
    return {name: bounds or {"$ne": None}}


def _selected(query: Query) -> Filter:
    chosen: Filter = {"account_id": query.account_id, "shelf": query.shelf.value}
    if query.owner_id is not None:
        chosen["owner_id"] = query.owner_id
    return chosen


def _all(*filters: Filter) -> Filter:
    given = [each for each in filters if each]
    return given[0] if len(given) == 1 else {"$and": given}


def find(query: Query, parts: Sequence[Scan], *, down: bool) -> Find:
    """How to read the ranges of a page, in one go: what lacks the key and what has it lie side by side in an index."""
    way = DESCENDING if down else ASCENDING
    found = lookup(query)
    key = query.order.field.value
    if found is not None:
        # Few rows: they are found by what they have in common, and sorted.
        within = {"$or": [_all(*_beyond(key, part)) for part in parts]}
        chosen = _all(_selected(query), condition(query.where), within)
        return Find(chosen, lookup_index(found.field), [(key, way), ("_id", way)])
    owner = query.owner_id is not None
    keys = index_keys(query.order.field, owner=owner)
    first, last = (parts[-1], parts[0]) if down else (parts[0], parts[-1])
    prefix = [query.account_id, *([query.owner_id] if owner else []), query.shelf.value]
    return Find(
        # The range holds account, owner and shelf; the account is named to let a router find its shard.
        _all({"account_id": query.account_id}, condition(query.where)),
        index_of(query.order.field, owner=owner),
        # Sorting by the whole of the index says that its own order is meant: nothing is left to be sorted.
        [(name, way) for name in keys],
        dict(zip(keys, [*prefix, *_low_end(first)], strict=True)),
        dict(zip(keys, [*prefix, *_high_end(last)], strict=True)),
    )


def _low_end(scan: Scan) -> tuple[Any, Any]:
    """The first (key, id) that belongs to a scan."""
    if isinstance(scan, Missing):
        return (None, _LOWEST if scan.low is None else _next(scan.low))
    # Whatever has a key comes after the last of those that have none.
    return (None, _HIGHEST) if scan.low is None else (scan.low[0], _next(scan.low[1]))


def _high_end(scan: Scan) -> tuple[Any, Any]:
    """The first (key, id) after a scan."""
    if isinstance(scan, Missing):
        return (None, _HIGHEST if scan.high is None else scan.high)
    return scan.high or (_HIGHEST, _HIGHEST)


def _next(text: str) -> str:
    """The least text above another."""
    return f"{text}\0" if text else ""


def _beyond(key: str, scan: Scan) -> list[Filter]:
    if isinstance(scan, Missing):
        ids = {sign: bound for sign, bound in (("$gt", scan.low), ("$lt", scan.high)) if bound is not None}
        return [{key: None, **({"_id": ids} if ids else {})}]
    sides = [_side(key, sign, bound) for sign, bound in (("$gt", scan.low), ("$lt", scan.high)) if bound is not None]
    return [{key: {"$ne": None}}, *sides]


def _side(key: str, sign: str, bound: Bound) -> Filter:
    return {"$or": [{key: {sign: bound[0]}}, {key: bound[0], "_id": {sign: bound[1]}}]}


def count(query: Query) -> Find:
    """How to count a query: by its look-up, or from the order's index within what the filter leaves of it."""
    found = lookup(query)
    hint = lookup_index(found.field) if found else index_of(query.order.field, owner=query.owner_id is not None)
    part = narrowed(query)
    within = _beyond(query.order.field.value, Present(part.low, part.high)) if part else []
    return Find(_all(_selected(query), condition(query.where), *within), hint)
