"""What every store has to know about the rows that it keeps: their fields, and which of them are free-form."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from recordings.model.query import OrderField
from recordings.model.recording import ROW_FIELDS

FREE_FORM: Final = ("user_metadata", "custom_channel_vars", "imported")
"""Fields whose keys and values are the client's: kept as JSON text, so that a key may be any text (with dots, with a
`$` in front, empty) and an integer may have any size. Nothing is ever looked for inside them."""

_encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode
"""JSON text back to plain values."""


def encode(value: Any) -> str:
    """A value as JSON text."""
    return _encode(value).decode()


def decode_column(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Put values in the place of a field's JSON texts, in one go for all rows: a page has hundreds of them."""
    texts = ",".join([row[name] or "null" for row in rows])
    for row, value in zip(rows, decode(f"[{texts}]"), strict=True):
        row[name] = value


@lru_cache(maxsize=256)
def chosen(fields: frozenset[str] | None, order: OrderField | None = None) -> tuple[str, ...]:
    """The fields to read, in their fixed order: those asked for (`None` for all), the id and the sort key.

    Raises:
        ValueError: a field that no row has.
    """
    if fields is None:
        return ROW_FIELDS
    if unknown := fields.difference(ROW_FIELDS):
        raise ValueError(f"no row has {', '.join(sorted(unknown))}")
    wanted = fields | {"id"} | ({order.value} if order else set())
    return tuple(name for name in ROW_FIELDS if name in wanted)
