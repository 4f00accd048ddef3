"""Rows in BSON, and their JSON by the optional extension of `bson_json/`.

The extension is a separate distribution, which needs a C compiler. Without it, `can_encode` returns false and all rows
are decoded by the driver. With it, a row that it does not support is decoded, too: `to_rows` is the reference.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, cast, overload

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from msgspec import json

from adapters.metadata.mongodb.bson_document import to_rows
from recordings.model.fields import RecordingRow
from recordings.model.raw_rows import Form, JsonObject, Member, RawRows

_VERSION: Final = 1
_FORMS: Final = {Form.TEXT: 0, Form.INTEGER: 1, Form.INSTANT: 2, Form.CHOICE: 3, Form.BASE64: 4}
_Program = tuple[tuple[bytes, ...], tuple[tuple[Any, ...], ...], bytes]


def _load() -> Any:
    try:
        import recordings_bson_json as found
    except ImportError:
        return None
    return found if found.VERSION == _VERSION else None


RAW: Final[CodecOptions[Any]] = CodecOptions(document_class=RawBSONDocument)
"""For replies that are not decoded."""
extension: Any = _load()
"""The extension, or `None`."""


def can_encode() -> bool:
    """Return true if the extension is installed."""
    return extension is not None


def documents_of(reply: Any) -> tuple[bytes, ...] | None:
    """Return the documents of the reply to a `find`. Return `None` if it is damaged, or more documents follow."""
    return cast("tuple[bytes, ...] | None", extension.split(bytes(reply["cursor"].raw)))


class BsonRows(RawRows):
    """Documents as bytes. `names` are the fields that were read."""

    def __init__(self, documents: tuple[bytes, ...], names: tuple[str, ...], options: CodecOptions[Any]) -> None:
        self._documents = documents
        self._names = names
        self._options = options
        self._rows: list[RecordingRow] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._documents)

    def __iter__(self) -> Iterator[RecordingRow]:
        """Iterate over the decoded rows."""
        return iter(self._decoded())

    @overload
    def __getitem__(self, index: int) -> RecordingRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[RecordingRow]: ...
    def __getitem__(self, index: int | slice) -> RecordingRow | list[RecordingRow]:
        """Return decoded rows. One row is decoded alone."""
        if self._rows is None and isinstance(index, int):
            return self._decode(self._documents[index])[0]
        return self._decoded()[index]

    def _decoded(self) -> list[RecordingRow]:
        if self._rows is None:
            self._rows = self._decode(b"".join(self._documents))
        return self._rows

    def _decode(self, documents: bytes) -> list[RecordingRow]:
        return to_rows(bson.decode_all(documents, self._options), self._names)

    def columns(self, *fields: str) -> list[tuple[Any, ...]]:
        """Return the values of these fields, for each row."""
        found = extension.columns(self._documents, tuple(map(_stored_name, fields)))
        if found is None:
            return [tuple(cast("dict[str, Any]", row)[name] for name in fields) for row in self]
        return cast("list[tuple[Any, ...]]", found)

    def to_json(self, shown: JsonObject) -> list[bytes | None]:
        """Return each row as a JSON object, or `None` for a row that must be decoded."""
        return cast("list[bytes | None]", extension.encode(self._documents, *_program(shown, self._names)))


def _stored_name(field: str) -> bytes:
    return b"_id" if field == "id" else field.encode()


@lru_cache(maxsize=256)
def _program(shown: JsonObject, read: tuple[str, ...]) -> _Program:
    """Return the names that were read, the members and the end of JSON objects, as the extension reads them.

    A document without one of the names is not encoded, because `to_rows` does not accept it, or adds the field.
    """
    names = tuple(map(_stored_name, read))
    members, head = [], b"{"
    for member in shown.members:
        head += json.encode(member.key) + b":"
        if member.field is None:
            head += json.encode(member.written.text) + b","
        else:
            members.append(_member(head, names.index(_stored_name(member.field)), member))
            head = b","
    return names, tuple(members), head[:-1] + b"}" if shown.members else b"{}"


def _member(head: bytes, name: int, member: Member) -> tuple[Any, ...]:
    written = member.written
    choices = [part for value, text in written.choices for part in (value.encode(), json.encode(text))]
    return head, name, _FORMS[written.form], int(written.is_nullable), written.text.encode(), tuple(choices)
