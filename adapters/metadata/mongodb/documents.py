"""A recording as a document, and back.

The id is `_id`; every other field has the domain's name and is always there, as null where it has no value. Free-form
fields are JSON text (`adapters.metadata.rows` says why): BSON has no integers beyond 64 bits, and MongoDB gives keys
with dots or a leading `$` a meaning.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bson.int64 import Int64

from adapters.metadata.mongodb.driver import Document
from adapters.metadata.rows import FREE_FORM, decode, encode
from recordings.recording import Recording


def _plain(value: Any) -> Any:
    if type(value) is Int64:
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


_CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("start", "created", "modified", "duration_ms", "trashed_at", "purge_at"), int),
    **dict.fromkeys(("due_at", "attempts", "revision"), int),
    **dict.fromkeys(("media", "spans", "lease"), _plain),
    **dict.fromkeys(FREE_FORM, decode),
}
"""How a value comes back: BSON's 64-bit integers are of a class of their own, which not every encoder takes."""


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
    for name, convert in _CONVERT.items():
        if name in names:
            for document in documents:
                if (value := document[name]) is not None:
                    document[name] = convert(value)
    return documents


def to_recordings(documents: list[Document], names: Sequence[str]) -> list[Recording]:
    """The recordings that whole documents hold."""
    return [Recording.from_row(row) for row in to_rows(documents, names)]
