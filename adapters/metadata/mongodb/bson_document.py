"""Convert a recording to a MongoDB document, and back.

- The id is `_id`. Every other field has the domain's name.
- A field without a value is null. Only the fields in `_ADDED_LATER` may be absent, in older documents: rewriting all
  documents would take hours.
- Free-form fields are JSON text: BSON has no integers beyond 64 bits, and MongoDB gives a meaning to keys with dots or
  a leading `$`.
"""

import logging
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Final, cast

from bson.int64 import Int64

from adapters.metadata.facets import facets_of
from adapters.metadata.metadata_terms import TERMS, terms_of
from adapters.metadata.mongodb.driver import Document
from adapters.metadata.row_fields import FREE_FORM, decode_column, encode
from recordings.model.fields import FieldType, RecordingRow, names_of, value_of
from recordings.model.recording import Recording
from recordings.model.work import work_of

log: Final = logging.getLogger(__name__)
_NUMBERS: Final = frozenset(names_of(FieldType.NUMBER))
_ADDED_LATER: Final = ("trashed_reason", "ended", "held_source", "policy", "consent")
_FIRST: Final = ("account_id", "shelf", "start", "owner_id")
"""The fields at the front of a document. MongoDB searches a document from its front for each key of each index, and
nearly all indexes have these keys: an insert takes a third less of its time than with `shelf` at the end."""
_NESTED: Final = frozenset(names_of(FieldType.OBJECT)) - {"options", "applied"}
"""Fields that contain 64-bit numbers."""


def to_document(recording: Recording) -> Document:
    """Return the document that stores a recording."""
    row = cast("dict[str, Any]", recording.to_row())
    row["facets"] = facets_of(row)
    row["work"] = work_of(row["state"], value_of(row, "delivery_state")).value
    if (terms := terms_of(row["user_metadata"])) is not None:
        row[TERMS] = terms
    for name in FREE_FORM:
        row[name] = None if row[name] is None else encode(row[name])
    return {"_id": row.pop("id"), **{name: row[name] for name in _FIRST}, **row}


def projection(names: Iterable[str]) -> dict[str, int]:
    """Return the projection that reads these fields."""
    return {"_id" if name == "id" else name: 1 for name in names}


def to_rows(documents: list[Document], names: tuple[str, ...]) -> list[RecordingRow]:
    """Turn documents into rows in place: with `id`, with plain `int`s, and with free-form fields decoded."""
    for document in documents:
        document["id"] = document.pop("_id")
    added_later, numbers, nested, free_form = _special(names)
    for name in added_later:
        for document in documents:
            document.setdefault(name, None)
    for name in numbers:
        _convert_integer_column(documents, name)
    for name in nested:
        for document in documents:
            _convert_nested_integers(document[name])
    for name in free_form:
        decode_column(documents, name)
    return cast("list[RecordingRow]", documents)


@lru_cache(maxsize=256)
def _special(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the fields that may be absent, the numbers, the nested fields and the free-form fields of these fields."""
    kinds: tuple[Collection[str], ...] = (_ADDED_LATER, _NUMBERS, _NESTED, FREE_FORM)
    return tuple(tuple(name for name in names if name in kind) for kind in kinds)


def _convert_integer_column(documents: list[Document], name: str) -> None:
    # BSON's 64-bit integers have their own class, which some encoders reject.
    for document in documents:
        if type(value := document[name]) is Int64:
            document[name] = int(value)


def _convert_nested_integers(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _convert_nested_integers(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if type(item) is Int64:
                value[name] = int(item)


def readable_recordings(documents: list[Document], names: tuple[str, ...]) -> list[Recording]:
    """Return recordings for the background work. Skip a damaged document, so that it stops no other work."""
    found: list[Recording] = []
    for document in documents:
        identity = document["_id"]
        try:
            found += to_recordings([document], names)
        except Exception:
            log.exception("recording %s cannot be read: its document in the metadata store is damaged", identity)
    return found


def to_recordings(documents: list[Document], names: tuple[str, ...]) -> list[Recording]:
    """Return the recordings that complete documents hold."""
    return [Recording.from_row(row) for row in to_rows(documents, names)]
