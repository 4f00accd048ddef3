"""The fields of a stored row, and the encoding of its free-form fields."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from recordings.model.fields import FieldType, names_of
from recordings.model.query import OrderField
from recordings.model.recording import ROW_FIELDS

_READABLE: Final = (*ROW_FIELDS, OrderField.MODIFIED.value)
FREE_FORM: Final = names_of(FieldType.FREE_FORM)
"""Fields with keys and values that the client chooses. They are stored as JSON text, so that a key may be any text
(with dots, with a leading `$`, empty) and an integer may have any size. Queries find keys and
values by their terms (`adapters.metadata.metadata_terms`)."""

_encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode
"""Decode JSON text to plain values."""


def encode(value: Any) -> str:
    """Encode a value as JSON text."""
    return _encode(value).decode()


def decode_texts(texts: Collection[str | None]) -> dict[str | None, Any]:
    """Return the value of each of these different JSON texts, with one decoder call: a page has hundreds of them.

    Rows with the same text share its value. Most recordings of a page have the same options, for example.
    """
    joined = ",".join([text or "null" for text in texts])
    return dict(zip(texts, decode(f"[{joined}]"), strict=True))


def decode_column(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Replace a field's JSON texts by their values."""
    values = decode_texts({row[name] for row in rows})
    for row in rows:
        row[name] = values[row[name]]


@lru_cache(maxsize=256)
def fields_to_read(fields: frozenset[str] | None, order: OrderField | None = None) -> tuple[str, ...]:
    """Return the fields to read, in their fixed order: the requested fields (`None`: all), the id and the sort key.

    Raises:
        ValueError: rows have no such field.
    """
    if fields is None:
        return _READABLE if order is OrderField.MODIFIED else ROW_FIELDS
    if unknown := fields.difference(_READABLE):
        raise ValueError(f"no row has {', '.join(sorted(unknown))}")
    wanted = fields | {"id"} | ({order.value} if order else set())
    return tuple(name for name in _READABLE if name in wanted)
