"""The query vocabulary: which recordings, in which order, which page of them.

A store turns these values into its own language; `matches` and `sort_key` say what they mean, on plain rows, and the
stores are tested against them. Logic is two-valued: a missing value is simply not equal, not in a range, not prefixed,
so `Not` of that holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from recordings.model.errors import InvalidInput
from recordings.model.fields import FIELDS, FieldType, RecordingRow, filterable
from recordings.model.instants import EARLIEST, LATEST
from recordings.model.recording import Shelf

MAX_PAGE: Final = 100
MAX_CONDITIONS: Final = 64
MAX_DEPTH: Final = 8
MAX_VALUES: Final = 100
MAX_TEXT: Final = 512

TEXT_FIELDS: Final = frozenset(filterable(FieldType.TEXT, FieldType.CHOICE))
"""Fields that can be compared with a text (equal, in, prefix)."""
NUMBER_FIELDS: Final = frozenset(filterable(FieldType.NUMBER))
"""Fields that can be compared with a number (equal, in, range); instants and lengths in milliseconds."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The field has this value; `None` means that it has none."""

    field: str
    value: str | int | None


@dataclass(frozen=True, slots=True)
class In:
    """The field has one of these values."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field's text begins with this text (by code points, case matters)."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """The field's number is at least `minimum` and below `below`; either may be open."""

    field: str
    minimum: int | None = None
    below: int | None = None


@dataclass(frozen=True, slots=True)
class HasMedia:
    """Whether there is stored audio."""

    present: bool = True


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold; an empty one always holds."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these holds; an empty one never holds."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    item: "Condition"


Condition = Equal | In | Prefix | Range | HasMedia | And | Or | Not
EVERYTHING: Final = And(())


class OrderField(StrEnum):
    """What a listing can be sorted by. Every one has an index, in both stores, with and without an owner."""

    START = "start"
    CREATED = "created"
    ENDED = "ended"
    DURATION = "duration_ms"
    CALLER = "caller_id_number"

    @property
    def nullable(self) -> bool:
        """Whether a recording may lack it. What lacks it sorts first, ascending."""
        return FIELDS[self].nullable


@dataclass(frozen=True, slots=True)
class Order:
    """Sorted by (field, id), both in the same direction, so the order is total."""

    field: OrderField = OrderField.START
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order: just before or after the row that has this sort key and id."""

    key: str | int | None
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A set of recordings of one account, or of one owner in it, in an order."""

    account_id: str
    owner_id: str | None = None
    shelf: Shelf = Shelf.LIVE
    where: Condition = EVERYTHING
    order: Order = Order()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which part of a `Query`, and which fields of its rows.

    `limit` rows after `after` and before `before`: the first ones, or, `backward`, the last ones. Rows come in the
    query's order either way.
    """

    limit: int
    after: Position | None = None
    before: Position | None = None
    backward: bool = False
    fields: frozenset[str] | None = None
    """The row fields that are wanted; `None` for all. `id` and the sort key always come."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the query's order, and whether there are more beyond them in the direction of the request."""

    rows: Sequence[RecordingRow]
    has_more: bool


def check(condition: Condition, path: Sequence[str] = ("filter",)) -> Condition:
    """Give a condition back if it is within bounds.

    Raises:
        InvalidInput: too deep, too many conditions or values, an unknown field, or a value of the wrong type.
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
    if isinstance(condition, And | Or | Not | HasMedia):
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
        if type(value) is not int or not EARLIEST <= value <= LATEST + 1:
            raise InvalidInput.of(path, "type", value, f"an integer from {EARLIEST} to {LATEST}")
    elif field not in TEXT_FIELDS:
        raise InvalidInput.of(path, "enum", field, "a field that can be filtered")
    elif type(value) is not str or len(value) > MAX_TEXT or not is_storable(value):
        raise InvalidInput.of(path, "type", value, f"a text of at most {MAX_TEXT} characters")


def is_storable(text: str) -> bool:
    """Whether a text can be kept by every store: it has no lone surrogate and no NUL."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def prefix_end(text: str) -> str | None:
    """The least text above every text with this prefix, so that a prefix is a range; `None` where there is none."""
    while text:
        if text[-1] < "\U0010ffff":
            # Surrogates are no characters: after the last one below them comes the first one above.
            following = "\ue000" if text[-1] == "\ud7ff" else chr(ord(text[-1]) + 1)
            return text[:-1] + following
        text = text[:-1]
    return None


def matches(condition: Condition, row: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - one line a kind of condition reads best
    """Whether a row (with every field that the condition names) meets a condition: the meaning of the vocabulary."""
    match condition:
        case And(items):
            return all(matches(item, row) for item in items)
        case Or(items):
            return any(matches(item, row) for item in items)
        case Not(item):
            return not matches(item, row)
        case HasMedia(present):
            return (row["media"] is not None) is present
        case Equal(field, value):
            return bool(row[field] == value)
        case In(field, values):
            return row[field] in values
        case Prefix(field, text):
            return row[field] is not None and row[field].startswith(text)
        case Range(field, minimum, below):
            value = row[field]
            return value is not None and (minimum is None or value >= minimum) and (below is None or value < below)


def selects(query: Query, row: RecordingRow) -> bool:
    """Whether a row belongs to a query's set."""
    return (
        row["account_id"] == query.account_id
        and (query.owner_id is None or row["owner_id"] == query.owner_id)
        and row["shelf"] == query.shelf
        and matches(query.where, row)
    )


def sort_key(order: Order, row: Mapping[str, Any]) -> tuple[bool, Any, str]:
    """What a row sorts by: ascending in this key is the order, or, descending, its exact reverse."""
    value = row[order.field]
    return (value is not None, 0 if value is None else value, row["id"])


def position_of(order: Order, row: Mapping[str, Any]) -> Position:
    """The place of a row in an order."""
    return Position(row[order.field], row["id"])
