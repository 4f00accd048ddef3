"""The index ranges that hold a page: at most two, at any depth of the listing.

If the sort key may be null, the rows without a key form a range of their own, before the other rows. No range spans
both, so the result never depends on how a store compares null with a value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeGuard

from adapters.metadata.selections import Node, Selection, Span, conjuncts, to_node
from recordings.model.query import OrderField, PageRequest, Position, Query

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
    ranges = [_selected_range(item) for item in conjuncts(to_node(query.where)) if is_range(item, query.order.field)]
    if not ranges:
        return None
    lows = [part.low for part in ranges if part.low is not None]
    highs = [part.high for part in ranges if part.high is not None]
    return RowsWithKey(max(lows, default=None), min(highs, default=None))


def is_range(node: Node, order: OrderField) -> TypeGuard[Selection]:
    """Return true if a node is one range of the sort key: then `filtered_range` contains it."""
    return (
        isinstance(node, Selection)
        and node.field == order
        and not node.null
        and len(node.values) + len(node.spans) == 1
    )


def _selected_range(selection: Selection) -> RowsWithKey:
    span = selection.spans[0] if selection.spans else Span.of(selection.values[0])
    return RowsWithKey(_first_bound(span.low), _first_bound(span.high))


def _first_bound(key: Key | None) -> Bound | None:
    return None if key is None else (key, "")
