"""The columns of an export: their names, their types, and where their values come from.

The names are the field names of GraphQL's `Recording`, and every value is a scalar. The order of the columns is always
the order of this table, also if a request names them in another order. The last column is always `cursor`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from operator import itemgetter
from typing import Any, Final

import msgspec
from strawberry.utils.str_converters import to_camel_case

from recordings.model.errors import InvalidInput
from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.query import Order
from recordings.rules.cursor import Cursors


class Kind(Enum):
    """The type of a column's values."""

    TEXT = auto()
    INTEGER = auto()
    TIME = auto()
    """An instant in milliseconds."""
    FLAG = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type, the field of the row that it needs, and the function that reads it from a row."""

    name: str
    kind: Kind
    field: str
    read: Callable[[RecordingRow], Any]


CURSOR: Final = "cursor"
_TIMES: Final = ("start", "created", "ended", "modified", "delete_at", "trashed_at", "purge_at")


def _plain(name: str, field: str | None = None) -> Column:
    key: str = field or name
    kind = Kind.TEXT if FIELDS[key].type in {FieldType.TEXT, FieldType.CHOICE} else Kind.INTEGER
    return Column(to_camel_case(name), Kind.TIME if name in _TIMES else kind, key, itemgetter(key))


def _choice(name: str) -> Column:
    """Return a column of a field whose values are lower-case texts in a row, and names in GraphQL."""
    read = itemgetter(name)
    return Column(name, Kind.TEXT, name, lambda row: None if (value := read(row)) is None else value.upper())


def _part(name: str, kind: Kind, field: str, key: str) -> Column:
    read = itemgetter(field)
    return Column(name, kind, field, lambda row: None if (whole := read(row)) is None else whole[key])


def _json(name: str) -> Column:
    read = itemgetter(name)
    return Column(to_camel_case(name), Kind.TEXT, name, lambda row: msgspec.json.encode(read(row)).decode())


_DEFAULT: Final = (
    *(_plain(name) for name in ("id", "account_id", "state", "reason", "reason_detail", "end_cause")),
    *(_plain(name) for name in ("start", "created", "ended")),
    _plain("modified", "changed"),
    _plain("duration_ms"),
    _choice("direction"),
    *(_plain(name) for name in ("from", "to")),
    *(_plain(f"{party}_id_{part}") for party in ("caller", "callee") for part in ("name", "number")),
    *(_plain(name) for name in ("call_id", "interaction_id", "cdr_id", "owner_id", "endpoint_id")),
    *(_plain(name) for name in ("origin", "label", "name")),
    _choice("format"),
    _part("mediaType", Kind.TEXT, "media", "content_type"),
    _part("mediaLength", Kind.INTEGER, "media", "length"),
    _part("mediaSampleRate", Kind.INTEGER, "media", "sample_rate"),
    _part("mediaChannels", Kind.INTEGER, "media", "channels"),
    _part("mediaSha256", Kind.TEXT, "media", "sha256"),
    _part("deliveryState", Kind.TEXT, "delivery", "state"),
    _part("deliveredAt", Kind.TIME, "delivery", "delivered_at"),
    Column("held", Kind.FLAG, "hold", lambda row: row["hold"] is not None),
    *(_plain(name) for name in ("delete_at", "trashed_at", "trashed_by", "trashed_reason", "purge_at", "revision")),
)
_ON_REQUEST: Final = (
    *(_plain(name) for name in ("request", "recorder", "node")),
    *(_json(name) for name in ("user_metadata", "custom_channel_vars")),
)
COLUMNS: Final = {column.name: column for column in (*_DEFAULT, *_ON_REQUEST)}
"""All columns except `cursor`, by name, in their order."""
DEFAULT: Final = tuple(column.name for column in _DEFAULT)
"""The columns of an export that names none."""


def select(names: Iterable[str] | None) -> tuple[Column, ...]:
    """Return the columns with these names, in the order of the table. `None` means the default ones.

    Raises:
        InvalidInput: there is no such column, or no name is given.
    """
    wanted = set(DEFAULT if names is None else names) - {CURSOR}
    if unknown := sorted(wanted - COLUMNS.keys()):
        raise InvalidInput.of(("fields",), "enum", unknown[0], f"names of {', '.join(COLUMNS)}")
    return tuple(column for column in COLUMNS.values() if column.name in wanted)


class Table:
    """Turns rows into columns of values."""

    def __init__(self, columns: Sequence[Column], order: Order, cursors: Cursors) -> None:
        self._columns = columns
        self._order = order
        self._cursors = cursors
        self.heading: tuple[str, ...] = (*(column.name for column in columns), CURSOR)
        self.kinds: tuple[Kind, ...] = (*(column.kind for column in columns), Kind.TEXT)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the rows that the columns need."""
        return frozenset(column.field for column in self._columns)

    def values(self, rows: Sequence[RecordingRow]) -> list[list[Any]]:
        """Return the values of the rows, column by column."""
        return [
            *([column.read(row) for row in rows] for column in self._columns),
            self._cursors.write_page(self._order, rows),
        ]
