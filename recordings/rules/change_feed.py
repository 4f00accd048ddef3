"""The order of changes: which rows a list in the order `MODIFIED` shows.

A mirror asks for the rows after its cursor, in ascending order and on all shelves. A row that changes again moves to
the end, so the mirror gets it once more, with its latest values.

- Rows at or after the store's watermark are not shown yet: a slow write could still put a row before them.
- An upload is not shown before it is complete: until then its sender may withdraw it, and then it is gone without a
  trace. An import is complete when it is inserted.
- A tombstone matches every filter. It has lost its values, and the mirror must learn that the recording is gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import And, Condition, Equal, In, Not, Or, OrderField, Query, Range
from recordings.model.recording import IN_PROGRESS, Shelf, State

_CHANGED: Final = OrderField.MODIFIED.value
_TOMBSTONE: Final = Equal("state", State.PURGED.value)
CHECKED: Final = frozenset({"state", "revision", "source_key"})
"""The fields of a row that `is_change` and `shown` need."""
_ON_SHELF: Final[Mapping[Shelf, Condition]] = {
    Shelf.LIVE: Not(In("state", (State.TRASHED.value, State.PURGED.value))),
    Shelf.TRASH: Equal("state", State.TRASHED.value),
    Shelf.GONE: _TOMBSTONE,
}
_KEPT: Final = frozenset({"id", "account_id", "state", "shelf", "revision", "created", "start", "format", _CHANGED})
"""What a tombstone shows. The store keeps more of it, for the operator."""
_BLANK: Final[Mapping[FieldType, Any]] = {FieldType.TEXT: "", FieldType.OBJECT: [], FieldType.FREE_FORM: {}}


def final_changes(query: Query, watermark: Millis) -> Query:
    """Return a query in the order of changes that selects only rows before the watermark, and all tombstones.

    Without another condition, the filter is one range of the sort key, which a store reads from its index alone.
    """
    items = query.where.items if isinstance(query.where, And) else (query.where,)
    ranges = [item for item in items if isinstance(item, Range) and item.field == _CHANGED]
    others = tuple(item for item in items if item not in ranges)
    minimum = max((item.minimum for item in ranges if item.minimum is not None), default=None)
    below = min((watermark, *(item.below for item in ranges if item.below is not None)))
    if query.shelf is None and others:
        others = (Or((And(others), _TOMBSTONE)),)
    if query.shelf is not None:
        # The index of this order has no shelf. As a condition, it has the limits of every other condition.
        others = (*others, _ON_SHELF[query.shelf])
    final = Range(_CHANGED, minimum, below)
    return replace(query, shelf=None, where=And((final, *others)) if others else final)


def is_change(row: RecordingRow) -> bool:
    """Return false for an upload that is not complete. The row needs `CHECKED`."""
    return row["revision"] > 0 or row["source_key"] is None or row["state"] not in IN_PROGRESS


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
