"""Conversion between a v2 document and a `Recording` (`docs/v2_contract.md`, section 8).

The field `imported` of a recording keeps an imported document unchanged, so that every public field is shown with its
old type and value. The other fields of the recording are for search and playback.
"""

from collections.abc import Mapping
from typing import Any, Final

from adapters.rest_v2.gregorian import to_gregorian
from adapters.rest_v2.recording.document_values import (
    BadDocumentError,
    check_value,
    duration,
    instant,
    is_true,
    month_in,
    object_of,
    short_text,
    text,
)
from recordings.model.account import Account
from recordings.model.call import sip_uri
from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.ids import MAX_ID
from recordings.model.instants import SECOND, Millis
from recordings.model.options import MAX_URL, RecordingOptions, is_http_url
from recordings.model.recording import Direction, Reason, Recording, State

AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/x-wav"}
"""The media types of the formats in v2."""
RECORDING_ID: Final = "Media-Recording-ID"
"""The channel variable that contains the recording's id."""
_TEXTS: Final = tuple(
    field.name
    for field in FIELDS.values()
    if field.type is FieldType.TEXT and field.nullable and field.v2 == field.name
)
"""Text fields with the same name in both."""

OTHER_TEXTS: Final = tuple(name for name in _TEXTS if name not in {"caller_id_name", "caller_id_number"})
"""Those of them that a document has only if the recording has them."""
INBOUND: Final = Direction.INBOUND.value


class DeletedDocumentError(BadDocumentError):
    """The document was deleted in the other system."""


def from_v2(document: Mapping[str, Any], account: Account, now: Millis) -> Recording:
    """Return the recording for a v2 document. It is `LOST` until its audio is found.

    Raises:
        BadDocumentError: the document is not a call recording, is deleted, is another account's, or has a field of
            a wrong type.
    """
    _check(document, account)
    texts: dict[str, Any] = {name: short_text(document, name) for name in _TEXTS}
    start, created = _dates(document, now)
    return Recording(
        id=_id(document),
        account_id=account.id,
        state=State.LOST,
        reason=Reason.AUDIO_MISSING,
        reason_detail="imported without audio",
        start=start,
        created=created,
        ended=created,
        modified=created if (modified := instant(document, "pvt_modified")) is None else modified,
        call_id=short_text(document, "call_id") or "unknown",
        from_=sip_uri(short_text(document, "from"), account.realm),
        to=sip_uri(short_text(document, "to"), account.realm),
        options=RecordingOptions(url=_url(document)),
        origin=text(document, "origin") or "",
        name=text(document, "name") or "",
        format=_format(document),
        recorder="import",
        direction=_direction(document),
        label=_label(document),
        duration_ms=duration(document),
        custom_channel_vars=object_of(document, "custom_channel_vars"),
        user_metadata=object_of(document, "user_metadata"),
        imported=dict(document),
        source_key=f"v2:{_id(document)}",
        **texts,
    )


def to_v2(row: RecordingRow) -> dict[str, Any]:
    """Return the public fields of a recording as v2 shows them. The row must have all fields.

    An imported recording shows the imported document, with the current `user_metadata`. Nothing else can change.
    """
    if row["imported"] is None:
        return _native(row)
    public = {name: value for name, value in row["imported"].items() if not name.startswith(("_", "pvt_"))}
    if row["user_metadata"]:
        public["user_metadata"] = dict(row["user_metadata"])
    elif public.get("user_metadata"):
        # All keys were removed later. An imported empty object stays, because it did not change.
        del public["user_metadata"]
    return {**public, "id": row["id"]}


