"""Conversion between a v2 document and a `Recording` (`docs/v2_contract.md`, section 8).

The field `imported` of a recording keeps an imported document unchanged, so that every public field is shown with its
old type and value. The other fields of the recording are for search and playback.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, Final

from adapters.rest_v2.gregorian import from_gregorian, to_gregorian
from recordings.model.account import Account
from recordings.model.call import sip_uri
from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.ids import MAX_ID
from recordings.model.instants import SECOND, Millis
from recordings.model.options import MAX_URL, RecordingOptions, is_http_url
from recordings.model.query import MAX_TEXT, is_storable
from recordings.model.recording import Direction, Reason, Recording, State

AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/x-wav"}
"""The media types of the formats in v2."""
RECORDING_ID: Final = "Media-Recording-ID"
"""The channel variable that contains the recording's id."""
INTEGERS: Final = range(-(2**63), 2**63)
"""The integers that every store can keep."""
_TEXTS: Final = tuple(
    field.name
    for field in FIELDS.values()
    if field.type is FieldType.TEXT and field.nullable and field.v2 == field.name
)
"""Text fields with the same name in both."""


class BadDocumentError(ValueError):
    """The document is not a call recording, or cannot be stored unchanged. The message says why."""


def from_v2(document: Mapping[str, Any], account: Account, now: Millis) -> Recording:
    """Return the recording for a v2 document. It is `LOST` until its audio is found.

    Raises:
        BadDocumentError: the document is not a call recording, is deleted, is another account's, or has a field of
            a wrong type.
    """
    _check(document, account)
    texts: dict[str, Any] = {name: _short(document, name) for name in _TEXTS}
    created = _instant(document, "pvt_created", now)
    start = _instant(document, "start", created)
    return Recording(
        id=_id(document),
        account_id=account.id,
        state=State.LOST,
        reason=Reason.AUDIO_MISSING,
        reason_detail="imported without audio",
        start=start,
        created=created,
        ended=created,
        modified=_instant(document, "pvt_modified", created),
        call_id=_short(document, "call_id") or "unknown",
        from_=sip_uri(_short(document, "from"), account.realm),
        to=sip_uri(_short(document, "to"), account.realm),
        options=RecordingOptions(url=_url(document)),
        origin=_text(document, "origin") or "",
        name=_text(document, "name") or "",
        format=_format(document),
        recorder="import",
        direction=_direction(document),
        label=_label(document),
        duration_ms=_duration(document),
        custom_channel_vars=_object(document, "custom_channel_vars"),
        user_metadata=_object(document, "user_metadata"),
        imported=dict(document),
        source_key=f"v2:{_id(document)}",
        **texts,
    )


def to_v2(row: RecordingRow) -> dict[str, Any]:
    """Return the public fields of a recording as v2 shows them. The row must have all fields.

    An imported recording shows the imported document, with the current `user_metadata`. Nothing else can change.
    """
    if row["imported"] is None:
        return {name: value for name, value in _native(row).items() if value is not None}
    public = {name: value for name, value in row["imported"].items() if not name.startswith(("_", "pvt_"))}
    if row["user_metadata"]:
        public["user_metadata"] = dict(row["user_metadata"])
    elif public.get("user_metadata"):
        # All keys were removed later. An imported empty object stays, because it did not change.
        del public["user_metadata"]
    return {**public, "id": row["id"]}


def attachment_name(document: Mapping[str, Any]) -> str | None:
    """Return the file name of a document's audio, or `None`.

    Raises:
        BadDocumentError: the name could be a path, or the audio is inside the document. The import reads only files.
    """
    attachments = _object(document, "_attachments") or _object(document, "pvt_attachments")
    inside = [name for name, about in attachments.items() if isinstance(about, Mapping) and "data" in about]
    if inside:
        message = f"the audio of {inside[0]!r} is inside the document: put it into a file of that name for --media"
        raise BadDocumentError(message)
    name = next(iter(attachments), None) or _text(document, "name")
    if name is None:
        return None
    if name in {".", ".."} or PurePosixPath(name).name != name or "\\" in name or not name.isprintable():
        message = f"the attachment's name must be a file name without a path, not {name!r}"
        raise BadDocumentError(message)
    return name


def _native(row: RecordingRow) -> dict[str, Any]:
    name = row["name"] or f"{row['id']}.{row['format']}"
    duration = row["duration_ms"]
    values: Mapping[str, Any] = row
    return {
        "id": row["id"],
        "name": name,
        "description": f"recording {name}",
        "content_type": AUDIO_TYPES.get(row["format"], "audio/mpeg"),
        "media_type": row["format"],
        "media_source": "recorded",
        "source_type": "kzc_recording",
        "from": row["from"],
        "to": row["to"],
        "direction": row["direction"],
        "start": to_gregorian(row["start"]),
        "duration": None if duration is None else duration // SECOND,
        "duration_ms": duration,
        "call_id": row["call_id"],
        "origin": row["origin"],
        "url": row["options"]["url"],
        # Kazoo takes any rate. This is the nearest possible one (`docs/v2_contract.md`, section 6.2).
        "record_sample_rate": row["options"]["record_sample_rate"],
        # Kazoo's recorder also writes the id here, and some clients use it for playback.
        "custom_channel_vars": {**row["custom_channel_vars"], RECORDING_ID: row["id"]},
        "user_metadata": dict(row["user_metadata"]) or None,
        **{name: values[name] for name in _TEXTS},
    }


