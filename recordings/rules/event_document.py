"""An event as clients receive it: the attributes of CloudEvents 1.0, and thin data.

The data has ids and the outcome, but no phone number, no name, no signed URL and no audio. `include` adds parts.
`schema_of` describes the data of a type as JSON Schema. Both use the same tables of fields, so they cannot differ.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from recordings.model.feed_event import EventInclude, EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import to_iso
from recordings.model.recording import Direction, Reason, State

TYPE_PREFIX: Final = "call-recording-api"
VERSION: Final = "v1"
SPEC_VERSION: Final = "1.0"
SCHEMA_PATH: Final = "/events/schemas"
_BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_:-]")
"""Standard Webhooks does not allow a full stop in an id, and a header no other letters. Imported ids may have them."""
_STAMP_DIGITS: Final = 10
"""Digits of a stamp in an id. They are enough until the year 37,000."""


MEANINGS: Final[Mapping[EventType, str]] = {
    EventType.REQUESTED: "A client or a policy asked for the recording.",
    EventType.ARMED: "The recorder waits until the call is answered or bridged.",
    EventType.STARTED: "The first audio was recorded, or a broken upload was started again.",
    EventType.PAUSED: "Recording was paused.",
    EventType.RESUMED: "Recording continued after a pause.",
    EventType.MASKED: "Masking started: silence is recorded.",
    EventType.UNMASKED: "Masking ended.",
    EventType.ENDED: "The audio is complete. The service measures, converts and stores it.",
    EventType.STORED: "The audio is stored and can be played.",
    EventType.DISCARDED: "There is no audio to keep; see the reason.",
    EventType.FAILED: "Recording or storing failed; see the reason.",
    EventType.LOST: "The audio, or the server that had it, is missing; see the reason.",
    EventType.DELIVERED: "The recording was delivered to its `url`.",
    EventType.DELIVERY_FAILED: "An attempt to deliver the recording failed. Another one may follow.",
    EventType.TRASHED: "The recording was deleted. It can be restored for a while.",
    EventType.RESTORED: "The recording was taken out of the trash.",
    EventType.PURGED: "The audio and the metadata were deleted for good.",
    EventType.HELD: "A legal hold was placed.",
    EventType.RELEASED: "The legal hold was lifted.",
    EventType.AMENDED: "Data of the recording changed: its label, name, metadata, consent, retention or gaps.",
    EventType.ACCESSED: "The audio was played or downloaded. An installation has to turn on these events.",
    EventType.POLICY_CHANGED: "A recording policy of the account changed.",
    EventType.WEBHOOK_DISABLED: "A webhook was disabled because its receiver failed for too long.",
    EventType.WEBHOOK_TEST: "A client asked for a test of a webhook.",
}

_TEXT: Final = {"type": "string"}
_OPTIONAL: Final = {"type": ["string", "null"]}
_FIELDS: Final[Mapping[str, tuple[str, Mapping[str, Any], str]]] = {
    "ownerId": ("owner_id", _OPTIONAL, "The id of the user that the call belongs to."),
    "callId": ("call_id", _TEXT, "The id of the recorded leg of the call."),
    "interactionId": ("interaction_id", _OPTIONAL, "The id of the conversation."),
    "label": ("label", _OPTIONAL, "The label, as it is when the event is read."),
}
"""The fields of the recording: the name in rows, the schema and the description."""
_DIRECTIONS: Final = {"enum": [*(each.value for each in Direction), None]}
_INCLUDED: Final[Mapping[EventInclude, Mapping[str, tuple[str, Mapping[str, Any], str]]]] = {
    EventInclude.PARTIES: {
        "from": ("from", _TEXT, "The caller, as reported by the switch."),
        "to": ("to", _TEXT, "The callee, as reported by the switch."),
        "direction": ("direction", _DIRECTIONS, "The direction of the call."),
        "callerIdName": ("caller_id_name", _OPTIONAL, "The caller's name."),
        "callerIdNumber": ("caller_id_number", _OPTIONAL, "The caller's number."),
        "calleeIdName": ("callee_id_name", _OPTIONAL, "The callee's name."),
        "calleeIdNumber": ("callee_id_number", _OPTIONAL, "The callee's number."),
    },
    EventInclude.METADATA: {
        "name": ("name", _TEXT, "The name of the recording."),
        "userMetadata": ("user_metadata", {"type": "object"}, "The metadata that clients set."),
    },
}


def event_id(event: FeedEvent) -> str:
    """Return the id of an event. It is the same however often the event is sent."""
    stamp = "".join(_BASE32[event.stamp >> shift & 31] for shift in range(5 * _STAMP_DIGITS - 5, -1, -5))
    subject = event.subject.partition("-")[2] or event.subject
    return f"evt_{stamp}_{_UNSAFE.sub(_code, subject)}_{event.revision}"


def _code(found: re.Match[str]) -> str:
    return f"~{ord(found[0]):x}"


def event_data(
    event: FeedEvent, row: RecordingRow | None, base_url: str, include: Collection[EventInclude] = ()
) -> dict[str, Any]:
    """Return the data of an event. `base_url` is the URL of this service, without a `/` at its end."""
    data: dict[str, Any] = {"id": event.subject, "accountId": event.account_id, "revision": event.revision}
    if row is None:
        return data
    data |= {"state": event.state, "reason": event.reason, "durationMs": event.duration_ms}
    fields = dict(_FIELDS)
    for part in include:
        fields |= _INCLUDED[part]
    values: Mapping[str, Any] = row
    data |= {name: values[field] for name, (field, _, _) in fields.items()}
    data["apiUrl"] = f"{base_url}/v2/accounts/{event.account_id}/recordings/{event.subject}"
    return data


def cloud_event(
    event: FeedEvent, row: RecordingRow | None, base_url: str, include: Collection[EventInclude] = ()
) -> dict[str, Any]:
    """Return an event in the structured JSON form of CloudEvents 1.0."""
    return {
        "specversion": SPEC_VERSION,
        "id": event_id(event),
        "source": f"{base_url}/accounts/{event.account_id}",
        "type": f"{TYPE_PREFIX}.{event.type}.{VERSION}",
        "subject": event.subject,
        "time": to_iso(event.time),
        "sequence": f"{event.stamp:015d}",
        "dataschema": schema_url(event.type, base_url),
        "datacontenttype": "application/json",
        "data": event_data(event, row, base_url, include),
    }


def schema_url(kind: EventType, base_url: str) -> str:
    """Return the URL of the JSON Schema of a type's data."""
    return f"{base_url}{SCHEMA_PATH}/{kind}.{VERSION}.json"


