"""Translate queries to MongoDB filters.

MongoDB's logic has two values, like the logic of a `Condition`. MongoDB compares a text only with texts and a number
only with numbers, so null is in no range. It compares texts byte by byte in UTF-8, which is the order of code points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import ASCENDING, DESCENDING

from adapters.metadata.access_path import Access, Scan, Tally
from adapters.metadata.index_ranges import Bound, IndexRange, RowsWithKey, RowsWithoutKey
from adapters.metadata.metadata_terms import TERMS, term_of
from adapters.metadata.mongodb.indexes import RECORDINGS, field_index, field_keys, index_keys, index_of
from adapters.metadata.selections import Selection
from recordings.model.fields import PARTS
from recordings.model.query import (
    NUMBER_FIELDS,
    UNLIMITED,
    And,
    Condition,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    OrderField,
    Prefix,
    Query,
    Range,
    prefix_end,
)
from recordings.model.recording import Shelf

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


def condition(item: Condition) -> Filter:  # noqa: C901, PLR0911 - one `return` for each kind of condition
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
        case HasMetadata():
            return {TERMS: term_of(item)}
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


def on_any_shelf(query: Query) -> Filter:
    """Return the filter for the account and the shelf, for an index that has the shelf before other fields."""
    shelf = _on_shelf(query) or {"shelf": {"$in": [shelf.value for shelf in Shelf]}}
    return {"account_id": query.account_id, **shelf}


def _all(*filters: Filter) -> Filter:
    args = [each for each in filters if each]
    return args[0] if len(args) == 1 else {"$and": args}


def find(query: Query, way: Access) -> Find:
    """Return one `find` for all ranges of a page: rows without and with the sort key are adjacent in an index."""
    where = condition(query.where)
    if way.keys is not None or way.within is not None:
        direction = DESCENDING if way.descending else ASCENDING
        key = query.order.field.value
        parts = {"$or": [_all(*_beyond(key, index_range)) for index_range in way.parts]}
        if way.within is None:
            found = Find({"_id": {"$in": way.keys}, **_selected(query)}, "_id_")
        else:
            found = scan(query, way.within)
        of_owner = {} if query.owner_id is None else {"owner_id": query.owner_id}
        selection = _all(found.filter, of_owner, where, parts)
        return Find(selection, found.hint, [(key, direction), ("_id", direction)])
    # The index bounds already contain account, owner and shelf. A router of a sharded cluster needs `account_id`.
    found = ordered(query, way, way.parts)
    return replace(found, filter=_all(found.filter, where))


def ordered(query: Query, way: Access, parts: Sequence[IndexRange]) -> Find:
    """Return a `find` for all rows in ranges of the index of an access path, in its order."""
    direction = DESCENDING if way.descending else ASCENDING
    first, last = (parts[-1], parts[0]) if way.descending else (parts[0], parts[-1])
    owner = query.owner_id is not None
    hint, keys = index_of(query.order.field, owner=owner), index_keys(query.order.field, owner=owner)
    known: Filter = _selected(query)
    if way.anchor is not None and way.anchor.field == TERMS:
        # An index of arrays gives an order only to a filter, not to `min` and `max`.
        within = [each for part in parts for each in _starts(part)]
        order = [(query.order.field.value, direction), ("_id", direction)]
        return Find(_all({**known, TERMS: way.anchor.values[0]}, *within), field_index(TERMS), order)
    if way.anchor is not None:
        known[way.anchor.field] = way.anchor.values[0] if way.anchor.values else None
        hint, keys = selection_index(way.anchor), field_keys(way.anchor.field)
        if way.anchor.field == "owner_id":
            keys = index_keys(query.order.field, owner=True)
    prefix = [known[name] for name in keys[:-2]]
    return Find(
        {"account_id": query.account_id, **({} if "shelf" in keys else _on_shelf(query))},
        hint,
        # The sort names all keys of the index, so MongoDB reads in index order and sorts nothing.
        [(name, direction) for name in keys],
        dict(zip(keys, [*prefix, *_low_end(first)], strict=True)),
        dict(zip(keys, [*prefix, *_high_end(last)], strict=True)),
    )


def selection_index(selection: Selection) -> str:
    """Return the index of the field of a selection."""
    if selection.field == "owner_id":
        return index_of(OrderField.START, owner=True)
    if selection.field in NUMBER_FIELDS and selection.field in set(OrderField):
        return index_of(OrderField(selection.field), owner=False)
    return field_index(selection.field)


def scan(query: Query, selection: Selection) -> Find:
    """Return the filter and the index for all rows of a selection. The owner is not part of it."""
    name = path(selection.field)
    ranges: list[Filter] = [_between(selection.field, span.low, span.high) for span in selection.spans]
    ranges += [{name: {"$in": list(selection.values)}}] if selection.values else []
    ranges += [{name: None}] if selection.null else []
    within = ranges[0] if len(ranges) == 1 else {"$or": ranges} if ranges else _NOTHING
    return Find({**on_any_shelf(query), **within}, selection_index(selection))


def as_array(selected: Filter, limit: int, number: int = 0) -> list[Filter]:
    """Return the stages for one document with the ids of the first rows of a filter. Without rows, it is missing."""
    return [{"$match": selected}, {"$limit": limit}, {"$group": {"_id": number, "ids": {"$push": "$_id"}}}]


def common(query: Query, asked: Scan) -> tuple[list[Filter], str]:
    """Return the stages and the index for the ids that are in two sets, or in one set and not in the other.

    MongoDB compares the two sets. The thousands of ids would occupy the event loop of this process.
    """
    (one,), *sets = asked.sets
    ((other,),) = sets or [asked.without]
    found = scan(query, one)
    arrays = [{"$max": {"$cond": [{"$eq": ["$_id", number]}, "$ids", []]}} for number in (0, 1)]
    compared = {"$setIntersection" if sets else "$setDifference": ["$one", "$other"]}
    stages = [
        *as_array(found.filter, UNLIMITED),
        {"$unionWith": {"coll": RECORDINGS, "pipeline": as_array(scan(query, other).filter, UNLIMITED, 1)}},
        {"$group": {"_id": None, "one": arrays[0], "other": arrays[1]}},
        {"$project": {"ids": {"$slice": [compared, asked.limit + 1]}}},
    ]
    return stages, found.hint


def tally(query: Query, asked: Tally) -> Find:
    """Return the filter and the index to count a selection, or ranges of the order's index."""
    if asked.selection is not None:
        return scan(query, asked.selection)
    order, owner = query.order.field, query.owner_id is not None
    if len(asked.parts) > 1 or (asked.parts[0] == RowsWithKey() and not order.nullable):
        # All rows. The index of MODIFIED has no shelf.
        return Find(_selected(query), index_of(OrderField.START if query.shelf else order, owner=owner))
    (part,) = asked.parts
    # A count has no cursor, so its bounds are keys.
    assert isinstance(part, RowsWithKey)  # noqa: S101 - for the type checker
    low, high = (None if bound is None else bound[0] for bound in (part.low, part.high))
    return Find({**_selected(query), **_between(order.value, low, high)}, index_of(order, owner=owner))


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
    bounds = [
        (sign, bound) for sign, bound in (("$gt", index_range.low), ("$lt", index_range.high)) if bound is not None
    ]
    # The first filter bounds the index scan; `$or` alone bounds one side only.
    keys: Filter = {f"{sign}e": bound[0] for sign, bound in bounds} or {"$ne": None}
    return [{key: keys}, *(_side(key, sign, bound) for sign, bound in bounds)]


def _starts(index_range: IndexRange) -> list[Filter]:
    """Return the filter for a range of `start`, as bounds of an index. Each recording has a `start`."""
    sides = (("$gte", "$lte", index_range.low), ("$lte", "$gte", index_range.high))
    return [
        {"start": {within: bound[0]}, "$nor": [{"start": bound[0], "_id": {beyond: bound[1]}}]}
        for within, beyond, bound in sides
        if isinstance(bound, tuple)
    ]


def _side(key: str, sign: str, bound: Bound) -> Filter:
    return {"$or": [{key: {sign: bound[0]}}, {key: bound[0], "_id": {sign: bound[1]}}]}


def count(query: Query, way: Access) -> Find:
    """Return the filter and the index to count the rows of an access path that the query selects."""
    if way.keys is not None or way.within is not None:
        return find(query, way)
    within = [_all(*_beyond(query.order.field.value, part)) for part in way.parts]
    hint = index_of(query.order.field, owner=query.owner_id is not None)
    return Find(_all(_selected(query), condition(query.where), {"$or": within}), hint)
