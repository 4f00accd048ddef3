"""A page as at most two ranges of an index, whatever its depth.

Where the sort key may be missing, the rows that lack it are a range of their own, in front of the others: no range
ever spans both, so no store's idea of how nothing compares with something comes into it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recordings.model.query import (
    And,
    Condition,
    Equal,
    OrderField,
    PageRequest,
    Position,
    Prefix,
    Query,
    Range,
    prefix_end,
)

Key = str | int
Bound = tuple[Key, str]
"""A sort key and an id. An empty id comes before all ids: `(key, "")` is just below the first row of that key."""

LEAST_NUMBER: Final = -(2**63)
LOOKUPS: Final = ("call_id", "interaction_id")
"""Fields of which one value has few rows: equality with one is looked up, and what is found is sorted."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows that lack the sort key, with ids between these, both exclusive; `None` is open."""

    low: str | None = None
    high: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be in it."""
        return self.low is not None and self.high is not None and self.low >= self.high


@dataclass(frozen=True, slots=True)
class Present:
    """Rows that have the sort key, between these bounds, both exclusive; `None` is open."""

    low: Bound | None = None
    high: Bound | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be in it."""
        return self.low is not None and self.high is not None and self.low >= self.high


Scan = Missing | Present


def walks_down(query: Query, request: PageRequest) -> bool:
    """Whether the ranges are to be read from their high end."""
    return query.order.descending is not request.backward


def scans(query: Query, request: PageRequest) -> list[Scan]:
    """The ranges that hold a page, in the direction in which it is to be read."""
    low, high = request.after, request.before
    if query.order.descending:
        low, high = high, low
    narrow = narrowed(query)
    found: list[Scan] = list(_missing(low, high)) if query.order.field.nullable and narrow is None else []
    if high is None or high.key is not None:
        found.append(_present(low, high, narrow or Present()))
    found = [scan for scan in found if not scan.is_empty]
    return found[::-1] if walks_down(query, request) else found


def _missing(low: Position | None, high: Position | None) -> Iterator[Missing]:
    if low is None or low.key is None:
        yield Missing(low.id if low else None, high.id if high and high.key is None else None)


def _present(low: Position | None, high: Position | None, within: Present) -> Present:
    lows = [bound for bound in (_bound(low), within.low) if bound is not None]
    highs = [bound for bound in (_bound(high), within.high) if bound is not None]
    return Present(max(lows, default=None), min(highs, default=None))


def _bound(position: Position | None) -> Bound | None:
    return None if position is None or position.key is None else (position.key, position.id)


def narrowed(query: Query) -> Present | None:
    """The part of the order that the filter leaves, if every row it selects has a sort key within one range."""
    ranges = [part for item in required(query.where) if (part := _range(query.order.field, item)) is not None]
    if not ranges:
        return None
    lows = [part.low for part in ranges if part.low is not None]
    highs = [part.high for part in ranges if part.high is not None]
    return Present(max(lows, default=None), min(highs, default=None))


def required(condition: Condition) -> Iterator[Condition]:
    """The conditions that every selected row meets, as far as that is plain to see."""
    if isinstance(condition, And):
        for item in condition.items:
            yield from required(item)
    else:
        yield condition


def _range(field: OrderField, condition: Condition) -> Present | None:
    match condition:
        case Range(name, minimum, below) if name == field:
            return Present(_start(minimum), _start(below))
        case Prefix(name, text) if name == field:
            return Present(_start(text), _start(prefix_end(text)))
        case Equal(name, value) if name == field and value is not None:
            return Present(_start(value), _start(value + "\0" if isinstance(value, str) else value + 1))
    return None


def _start(key: Key | None) -> Bound | None:
    return None if key is None else (key, "")


def lookup(query: Query) -> Equal | None:
    """A condition that leaves so few rows that they are looked up by it, whatever the order."""
    for item in required(query.where):
        if isinstance(item, Equal) and item.field in LOOKUPS and item.value is not None:
            return item
    return None
