"""Queries: the filter, the order and the page of a list of recordings.

A store translates a query into its own language. `matches` and `sort_key` define the meaning of a query on plain rows;
the stores are tested against them. A condition is either true or false. A missing value is equal to no value, is in no
range and has no prefix, so `Not` of such a condition is true.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.model.errors import InvalidInput
from recordings.model.fields import FIELDS, PARTS, FieldType, RecordingRow, filterable, value_of
from recordings.model.instants import EARLIEST, LATEST
from recordings.model.recording import Shelf

MAX_PAGE: Final = 100
MAX_CONDITIONS: Final = 64
MAX_LEVELS: Final = 8
"""The maximum number of filters inside one another."""
MAX_DEPTH: Final = 2 * MAX_LEVELS
"""The maximum depth of a condition. A filter in a list of filters is two levels of conditions: `And` in `Or`."""
MAX_VALUES: Final = 100
MAX_TEXT: Final = 512
MAX_NUMBER: Final = 2**53
"""The maximum absolute value of a number that user metadata is compared with."""
MAX_EXAMINED: Final = 10_000
"""The maximum number of rows that a store examines for one page or count."""
MAX_COUNTED: Final = 10_000
"""The largest count of a list. A larger number is not exact."""
UNLIMITED: Final = 10**9
"""The limit of a count that must be exact for an account of any size."""
MAX_DESCENDANTS: Final = 100
"""The maximum number of descendant accounts in one list. Each is read for every page."""

MAX_INTEGER: Final = 2**53
"""The bound of numbers that are neither instants nor durations. JSON numbers are exact up to it."""

_NUMBER_PARTS: Final = frozenset(name for name, part in PARTS.items() if part.type is FieldType.NUMBER)
TEXT_FIELDS: Final = frozenset(filterable(FieldType.TEXT, FieldType.CHOICE)) | (PARTS.keys() - _NUMBER_PARTS)
"""Fields that can be compared with a text (`Equal`, `In`, `Prefix`)."""
NUMBER_FIELDS: Final = frozenset(filterable(FieldType.NUMBER)) | _NUMBER_PARTS
"""Fields that can be compared with a number (`Equal`, `In`, `Range`). Instants and durations are in milliseconds,
`media_length` is in bytes."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The field has this value. `None` means that it has no value."""

    field: str
    value: str | int | None


@dataclass(frozen=True, slots=True)
class In:
    """The field has one of these values."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field's text starts with this text. The comparison is by code points and is case-sensitive."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """The field's number is at least `minimum` and less than `below`. `None` means no limit."""

    field: str
    minimum: int | None = None
    below: int | None = None


@dataclass(frozen=True, slots=True)
class HasMedia:
    """The recording has stored audio, or, if not `present`, has none."""

    present: bool = True


@dataclass(frozen=True, slots=True)
class Held:
    """The recording has a legal hold, or, if not `present`, has none."""

    present: bool = True


@dataclass(frozen=True, slots=True)
class HasMetadata:
    """The recording's user metadata has this key, at the top level, with this value. `None` means any value.

    A null is no value. A text is equal to the same text only, a number to an equal number (1 and 1.0 are equal), and a
    boolean to the same boolean. An object or a list is equal to no value.
    """

    key: str
    value: str | float | bool | None = None


@dataclass(frozen=True, slots=True)
class And:
    """All of these conditions are true. Without conditions, it is always true."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these conditions is true. Without conditions, it is never true."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This condition is false."""

    item: "Condition"


Condition = Equal | In | Prefix | Range | HasMedia | Held | HasMetadata | And | Or | Not
EVERYTHING: Final = And(())


class OrderField(StrEnum):
    """A field that a list can be sorted by. Each has an index in both stores, with and without an owner."""

    START = "start"
    CREATED = "created"
    ENDED = "ended"
    DURATION = "duration_ms"
    CALLER = "caller_id_number"
    MODIFIED = "changed"
    """The order of changes. Only a list in this order can contain all shelves."""

    @property
    def nullable(self) -> bool:
        """True if a recording may have no value. Such recordings are first in ascending order."""
        return FIELDS[self].nullable


