"""The order of changes: which rows a list in the order `MODIFIED` shows.

A mirror asks for the rows after its cursor, in ascending order and on all shelves. A row that changes again moves to
the end, so the mirror gets it once more, with its latest values.

- Rows at or after the store's watermark are not shown yet: a slow write could still put a row before them.
- An upload is not shown before it is complete: until then its sender may withdraw it, and then it is gone without a
  trace.
- A tombstone matches every filter. It has lost its values, and the mirror must learn that the recording is gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import And, Condition, Equal, Not, Or, OrderField, Query, Range
from recordings.model.recording import State

_CHANGED: Final = OrderField.MODIFIED.value
_TOMBSTONE: Final = Equal("state", State.PURGED.value)
_INCOMPLETE_UPLOAD: Final = And((Equal("revision", 0), Not(Equal("source_key", None))))
_KEPT: Final = frozenset({"id", "account_id", "state", "shelf", "revision", "created", "start", "format", _CHANGED})
"""What a tombstone shows. The store keeps more of it, for the operator."""
_BLANK: Final[Mapping[FieldType, Any]] = {FieldType.TEXT: "", FieldType.OBJECT: [], FieldType.FREE_FORM: {}}


def final_changes(query: Query, watermark: Millis) -> Query:
    """Return a query in the order of changes that shows only rows that a mirror may see."""
    items = query.where.items if isinstance(query.where, And) else (query.where,)
    # Separate terms, so that a store reads only this range of its index.
    ranges = [item for item in items if isinstance(item, Range) and item.field == _CHANGED]
    others: Condition = And(tuple(item for item in items if item not in ranges))
    if query.shelf is None and others != And(()):
        others = Or((others, _TOMBSTONE))
    return replace(query, where=And((*ranges, Range(_CHANGED, below=watermark), others, Not(_INCOMPLETE_UPLOAD))))


def shown(row: RecordingRow) -> RecordingRow:
    """Return a row as a mirror may see it: of a tombstone, only ids, times and the state. The row needs `state`."""
    if row["state"] != State.PURGED:
        return row
    values = {name: value if name in _KEPT else _blank(name, value) for name, value in row.items()}
    return cast("RecordingRow", values)


def _blank(name: str, value: Any) -> Any:
    field = FIELDS[name]
    if field.nullable or name == "options":
        return None if field.nullable else value
    return _BLANK.get(field.type, value)
