"""Translate queries to SQL.

SQL's logic has three values, the logic of a `Condition` has two. So every generated expression is true or false for
every row, never unknown. The unary `+` stops SQLite from using a condition to choose an index. This module chooses
the index and its range, so the choice does not change as the table grows.
"""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

from collections.abc import Iterator, Sequence
from typing import Any, Final

from adapters.metadata.access_path import Access, Scan, Skip, Tally
from adapters.metadata.index_ranges import MIN_INTEGER, IndexRange, RowsWithoutKey
from adapters.metadata.metadata_terms import TERMS, term_of
from adapters.metadata.row_fields import encode
from adapters.metadata.selections import Selection, Span
from adapters.metadata.sqlite.migrations import ID_INDEX, TABLE, column, field_index, index_of
from adapters.metadata.sqlite.terms_schema import TERM_TABLE
from recordings.model.query import (
    NUMBER_FIELDS,
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

Sql = tuple[str, Sequence[Any]]
"""SQL text and its parameters."""

_TRUE: Final = "1"
_FALSE: Final = "0"


def condition(item: Condition) -> Sql:  # noqa: C901, PLR0911 - one `return` for each kind of condition
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
        case HasMetadata():
            # The terms are a JSON list. A term with its quotation marks is in no other one, where they are escaped.
            return f"instr(coalesce({TERMS}, ''), ?) > 0", (encode(term_of(item)),)
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


def _selected(query: Query) -> tuple[str, list[Any]]:
    """Return the terms for the account, the owner and the shelf of a query."""
    terms: list[tuple[str, Any]] = [("account_id = ?", query.account_id)]
    terms += [("owner_id = ?", query.owner_id)] if query.owner_id is not None else []
    terms += [("shelf = ?", query.shelf.value)] if query.shelf is not None else []
    return " AND ".join(term for term, _ in terms), [value for _, value in terms]


def _on_shelves(query: Query) -> tuple[str, list[Any]]:
    """Return the terms for the account and the shelf, for an index that has the shelf before other fields."""
    shelves = list(Shelf) if query.shelf is None else [query.shelf]
    marks = ", ".join("?" * len(shelves))
    return f"account_id = ? AND shelf IN ({marks})", [query.account_id, *(shelf.value for shelf in shelves)]


def _source(query: Query, path: Access) -> Sql:
    """Return `FROM ... WHERE ...` for the rows of an access path, with the index to use."""
    text, values = _selected(query)
    # The candidates are rowids. `NOT INDEXED` leaves SQLite only the look-up by rowid.
    if path.within is not None:
        wanted, keys = rowids(query, [path.within])
        return f"FROM {TABLE} NOT INDEXED WHERE rowid IN ({wanted}) AND {text}", [*keys, *values]
    if path.keys is not None:
        wanted = "rowid IN (SELECT value FROM json_each(?))"
        return f"FROM {TABLE} NOT INDEXED WHERE {wanted} AND {text}", [path.keys, *values]
    if path.anchor is not None:
        value = path.anchor.values[0] if path.anchor.values else None
        if path.anchor.field == TERMS:
            # The names without a table are columns of the first table, so its key has the order of the page.
            joined = f"CROSS JOIN {TABLE} INDEXED BY {ID_INDEX} USING (account_id, shelf, start, id)"
            return f"FROM {TERM_TABLE} {joined} WHERE {text} AND term = ?", [*values, value]
        index = selection_index(path.anchor)
        return f"FROM {TABLE} INDEXED BY {index} WHERE {text} AND {column(path.anchor.field)} IS ?", [*values, value]
    index = index_of(query.order.field, owner=query.owner_id is not None)
    return f"FROM {TABLE} INDEXED BY {index} WHERE {text}", values


def selection_index(selection: Selection) -> str:
    """Return the index of the field of a selection."""
    if selection.field == "owner_id":
        return index_of(OrderField.START, owner=True)
    if selection.field in NUMBER_FIELDS and selection.field in set(OrderField):
        return index_of(OrderField(selection.field), owner=False)
    return field_index(selection.field)


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


def page(query: Query, path: Access, part: IndexRange, names: Sequence[str], limit: int) -> Sql:
    """Return the statement that reads one range of an access path."""
    source, values = _source(query, path)
    where, where_values = condition(query.where)
    range_terms, range_values = bounds(query.order.field, part)
    columns = ", ".join(f"{TABLE}.{column(name)}" for name in names)
    rest = f"{source} AND {where}{range_terms} {_ordered(query, path)} LIMIT ?"
    parameters = [*values, *where_values, *range_values, limit]
    if path.within is None and path.keys is None:
        return f"SELECT {columns} {rest}", parameters
    # SQLite sorts the rowids of all candidates, and reads the other columns of this page only.
    return f"SELECT {columns} FROM (SELECT rowid AS key {rest}) CROSS JOIN {TABLE} ON {TABLE}.rowid = key", parameters


def _ordered(query: Query, path: Access) -> str:
    direction = "DESC" if path.descending else "ASC"
    return f"ORDER BY {column(query.order.field.value)} {direction}, id {direction}"


def count(query: Query, path: Access, part: IndexRange) -> Sql:
    """Return the statement that counts the rows of a range of an access path that the filter selects."""
    source, values = _source(query, path)
    where, where_values = condition(query.where)
    range_terms, range_values = bounds(query.order.field, part)
    return f"SELECT count(*) {source} AND {where}{range_terms}", [*values, *where_values, *range_values]


def skip(query: Query, asked: Skip) -> Sql:
    """Return the statement that finds the position of the row after the first rows of a range."""
    source, values = _source(query, asked.path)
    terms, range_values = bounds(query.order.field, asked.part)
    columns = f"{column(query.order.field.value)}, id"
    text = f"SELECT {columns} {source}{terms} {_ordered(query, asked.path)} LIMIT 1 OFFSET ?"
    return text, [*values, *range_values, asked.rows]


def rowids(query: Query, selections: Sequence[Selection]) -> Sql:
    """Return the statement for the rowids of all rows of selections. A rowid may be in it several times."""
    found = [scan for selection in selections for scan in scans(query, selection)]
    text = " UNION ALL ".join(f"SELECT {TABLE}.rowid AS key {source}" for source, _ in found)
    return text or "SELECT 0 AS key WHERE 0", [value for _, values in found for value in values]


def keys(query: Query, asked: Scan) -> Sql:
    """Return the statement for the rowids of a scan: their number, and a JSON list.

    The list is one value. Python's threads change after each row that SQLite returns, which takes a long time if
    another thread computes.
    """
    parts = [(" INTERSECT ", rowids(query, each)) for each in asked.sets]
    parts += [(" EXCEPT ", rowids(query, [each])) for each in asked.without]
    common = "".join(f"{operator if number else ''}SELECT DISTINCT key FROM ({text})"
                     for number, (operator, (text, _)) in enumerate(parts))  # fmt: skip
    values = [value for _, (_, parameters) in parts for value in parameters]
    return f"SELECT count(*), json_group_array(key) FROM ({common} LIMIT ?)", [*values, asked.limit + 1]


def scans(query: Query, selection: Selection) -> Iterator[tuple[str, list[Any]]]:
    """Yield `FROM ... WHERE ...` for each index range of a selection. The owner is not part of it."""
    text, values = _on_shelves(query)
    if selection.field == TERMS:
        found, parameters = _having_term(query, selection)
        yield f"FROM (SELECT id {found}) CROSS JOIN {TABLE} INDEXED BY {ID_INDEX} USING (id) WHERE 1", parameters
        return
    source = f"FROM {TABLE} INDEXED BY {selection_index(selection)} WHERE {text}"
    name = column(selection.field)
    if selection.values:
        # A list of any length is one parameter, so that all lengths share one prepared statement.
        yield f"{source} AND {name} IN (SELECT value FROM json_each(?))", [*values, encode(list(selection.values))]
    for span in selection.spans:
        terms, bounds_ = _span(name, span)
        yield f"{source}{terms}", [*values, *bounds_]
    if selection.null:
        yield f"{source} AND {name} IS NULL", values


def _having_term(query: Query, selection: Selection) -> tuple[str, list[Any]]:
    text, values = _on_shelves(query)
    return f"FROM {TERM_TABLE} WHERE {text} AND term = ?", [*values, *selection.values]


def _span(name: str, span: Span) -> tuple[str, list[Any]]:
    ends = [(f" AND {name} {sign} ?", value) for sign, value in ((">=", span.low), ("<", span.high))]
    given = [(text, value) for text, value in ends if value is not None]
    return "".join(text for text, _ in given) or f" AND {name} IS NOT NULL", [value for _, value in given]


def tallies(query: Query, asked: Tally) -> Iterator[tuple[str, list[Any]]]:
    """Yield `FROM ... WHERE ...` for each index range to count."""
    if asked.selection is not None and asked.selection.field == TERMS:
        yield _having_term(query, asked.selection)
        return
    if asked.selection is not None:
        yield from scans(query, asked.selection)
        return
    for part in asked.parts:
        source, values = _source(query, Access(asked.parts, descending=False))
        terms, range_values = bounds(query.order.field, part)
        yield f"{source}{terms}", [*values, *range_values]


def facets(query: Query, limit: int) -> Sql:
    """Return the statement that lists the different facets: one look-up in the index for each."""
    text, values = _on_shelves(query)
    least = f"SELECT min(facets) FROM {TABLE} INDEXED BY {field_index('facets')} WHERE {text}"
    following = f"SELECT ({least} AND facets > found.facets) FROM found WHERE found.facets IS NOT NULL"
    listed = f"WITH RECURSIVE found(facets) AS ({least} UNION ALL {following})"
    return f"{listed} SELECT facets FROM found WHERE facets IS NOT NULL LIMIT ?", [*values, *values, limit]
