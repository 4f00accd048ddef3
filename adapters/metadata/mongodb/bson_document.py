"""A recording as a document, and back.

The id is `_id`; every other field has the domain's name and is always there, as null where it has no value (but for
`_LATER`, which older documents lack: writing all of them anew would take hours). Free-form
fields are JSON text (`adapters.metadata.row_fields` says why): BSON has no integers beyond 64 bits, and MongoDB gives
keys with dots or a leading `$` a meaning.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bson.int64 import Int64

from adapters.metadata.mongodb.driver import Document
from adapters.metadata.row_fields import FREE_FORM, decode_column, encode
from recordings.model.recording import Recording

_NUMBERS: Final = (
    "start", "created", "modified", "ended", "duration_ms", "delete_at", "trashed_at", "purge_at", "due_at", "attempts",
    "revision",
)  # fmt: skip
_LATER: Final = ("trashed_reason", "ended")
_NESTED: Final = ("media", "delivery", "hold", "spans", "lease")
"""Fields with numbers inside."""


def to_document(recording: Recording) -> Document:
    """What is kept of a recording."""
    row = recording.to_row()
    for name in FREE_FORM:
        row[name] = None if row[name] is None else encode(row[name])
    return {"_id": row.pop("id"), **row}


def projection(names: Iterable[str]) -> dict[str, int]:
    """What to ask for, to get these fields."""
    return {"_id" if name == "id" else name: 1 for name in names}


def to_rows(documents: list[Document], names: Sequence[str]) -> list[Document]:
    """The same objects, as rows: with `id`, integers of Python's own kind, free-form fields as values."""
    for document in documents:
        document["id"] = document.pop("_id")
    for name in names:
        if name in _LATER:
            for document in documents:
                document.setdefault(name, None)
        if name in _NUMBERS:
            _plain_column(documents, name)
        elif name in _NESTED:
            for document in documents:
                _make_plain(document[name])
        elif name in FREE_FORM:
            decode_column(documents, name)
    return documents


def _plain_column(documents: list[Document], name: str) -> None:
    # BSON's 64-bit integers are of a class of their own, which not every encoder takes.
    for document in documents:
        if type(value := document[name]) is Int64:
            document[name] = int(value)


def _make_plain(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _make_plain(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if type(item) is Int64:
                value[name] = int(item)


def to_recordings(documents: list[Document], names: Sequence[str]) -> list[Recording]:
    """The recordings that whole documents hold."""
    return [Recording.from_row(row) for row in to_rows(documents, names)]
