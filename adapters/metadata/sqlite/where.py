"""Translate queries to SQL.

SQL's logic has three values, the logic of a `Condition` has two. So every generated expression is true or false for
every row, never unknown. The unary `+` stops SQLite from using a condition to choose an index. This module chooses
the index and its range, so the choice does not change as the table grows.
"""

from collections.abc import Sequence
from typing import Any, Final

from adapters.metadata.index_ranges import MIN_INTEGER, IndexRange, RowsWithoutKey, filtered_range, lookup_condition
from adapters.metadata.sqlite.migrations import TABLE, column, index_of, lookup_index
from recordings.model.query import (
    And,
    Condition,
    Equal,
    HasMedia,
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

Sql = tuple[str, Sequence[Any]]
"""SQL text and its parameters."""

_TRUE: Final = "1"
_FALSE: Final = "0"


def condition(item: Condition) -> Sql:  # noqa: PLR0911 - one `return` for each kind of condition
    """Translate a condition to an expression that is 1 or 0."""
    match item:
        case And(items):
            return _joined(" AND ", items, _TRUE)
        case Or(items):
            return _joined(" OR ", items, _FALSE)
        case Not(inner):
            text, values = condition(inner)
            return f"NOT ({text})", values
        case HasMedia(present):
            return f"media IS {'NOT ' if present else ''}NULL", ()
        case Held(present):
            return f"hold IS {'NOT ' if present else ''}NULL", ()
        case Equal(field, value):
            return f"+{column(field)} IS ?", (value,)
        case In(field, values):
            return _present(field, f"+{column(field)} IN ({', '.join('?' * len(values))})"), values
        case Prefix(field, text):
            return _between(field, text, prefix_end(text))
        case Range(field, minimum, below):
            return _between(field, minimum, below)


def _joined(word: str, items: Sequence[Condition], empty: str) -> Sql:
    parts = [condition(item) for item in items]
    return f"({word.join(text for text, _ in parts) or empty})", [value for _, values in parts for value in values]


def _between(field: str, minimum: str | int | None, below: str | int | None) -> Sql:
    bounds = [(f"+{column(field)} {sign} ?", value) for sign, value in ((">=", minimum), ("<", below))]
    bounded = [(text, value) for text, value in bounds if value is not None]
    return _present(field, *(text for text, _ in bounded)), [value for _, value in bounded]


def _present(field: str, *parts: str) -> str:
    return f"({' AND '.join((f'+{column(field)} IS NOT NULL', *parts))})"


def selection(query: Query) -> tuple[str, list[Any]]:
    """Return `FROM ... WHERE ...` for a query, with the index to use."""
    found = lookup_condition(query)
    owner = query.owner_id is not None
    index = lookup_index(found.field) if found else index_of(query.order.field, owner=owner)
    terms: list[tuple[str, Any]] = [("account_id = ?", query.account_id)]
    terms += [("owner_id = ?", query.owner_id)] if owner else []
    terms += [("shelf = ?", query.shelf.value)] if query.shelf is not None else []
    text, values = condition(query.where)
    sought: Sequence[Any] = found.values if found else ()
    looked_up = [f"{column(found.field)} IN ({', '.join('?' * len(sought))})"] if found else []
    where = " AND ".join((*(term for term, _ in terms), *looked_up, text))
    return f"FROM {TABLE} INDEXED BY {index} WHERE {where}", [*(value for _, value in terms), *sought, *values]


def bounds(field: OrderField, index_range: IndexRange) -> Sql:
    """Return the bounds of an index range, as further terms of the WHERE clause."""
    key = column(field.value)
    if isinstance(index_range, RowsWithoutKey):
        return _terms([(f"{key} IS NULL", None), ("id > ?", index_range.low), ("id < ?", index_range.high)], first=True)
    low = index_range.low or ((_least(field), "") if field.nullable else None)
    return _terms([(f"({key}, id) > (?, ?)", low), (f"({key}, id) < (?, ?)", index_range.high)])


def _terms(terms: list[tuple[str, Any]], *, first: bool = False) -> Sql:
    values: list[Any] = []
    text = ""
    for number, (term, value) in enumerate(terms):
        if value is not None:
            values.extend(value if isinstance(value, tuple) else (value,))
        if value is not None or (first and number == 0):
            text += f" AND {term}"
    return text, values


def _least(field: OrderField) -> str | int:
    return "" if field is OrderField.CALLER else MIN_INTEGER


def page(query: Query, index_range: IndexRange, names: Sequence[str], *, down: bool, limit: int) -> Sql:
    """Return the statement that reads one index range."""
    source, values = selection(query)
    range_terms, range_values = bounds(query.order.field, index_range)
    direction = "DESC" if down else "ASC"
    columns = ", ".join(column(name) for name in names)
    key = column(query.order.field.value)
    return (
        f"SELECT {columns} {source}{range_terms} ORDER BY {key} {direction}, id {direction} LIMIT ?",
        [*values, *range_values, limit],
    )


def count(query: Query) -> Sql:
    """Return the statement that counts a query, within the index range that its filter selects."""
    source, values = selection(query)
    part = filtered_range(query)
    range_terms, range_values = bounds(query.order.field, part) if part else ("", ())
    return f"SELECT count(*) {source}{range_terms}", [*values, *range_values]
