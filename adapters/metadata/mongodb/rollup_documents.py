"""The slots that a write to a recording changes, and the values of a recording that the figures depend on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.metadata.mongodb.driver import Document
from recordings.model.rollup import COUNTED, CountedRow, Level, Slot

COUNTED_FIELDS: Final = dict.fromkeys(("account_id", "start", "media.length", *COUNTED), 1)
"""The projection of the fields that the figures depend on."""


def changed_slots(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Sequence[Slot]:
    """Return the slots whose figures a write changes. `None` means that the recording does not exist."""
    if before is not None and after is not None and _counted(before) == _counted(after):
        return ()
    return [_slot_of(document) for document in (before, after) if document is not None]


def to_counted_row(document: Document, field: str) -> CountedRow:
    """Return the values of a document that the figures depend on. `field` has its time."""
    values = tuple([document.get(name) for name in COUNTED])
    return CountedRow(int(document[field]), values, _length(document))


def _counted(document: Mapping[str, Any]) -> tuple[object, ...]:
    return document["account_id"], document["start"], _length(document), *(document.get(name) for name in COUNTED)


def _length(document: Mapping[str, Any]) -> int | None:
    media = document.get("media")
    return int(media["length"]) if media else None


def _slot_of(document: Mapping[str, Any]) -> Slot:
    return Slot(document["account_id"], Level.QUARTER, Level.QUARTER.start(int(document["start"])))
