"""The index ranges that hold a page: at most two, at any depth of the listing.

If the sort key may be null, the rows without a key form a range of their own, before the other rows. No range spans
both, so the result never depends on how a store compares null with a value.
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
"""A sort key and an id. The empty id sorts before all ids, so `(key, "")` lies just before all rows with that key."""

MIN_INTEGER: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class RowsWithoutKey:
    """The rows without a sort key and with an id between `low` and `high`, both exclusive. `None` means no bound."""

    low: str | None = None
    high: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no row can be in this range."""
        return self.low is not None and self.high is not None and self.low >= self.high


@dataclass(frozen=True, slots=True)
class RowsWithKey:
    """The rows with a sort key between `low` and `high`, both exclusive. `None` means no bound."""

    low: Bound | None = None
    high: Bound | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no row can be in this range."""
        return self.low is not None and self.high is not None and self.low >= self.high


IndexRange = RowsWithoutKey | RowsWithKey


def reads_descending(query: Query, request: PageRequest) -> bool:
    """Return true if the ranges must be read from their high end."""
    return query.order.descending is not request.backward


def page_ranges(query: Query, request: PageRequest) -> list[IndexRange]:
    """Return the ranges that hold a page, in the order in which to read them."""
    low, high = request.after, request.before
    if query.order.descending:
        low, high = high, low
    filtered = filtered_range(query)
    found: list[IndexRange] = (
        list(_range_without_key(low, high)) if query.order.field.nullable and filtered is None else []
    )
    if high is None or high.key is not None:
        found.append(_range_with_key(low, high, filtered or RowsWithKey()))
    found = [index_range for index_range in found if not index_range.is_empty]
    return found[::-1] if reads_descending(query, request) else found


def _range_without_key(low: Position | None, high: Position | None) -> Iterator[RowsWithoutKey]:
    if low is None or low.key is None:
        yield RowsWithoutKey(low.id if low else None, high.id if high and high.key is None else None)


def _range_with_key(low: Position | None, high: Position | None, limits: RowsWithKey) -> RowsWithKey:
    lows = [bound for bound in (_position_bound(low), limits.low) if bound is not None]
    highs = [bound for bound in (_position_bound(high), limits.high) if bound is not None]
    return RowsWithKey(max(lows, default=None), min(highs, default=None))


def _position_bound(position: Position | None) -> Bound | None:
    return None if position is None or position.key is None else (position.key, position.id)


def filtered_range(query: Query) -> RowsWithKey | None:
    """Return the range of sort keys that the filter selects, or `None` if the filter does not bound the sort key."""
    ranges = [
        part
        for item in required_conditions(query.where)
        if (part := _condition_range(query.order.field, item)) is not None
    ]
    if not ranges:
        return None
    lows = [part.low for part in ranges if part.low is not None]
    highs = [part.high for part in ranges if part.high is not None]
    return RowsWithKey(max(lows, default=None), min(highs, default=None))


def required_conditions(condition: Condition) -> Iterator[Condition]:
    """Yield conditions that every selected row meets: the operands of nested ANDs."""
    if isinstance(condition, And):
        for item in condition.items:
            yield from required_conditions(item)
    else:
        yield condition


def _condition_range(field: OrderField, condition: Condition) -> RowsWithKey | None:
    match condition:
        case Range(name, minimum, below) if name == field:
            return RowsWithKey(_first_bound(minimum), _first_bound(below))
        case Prefix(name, text) if name == field:
            return RowsWithKey(_first_bound(text), _first_bound(prefix_end(text)))
        case Equal(name, value) if name == field and value is not None:
            return RowsWithKey(_first_bound(value), _first_bound(value + "\0" if isinstance(value, str) else value + 1))
    return None


def _first_bound(key: Key | None) -> Bound | None:
    return None if key is None else (key, "")