@dataclass(frozen=True, slots=True)
class Order:
    """A sort order by (field, id). Both have the same direction, so no two recordings are equal in it."""

    field: OrderField = OrderField.START
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """A position in an order: next to the row with this sort key and id. That row need not exist."""

    key: str | int | None
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A selection of one account's recordings, or of one owner's, in an order.

    With `descendants`, the recordings of these accounts below it are in the list, too.

    Without a `shelf`, it selects all of them, also those in the trash and the tombstones. It then needs the order
    `MODIFIED`.
    """

    account_id: str
    descendants: tuple[str, ...] = ()
    owner_id: str | None = None
    shelf: Shelf | None = Shelf.LIVE
    where: Condition = EVERYTHING
    order: Order = Order()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page of a query, and the fields of its rows.

    The page has the first `limit` rows after `after` and before `before`, or the last ones if `backward`. In both cases
    the rows are in the query's order.
    """

    limit: int
    after: Position | None = None
    before: Position | None = None
    backward: bool = False
    fields: frozenset[str] | None = None
    """The fields to return; `None` for all. The id and the sort key are always returned."""
    raw: bool = False
    """Whether the rows may be `recordings.model.raw_rows.RawRows`. A store may return decoded rows nevertheless."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the query's order. `has_more` says whether more rows follow in the direction of the request.

    `examined` is the number of rows that the store may have examined for it, besides its own rows.
    """

    rows: Sequence[RecordingRow]
    has_more: bool
    examined: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of recordings. If it is not exact, there are at least so many."""

    number: int
    is_exact: bool = True


def check(condition: Condition, path: Sequence[str] = ("filter",)) -> Condition:
    """Check a condition and return it.

    Raises:
        InvalidInput: it is nested too deeply, has too many conditions or values, or has an unknown field or a value of
            the wrong type.
    """
    for count, (item, depth) in enumerate(_walk(condition), 1):
        if depth > MAX_DEPTH:
            raise InvalidInput.of(path, "maximum", depth, f"at most {MAX_DEPTH} levels deep")
        if count > MAX_CONDITIONS:
            raise InvalidInput.of(path, "maximum", count, f"at most {MAX_CONDITIONS} conditions")
        _check_one(item, path)
    return condition


def _walk(condition: Condition, depth: int = 1) -> Iterator[tuple[Condition, int]]:
    yield condition, depth
    if depth <= MAX_DEPTH:
        for item in _parts(condition):
            yield from _walk(item, depth + 1)


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, And | Or):
        return condition.items
    return (condition.item,) if isinstance(condition, Not) else ()


def _check_one(condition: Condition, path: Sequence[str]) -> None:
    if isinstance(condition, And | Or | Not | HasMedia | Held):
        return
    if isinstance(condition, HasMetadata):
        _check_metadata(condition, (*path, "user_metadata"))
        return
    here = (*path, condition.field)
    values = _values(condition)
    if len(values) > MAX_VALUES:
        raise InvalidInput.of(here, "maxItems", len(values), f"at most {MAX_VALUES} values")
    for value in values:
        _check_value(condition.field, value, here)


def _values(condition: Equal | In | Prefix | Range) -> tuple[Any, ...]:
    if isinstance(condition, In):
        return condition.values
    if isinstance(condition, Range):
        return tuple(bound for bound in (condition.minimum, condition.below) if bound is not None)
    value = condition.value if isinstance(condition, Equal) else condition.text
    return () if value is None else (value,)


def _check_value(field: str, value: Any, path: Sequence[str]) -> None:
    if field in NUMBER_FIELDS:
        lowest, highest = (-MAX_INTEGER, MAX_INTEGER) if field in _NUMBER_PARTS else (EARLIEST, LATEST + 1)
        if type(value) is not int or not lowest <= value <= highest:
            raise InvalidInput.of(path, "type", value, f"an integer from {lowest} to {highest - 1}")
    elif field not in TEXT_FIELDS:
        raise InvalidInput.of(path, "enum", field, "a field that can be filtered")
    elif type(value) is not str or len(value) > MAX_TEXT or not is_storable(value):
        raise InvalidInput.of(path, "type", value, f"a text of at most {MAX_TEXT} characters, without NUL")


def _check_metadata(condition: HasMetadata, path: Sequence[str]) -> None:
    given: tuple[tuple[str, Any], ...] = (("key", condition.key), ("equal", condition.value))
    for name, value in given:
        if isinstance(value, str):
            if len(value) > MAX_TEXT or not is_storable(value):
                raise InvalidInput.of((*path, name), "type", value, f"a text of at most {MAX_TEXT} characters")
        elif type(value) is int or type(value) is float:
            if not abs(value) <= MAX_NUMBER:
                raise InvalidInput.of((*path, name), "maximum", value, "a number from -2^53 to 2^53")
        elif value is not None and type(value) is not bool:
            raise InvalidInput.of((*path, name), "type", value, "a text, a number or a boolean")


def is_storable(text: str) -> bool:
    """Return true if every store can keep a text: it has no lone surrogate and no NUL."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def prefix_end(text: str) -> str | None:
    """Return the smallest text that is greater than all texts with this prefix; `None` if there is none.

    Stores use it to turn a prefix into a range.
    """
    while text:
        if text[-1] < "\U0010ffff":
            # Surrogates are not characters, so the next character after U+D7FF is U+E000.
            following = "\ue000" if text[-1] == "\ud7ff" else chr(ord(text[-1]) + 1)
            return text[:-1] + following
        text = text[:-1]
    return None


