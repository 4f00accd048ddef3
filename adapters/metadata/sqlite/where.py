"""Queries in SQL.

SQL's logic has three values and the vocabulary's two: every condition is written so that it is true or false on any
row, never unknown. The unary `+` keeps SQLite from choosing an index by a condition: which range of which index is
read is decided here, and stays what it was as the table grows.
"""

from collections.abc import Sequence
from typing import Any, Final

from adapters.metadata.index_ranges import LEAST_NUMBER, Missing, Scan, lookup, narrowed
from adapters.metadata.sqlite.migrations import TABLE, column, index_of, lookup_index
from recordings.model.query import (
    And,
    Condition,
    Equal,
    HasMedia,
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
"""A piece of SQL and its parameters."""

_TRUE: Final = "1"
_FALSE: Final = "0"


def condition(item: Condition) -> Sql:  # noqa: PLR0911 - one line a kind of condition reads best
    """A condition as an expression that is 1 or 0."""
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
    given = [(text, value) for text, value in bounds if value is not None]
    return _present(field, *(text for text, _ in given)), [value for _, value in given]


def _present(field: str, *parts: str) -> str:
    return f"({' AND '.join((f'{column(field)} IS NOT NULL', *parts))})"


def selection(query: Query) -> tuple[str, list[Any]]:
    """`FROM ... WHERE ...` of a query, by the index that suits it."""
    found = lookup(query)
    owner = query.owner_id is not None
    index = lookup_index(found.field) if found else index_of(query.order.field, owner=owner)
    terms: list[tuple[str, Any]] = [("account_id = ?", query.account_id), ("shelf = ?", query.shelf.value)]
    terms += [("owner_id = ?", query.owner_id)] if owner else []
    terms += [(f"{column(found.field)} = ?", found.value)] if found else []
    text, values = condition(query.where)
    where = " AND ".join((*(term for term, _ in terms), text))
    return f"FROM {TABLE} INDEXED BY {index} WHERE {where}", [*(value for _, value in terms), *values]


def bounds(field: OrderField, scan: Scan) -> Sql:
    """The range of a scan, as further terms."""
    key = column(field.value)
    if isinstance(scan, Missing):
        return _terms([(f"{key} IS NULL", None), ("id > ?", scan.low), ("id < ?", scan.high)], first=True)
    low = scan.low or ((_least(field), "") if field.nullable else None)
    return _terms([(f"({key}, id) > (?, ?)", low), (f"({key}, id) < (?, ?)", scan.high)])


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
    return "" if field is OrderField.CALLER else LEAST_NUMBER


def page(query: Query, scan: Scan, names: Sequence[str], *, down: bool, limit: int) -> Sql:
    """The statement that reads one scan."""
    chosen, values = selection(query)
    range_, more = bounds(query.order.field, scan)
    way = "DESC" if down else "ASC"
    columns = ", ".join(column(name) for name in names)
    key = column(query.order.field.value)
    return (
        f"SELECT {columns} {chosen}{range_} ORDER BY {key} {way}, id {way} LIMIT ?",
        [*values, *more, limit],
    )


def count(query: Query) -> Sql:
    """The statement that counts a query, within the part of the order that its filter leaves."""
    chosen, values = selection(query)
    part = narrowed(query)
    range_, more = bounds(query.order.field, part) if part else ("", ())
    return f"SELECT count(*) {chosen}{range_}", [*values, *more]