def _check(document: Mapping[str, Any], account: Account) -> None:
    if document.get("pvt_deleted") is True or document.get("_deleted") is True:
        message = "the document is deleted"
        raise BadDocumentError(message)
    if not _is_recording(document):
        message = f"pvt_type must be call_recording, not {document.get('pvt_type')!r}"
        raise BadDocumentError(message)
    if document.get("pvt_account_id", account.id) != account.id:
        message = f"the document belongs to the account {document['pvt_account_id']!r}, not to {account.id}"
        raise BadDocumentError(message)
    _check_value("document", dict(document))


def _is_recording(document: Mapping[str, Any]) -> bool:
    """Return true if a document declares that it is a call recording.

    A stored document has a type. A document from the API has no private fields, but a media source. Any other object
    (a database row around a document, an object of another program) would become an empty recording.
    """
    if "pvt_type" in document:
        return bool(document["pvt_type"] == "call_recording")
    return document.get("media_source") == "recorded"


def _check_value(path: str, value: Any) -> None:
    """Raise for a value that a store cannot keep unchanged."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_value(path, name)
            _check_value(f"{path}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            _check_value(path, item)
    elif isinstance(value, str) and not is_storable(value):
        message = f"{path} has characters that cannot be stored"
        raise BadDocumentError(message)
    elif isinstance(value, int) and value not in INTEGERS:
        message = f"{path} must be an integer of at most 64 bits"
        raise BadDocumentError(message)
    elif isinstance(value, float) and not isfinite(value):
        # `1e999` is read as infinity, which JSON cannot represent.
        message = f"{path} has a number that cannot be stored"
        raise BadDocumentError(message)


def _id(document: Mapping[str, Any]) -> str:
    identity = document.get("_id", document.get("id"))
    # Spools and stores use it in file names, so it must not be a path.
    if (
        not isinstance(identity, str)
        or not 0 < len(identity) <= MAX_ID
        or not identity.isprintable()
        or identity.startswith(".")
        or any(character in identity for character in "/\\")
    ):
        message = f"_id must be a text of 1 to {MAX_ID} characters without / and \\, not {identity!r}"
        raise BadDocumentError(message)
    return identity


def _typed(kind: type, words: str, document: Mapping[str, Any], name: str) -> Any:
    value = document.get(name)
    if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    message = f"{name} must be {words}, not {value!r}"
    raise BadDocumentError(message[:200])


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value: str | None = _typed(str, "a text", document, name)
    return value


def _short(document: Mapping[str, Any], name: str) -> str | None:
    # These fields are searched and sorted, and their values are part of a cursor.
    text = _text(document, name)
    if text is not None and len(text) > MAX_TEXT:
        message = f"{name} must be a text of at most {MAX_TEXT} characters, not of {len(text)}"
        raise BadDocumentError(message)
    return text


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(_typed(dict, "an object", document, name) or {})


def _integer(document: Mapping[str, Any], name: str) -> int | None:
    value: int | None = _typed(int, "an integer", document, name)
    return value


def _instant(document: Mapping[str, Any], name: str, default: Millis) -> Millis:
    seconds = _integer(document, name)
    try:
        return default if seconds is None else from_gregorian(seconds)
    except ValueError as error:
        message = f"{name}: {error}"
        raise BadDocumentError(message) from error


def _duration(document: Mapping[str, Any]) -> Millis | None:
    millis, seconds = _integer(document, "duration_ms"), _integer(document, "duration")
    if millis is None and seconds is not None:
        millis = seconds * SECOND
    if millis is not None and not 0 <= millis < 2**53:
        message = f"duration_ms must be a length, not {millis}"
        raise BadDocumentError(message)
    return millis


def _url(document: Mapping[str, Any]) -> str | None:
    # A URL that this service does not accept stays only in `imported`. It is never used.
    url = _text(document, "url")
    return url if url is not None and len(url) <= MAX_URL and is_http_url(url) else None


def _format(document: Mapping[str, Any]) -> str:
    media_type = (_text(document, "media_type") or "").lstrip(".")
    if media_type:
        return media_type if media_type in AUDIO_TYPES else "mp3"
    return "wav" if "wav" in (_text(document, "content_type") or "") else "mp3"


def _direction(document: Mapping[str, Any]) -> Direction | None:
    text = _text(document, "direction")
    return Direction(text) if text in set(Direction) else None


def _label(document: Mapping[str, Any]) -> str | None:
    # v2 writes the label into the origin, after a colon (`docs/v2_contract.md`, section 6.3).
    _, separator, label = (_text(document, "origin") or "").partition(" : ")
    return label[:128] or None if separator else None