def _native(row: RecordingRow) -> dict[str, Any]:
    name = row["name"] or f"{row['id']}.{row['format']}"
    length, options = row["duration_ms"], row["options"]
    # In this order: the fields that every document has come first.
    document: dict[str, Any] = {
        "duration": 0 if length is None else length // SECOND,
        "duration_ms": length or 0,
        "direction": row["direction"] or INBOUND,
        "caller_id_name": row["caller_id_name"] or "",
        "caller_id_number": row["caller_id_number"] or "",
        "id": row["id"],
        "name": name,
        "description": f"recording {name}",
        "content_type": AUDIO_TYPES.get(row["format"], "audio/mpeg"),
        # A v2 client gets audio in another format as MP3.
        "media_type": row["format"] if row["format"] in AUDIO_TYPES else "mp3",
        "media_source": "recorded",
        "source_type": "kzc_recording",
        "from": row["from"],
        "to": row["to"],
        "start": to_gregorian(row["start"]),
        "call_id": row["call_id"],
        "origin": row["origin"],
    }
    if options["url"] is not None:
        document["url"] = options["url"]
    if options["record_sample_rate"] is not None:
        # Kazoo takes any rate. This is the nearest possible one (`docs/v2_contract.md`, section 6.2).
        document["record_sample_rate"] = options["record_sample_rate"]
    # Kazoo's recorder also writes the id here, and some clients use it for playback.
    document["custom_channel_vars"] = {**row["custom_channel_vars"], RECORDING_ID: row["id"]}
    if row["user_metadata"]:
        document["user_metadata"] = dict(row["user_metadata"])
    values: Mapping[str, Any] = row
    document |= {name: value for name in OTHER_TEXTS if (value := values[name]) is not None}
    return document


def _check(document: Mapping[str, Any], account: Account) -> None:
    if is_true(document.get("pvt_deleted")) or is_true(document.get("_deleted")):
        message = "the document is deleted"
        raise DeletedDocumentError(message)
    if not _is_recording(document):
        message = f"{_kind(document)}: only documents with the pvt_type call_recording are imported; leave this one out"
        raise BadDocumentError(message)
    if document.get("pvt_account_id", account.id) != account.id:
        message = f"the document belongs to the account {document['pvt_account_id']!r}, not to {account.id}"
        raise BadDocumentError(message)
    check_value("document", dict(document))


def _is_recording(document: Mapping[str, Any]) -> bool:
    """Return true if a document declares that it is a call recording.

    A stored document has a type. A document from the API has no private fields, but a media source. Any other object
    (a database row around a document, an object of another program) would become an empty recording.
    """
    if "pvt_type" in document:
        return bool(document["pvt_type"] == "call_recording")
    return document.get("media_source") == "recorded"


def _kind(document: Mapping[str, Any]) -> str:
    if "pvt_type" in document:
        return f"this is a document of the pvt_type {document['pvt_type']!r}"[:200]
    return "this document has neither a pvt_type nor the media_source recorded"


def _dates(document: Mapping[str, Any], now: Millis) -> tuple[Millis, Millis]:
    """Return the start and the creation of a document. Kazoo creates it when the recording ends.

    A document from the API has no creation: it is then the end of its audio. A document without any date is dated by
    the month in its id.
    """
    created, start, length = instant(document, "pvt_created"), instant(document, "start"), duration(document) or 0
    if created is None:
        modified = instant(document, "pvt_modified")
        if start is not None:
            created = start + length
        elif modified is not None:
            created = modified
        else:
            month = month_in(_id(document))
            created = now if month is None else month
    return (max(0, created - length) if start is None else start), created


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


def _url(document: Mapping[str, Any]) -> str | None:
    # A URL that this service does not accept stays only in `imported`. It is never used.
    url = text(document, "url")
    return url if url is not None and len(url) <= MAX_URL and is_http_url(url) else None


def _format(document: Mapping[str, Any]) -> str:
    media_type = (text(document, "media_type") or "").lstrip(".")
    if media_type:
        return media_type if media_type in AUDIO_TYPES else "mp3"
    return "wav" if "wav" in (text(document, "content_type") or "") else "mp3"


def _direction(document: Mapping[str, Any]) -> Direction | None:
    direction = (text(document, "direction") or "").lower()
    return Direction(direction) if direction in set(Direction) else None


def _label(document: Mapping[str, Any]) -> str | None:
    # v2 writes the label into the origin, after a colon (`docs/v2_contract.md`, section 6.3).
    _, separator, label = (text(document, "origin") or "").partition(" : ")
    return label[:128] or None if separator else None
