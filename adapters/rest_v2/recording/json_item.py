"""Items of a list that is only encoded as JSON.

A struct takes half the time of the document that `v2_document.to_v2` makes. Its names are encoded only once, and an
absent value takes no time.
"""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final

import msgspec

from adapters.rest_v2.gregorian import to_gregorian
from adapters.rest_v2.recording.v2_document import AUDIO_TYPES, INBOUND, OTHER_TEXTS, RECORDING_ID
from adapters.rest_v2.recording.visibility import list_item
from recordings.model.account import Principal, Scope
from recordings.model.fields import RecordingRow
from recordings.model.instants import SECOND

_REQUIRED: Final = (
    "duration", "duration_ms", "direction", "caller_id_name", "caller_id_number", "id", "name", "description",
    "content_type", "media_type", "media_source", "source_type", "from", "to", "start", "call_id", "origin",
)  # fmt: skip
_OPTIONAL: Final = (
    "url", "record_sample_rate", "custom_channel_vars", "user_metadata", *OTHER_TEXTS, "_read_only",
)  # fmt: skip
# The names of attributes, because `from` is a keyword. JSON has the names above.
_NAMES: Final = {f"item_{name}": name for name in (*_REQUIRED, *_OPTIONAL)}
_Item: Final[Callable[..., Any]] = msgspec.defstruct(
    "Item",
    [
        *((f"item_{name}", Any) for name in _REQUIRED),
        *((f"item_{name}", Any, None) for name in _OPTIONAL),
    ],
    rename=_NAMES,
    omit_defaults=True,
    frozen=True,
)
_other_texts: Final[Callable[[Mapping[str, Any]], tuple[str | None, ...]]] = itemgetter(*OTHER_TEXTS)


def json_items(reader: Principal) -> Callable[[RecordingRow], Any]:
    """Return a function that makes a row an object whose JSON is that of `visibility.list_item`.

    The row needs `visibility.ITEM_FIELDS`.
    """
    shows_url = Scope.CONTROL in reader.scopes

    def item(row: RecordingRow) -> Any:
        return _native(row, shows_url=shows_url) if row["imported"] is None else list_item(row, reader)

    return item


def _native(row: RecordingRow, *, shows_url: bool) -> Any:
    recording_id, form, length = row["id"], row["format"], row["duration_ms"]
    options, media = row["options"], row["media"]
    name = row["name"] or f"{recording_id}.{form}"
    audio_type = AUDIO_TYPES.get(form)
    return _Item(
        0 if length is None else length // SECOND,
        length or 0,
        row["direction"] or INBOUND,
        row["caller_id_name"] or "",
        row["caller_id_number"] or "",
        recording_id,
        name,
        f"recording {name}",
        audio_type or "audio/mpeg",
        "mp3" if audio_type is None else form,
        "recorded",
        "kzc_recording",
        row["from"],
        row["to"],
        to_gregorian(row["start"]),
        row["call_id"],
        row["origin"],
        options["url"] if shows_url else None,
        options["record_sample_rate"],
        {**row["custom_channel_vars"], RECORDING_ID: recording_id},
        row["user_metadata"] or None,
        *_other_texts(row),
        {"content_types": [media["content_type"]] if media else []},
    )