def schema_of(kind: EventType, base_url: str) -> dict[str, Any]:
    """Return the JSON Schema of a type's data."""
    properties: dict[str, Any] = {
        "id": _described(_TEXT, "The id of the object that changed: of a recording, its plain id."),
        "accountId": _described(_TEXT, "The id of the account."),
        "revision": _described({"type": "integer", "minimum": 0}, "The revision that the change made."),
    }
    required = list(properties)
    if not kind.is_of_account:
        own = _of_change() | {name: _described(schema, text) for name, (_, schema, text) in _FIELDS.items()}
        own["apiUrl"] = _described(_TEXT | {"format": "uri"}, "The recording in the v2 API.")
        required += own
        properties |= own
        for part in _INCLUDED.values():
            properties |= {name: _described(schema, text) for name, (_, schema, text) in part.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_url(kind, base_url),
        "title": kind.value,
        "description": MEANINGS[kind],
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _of_change() -> dict[str, Any]:
    return {
        "state": _described({"enum": [each.value for each in State]}, "The state after the change."),
        "reason": _described({"enum": [*(each.value for each in Reason), None]}, "The reason for the state."),
        "durationMs": _described({"type": ["integer", "null"]}, "The length of the audio in milliseconds, if known."),
    }


def _described(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {**schema, "description": text}