def matches(condition: Condition, row: Mapping[str, Any]) -> bool:  # noqa: C901, PLR0911 - one return for each kind of condition
    """Return true if a row meets a condition. The row needs every field in the condition."""
    match condition:
        case And(items):
            return all(matches(item, row) for item in items)
        case Or(items):
            return any(matches(item, row) for item in items)
        case Not(item):
            return not matches(item, row)
        case HasMedia(present):
            return (row["media"] is not None) is present
        case Held(present):
            return (row["hold"] is not None) is present
        case HasMetadata(key, value):
            return _has_metadata(row["user_metadata"], key, value)
        case Equal(field, value):
            return bool(value_of(row, field) == value)
        case In(field, values):
            return value_of(row, field) in values
        case Prefix(field, text):
            value = value_of(row, field)
            return value is not None and value.startswith(text)
        case Range(field, minimum, below):
            value = value_of(row, field)
            return value is not None and (minimum is None or value >= minimum) and (below is None or value < below)


def _has_metadata(metadata: Mapping[str, Any], key: str, value: Any) -> bool:
    found = metadata.get(key)
    if value is None:
        return found is not None
    # Python's booleans are numbers.
    return bool(found == value) and isinstance(found, bool) is isinstance(value, bool)


def selects(query: Query, row: RecordingRow) -> bool:
    """Return true if a query selects a row."""
    return (
        row["account_id"] in {query.account_id, *query.descendants}
        and (query.owner_id is None or row["owner_id"] == query.owner_id)
        and query.shelf in {None, row["shelf"]}
        and matches(query.where, row)
    )


def sort_key(order: Order, row: Mapping[str, Any]) -> tuple[bool, Any, str]:
    """Return the key that sorts a row in ascending order. Descending order is its exact reverse."""
    value = row[order.field]
    return (value is not None, 0 if value is None else value, row["id"])


def position_of(order: Order, row: Mapping[str, Any]) -> Position:
    """Return the position of a row in an order."""
    return Position(row[order.field], row["id"])
