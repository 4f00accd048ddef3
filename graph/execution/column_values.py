"""Conversion of result values, one column at a time.

A `Kind` describes a column. Its `shape` is a Python type, which msgspec checks in C for a whole page at once: strings,
booleans, 32-bit integers, enumeration values and lists of them, each nullable or not. Its `change` converts the checked
column to the values of the response; `None` means that the values stay unchanged. If graphql-core would return another
value or an error, the check or the conversion raises any exception, and graphql-core completes the same data.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import GenericAlias
from typing import Annotated, Any, Final, Literal

from graphql import GraphQLEnumType, GraphQLLeafType, GraphQLScalarType, Undefined
from msgspec import Meta

from graph.execution.raw_columns import RawEdges
from recordings.model.instants import MINUTE, SECOND, Millis, to_iso
from recordings.model.raw_rows import Form, RawRows, Written

Values = Sequence[Any]
Change = Callable[[Values, Any], Values]
"""Converts a column to the column of the response. The second argument is graphql-core's `info` of the page's field."""


class BailError(Exception):
    """A value that a plan does not support."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The type check of a column, and its conversion. `change` gets only values of `shape`.

    `refuses_null` is true if `change` itself raises for a null. `written` says how a store encodes the same values, if
    it can.
    """

    shape: Any = Any
    change: Change | None = None
    refuses_null: bool = False
    written: Written | None = None


_LISTS: Final = (list, tuple, RawRows, RawEdges)
_MINUTE_TEXT: Final = len("2026-11-22T08:19:")
_MAX_MINUTES: Final = 4_096
_SECONDS: Final = tuple(f"{second:02d}." for second in range(60))
_MILLIS: Final = tuple(f"{rest:03d}Z" for rest in range(SECOND))


class _Minutes(dict[int, str]):
    """The text of a minute by its number. Recordings of one page share few minutes."""

    def __missing__(self, minute: int) -> str:
        text = to_iso(minute * MINUTE)[:_MINUTE_TEXT]
        if len(self) >= _MAX_MINUTES:
            self.clear()
        self[minute] = text
        return text


_minutes: Final = _Minutes()


def instant_texts(column: Sequence[Millis]) -> list[str]:
    """Convert instants to RFC 3339 texts, equal to those of `recordings.model.instants.to_iso`.

    `to_iso` costs 1.3 µs, most of it in `strftime`: a page of 100 rows with two instants would spend 0.26 ms there.
    This function caches the text of the minute and looks up the rest, at 0.2 µs a value. The rest is in two small
    tables instead of one with 60,000 texts. One large table is faster alone, but slower when it shares the processor's
    cache with the rest of a request (1.0 µs a value instead of 0.7).
    """
    minutes, seconds, millis = _minutes, _SECONDS, _MILLIS
    return [
        f"{minutes[second // 60]}{seconds[second % 60]}{millis[at - second * 1_000]}"
        for at in column
        for second in (at // 1_000,)
    ]


_INT: Final = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_BUILT_IN: Final[Mapping[str, Kind]] = {
    "String": Kind(str, written=Written(Form.TEXT)),
    "ID": Kind(str, written=Written(Form.TEXT)),
    "Boolean": Kind(bool),
    "Int": Kind(_INT, written=Written(Form.INTEGER)),
}
INSTANTS: Final = Kind(int, lambda values, _info: instant_texts(values), written=Written(Form.INSTANT))
"""Instants in milliseconds, returned as RFC 3339 texts."""
TEXTS: Final = Kind(str, written=Written(Form.TEXT))
"""A scalar that is returned as the text that it is."""


def leaf(kind: GraphQLLeafType, scalars: Mapping[str, Kind]) -> Kind:
    """Return the kind of a scalar or an enumeration. `scalars` are the kinds of the schema's own scalars."""
    if isinstance(kind, GraphQLEnumType):
        return _enum(kind)
    known = {**_BUILT_IN, **scalars}.get(kind.name)
    return known if known is not None else Kind(change=_coerced(kind))


def _enum(kind: GraphQLEnumType) -> Kind:
    names = {value.value: name for name, value in kind.values.items() if type(value.value) is str}
    if len(names) != len(kind.values):
        return Kind(change=_coerced(kind))
    shape: Any = Literal.__getitem__(tuple(names))
    written = Written(Form.CHOICE, choices=tuple(names.items()))
    if all(value == name for value, name in names.items()):
        return Kind(shape, written=written)
    return Kind(shape, lambda values, _info: [names[value] for value in values], written=written)


def _coerced(kind: GraphQLScalarType | GraphQLEnumType) -> Change:
    coerce = kind.coerce_output_value

    def change(values: Values, _info: Any) -> Values:
        results = [coerce(value) for value in values]
        if any(value is None or value is Undefined for value in results):
            raise BailError
        return results

    return change


def non_null(kind: Kind) -> Kind:
    """Return the kind without nulls."""
    if kind.refuses_null or kind.shape is not Any:
        return kind
    return Kind(Any, _refusing_null(kind.change))


def _refusing_null(change: Change | None) -> Change:
    def checked(values: Values, info: Any) -> Values:
        if any(value is None for value in values):
            raise BailError
        return values if change is None else change(values, info)

    return checked


def nullable(kind: Kind) -> Kind:
    """Return the kind with nulls among its values."""
    shape = kind.shape if kind.shape is Any else kind.shape | None
    written = None if kind.written is None else replace(kind.written, is_nullable=True)
    return Kind(shape, None if kind.change is None else _around_nulls(kind.change), written=written)


def _around_nulls(change: Change) -> Change:
    def changed(values: Values, info: Any) -> Values:
        present = [value for value in values if value is not None]
        results = change(present, info) if present else ()
        if len(present) == len(values):
            return results
        following = iter(results)
        return [None if value is None else next(following) for value in values]

    return changed


def listed(item: Kind) -> Kind:
    """Return the kind of lists of these items. All items of all lists of a column are converted as one column."""
    if item.shape is Any and item.change is not None:
        # msgspec would check nothing but the list, and it does not know lists that are not decoded.
        return Kind(change=_flattened(item.change), refuses_null=True)
    shape = GenericAlias(list, (item.shape,))
    return Kind(shape, None if item.change is None else _flattened(item.change))


def _flattened(change: Change) -> Change:
    def changed(values: Values, info: Any) -> Values:
        if not all(isinstance(value, _LISTS) for value in values):
            raise BailError
        if len(values) == 1:
            return [list(change(values[0], info))]
        items = iter(change(list(chain.from_iterable(values)), info))
        return [_take(items, len(value)) for value in values]

    return changed


def _take(items: Iterator[Any], count: int) -> list[Any]:
    return [next(items) for _ in range(count)]
