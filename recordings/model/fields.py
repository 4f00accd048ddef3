"""The fields of a recording's row: their types, and where they can be used.

`FIELDS` is the one list of fields. The query vocabulary, the metadata stores, REST v2 and GraphQL's filters are derived
from it. To add a field, add it here and to `recordings.model.recording.Recording`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NotRequired, TypedDict


class FieldType(Enum):
    """The type of a field's value in a row."""

    TEXT = auto()
    CHOICE = auto()
    """A text: the value of an enumeration."""
    NUMBER = auto()
    """An integer. Instants and durations are in milliseconds."""
    OBJECT = auto()
    """An object, or a list of objects, with fields that this service defines."""
    FREE_FORM = auto()
    """An object with the client's own keys and values. A query finds its top-level keys, in `user_metadata` only."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row.

    `nullable` says whether it may be null. `filterable` and `sortable` say whether a query can use it. `v2` is its name
    in the v2 document; `None` if that document does not have it.
    """

    name: str
    type: FieldType
    nullable: bool = False
    filterable: bool = False
    sortable: bool = False
    v2: str | None = None


def _text(
    name: str, *, nullable: bool = True, filterable: bool = True, sortable: bool = False, v2: str | None = None
) -> Field:
    return Field(name, FieldType.TEXT, nullable=nullable, filterable=filterable, sortable=sortable, v2=v2)


def _choice(name: str, *, nullable: bool = True, filterable: bool = True, v2: str | None = None) -> Field:
    return Field(name, FieldType.CHOICE, nullable=nullable, filterable=filterable, v2=v2)


def _number(
    name: str, *, nullable: bool = True, filterable: bool = False, sortable: bool = False, v2: str | None = None
) -> Field:
    return Field(name, FieldType.NUMBER, nullable=nullable, filterable=filterable, sortable=sortable, v2=v2)


FIELDS: Final[Mapping[str, Field]] = {
    field.name: field
    for field in (
        _text("id", nullable=False, filterable=False, v2="id"),
        _text("account_id", nullable=False, filterable=False),
        _choice("state", nullable=False),
        _choice("shelf", nullable=False, filterable=False),
        _choice("reason"),
        _text("reason_detail", filterable=False),
        _choice("end_cause"),
        _number("start", nullable=False, filterable=True, sortable=True, v2="start"),
        _number("created", nullable=False, filterable=True, sortable=True),
        _number("modified", nullable=False, v2="pvt_modified"),
        _number("changed", nullable=False, filterable=True, sortable=True),
        _number("ended", filterable=True, sortable=True, v2="pvt_created"),
        _number("duration_ms", filterable=True, sortable=True, v2="duration_ms"),
        _text("from", nullable=False, v2="from"),
        _text("to", nullable=False, v2="to"),
        _choice("direction", v2="direction"),
        _text("request", filterable=False, v2="request"),
        _text("caller_id_name", v2="caller_id_name"),
        _text("caller_id_number", sortable=True, v2="caller_id_number"),
        _text("callee_id_name", v2="callee_id_name"),
        _text("callee_id_number", v2="callee_id_number"),
        _text("call_id", nullable=False, v2="call_id"),
        _text("interaction_id", v2="interaction_id"),
        _text("cdr_id", v2="cdr_id"),
        _text("owner_id", v2="owner_id"),
        _text("endpoint_id", v2="endpoint_id"),
        _text("origin", nullable=False, v2="origin"),
        _text("label"),
        _text("name", nullable=False, v2="name"),
        _text("format", nullable=False, v2="media_type"),
        _text("recorder", nullable=False, filterable=False),
        Field("options", FieldType.OBJECT),
        Field("spans", FieldType.OBJECT),
        Field("media", FieldType.OBJECT, nullable=True),
        Field("delivery", FieldType.OBJECT, nullable=True),
        Field("hold", FieldType.OBJECT, nullable=True),
        Field("policy", FieldType.OBJECT, nullable=True),
        Field("consent", FieldType.OBJECT, nullable=True),
        Field("user_metadata", FieldType.FREE_FORM, v2="user_metadata"),
        Field("custom_channel_vars", FieldType.FREE_FORM, v2="custom_channel_vars"),
        Field("imported", FieldType.FREE_FORM, nullable=True),
        _number("delete_at"),
        _choice("trashed_from", filterable=False),
        _number("trashed_at"),
        _text("trashed_by", filterable=False),
        _text("trashed_reason", filterable=False),
        _number("purge_at"),
        _text("start_key", filterable=False),
        _text("start_fingerprint", filterable=False),
        Field("applied", FieldType.OBJECT),
        _text("source_key", filterable=False),
        _text("source_sha256", filterable=False),
        _text("held_source", filterable=False),
        Field("reference", FieldType.OBJECT, nullable=True),
        _text("node", filterable=False),
        _number("due_at"),
        _number("attempts", nullable=False),
        Field("lease", FieldType.OBJECT, nullable=True),
        _number("revision", nullable=False),
        _text("active_call", filterable=False),
    )
}
"""All fields, by name. `shelf` and `active_call` are derived from other fields; the stores keep them for indexes. The
store itself sets `changed` in every write (`recordings.ports.recording_store.RecordingStore`)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object field that a query can filter by, as if it were a field: the object's name and the key."""

    type: FieldType
    field: str
    key: str


PARTS: Final[Mapping[str, Part]] = {
    "delivery_state": Part(FieldType.CHOICE, "delivery", "state"),
    "media_length": Part(FieldType.NUMBER, "media", "length"),
}
"""All parts, by the name that conditions use. Rows have the whole objects only."""


def value_of(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a field or of a part. A part of a missing object is `None`."""
    part = PARTS.get(name)
    if part is None:
        return row[name]
    return None if row[part.field] is None else row[part.field][part.key]


def names_of(*types: FieldType) -> tuple[str, ...]:
    """Return the names of the fields of these types."""
    return tuple(field.name for field in FIELDS.values() if field.type in types)


def filterable(*types: FieldType) -> tuple[str, ...]:
    """Return the names of the fields of these types that a query can filter by."""
    return tuple(field.name for field in FIELDS.values() if field.filterable and field.type in types)


class OptionsRow(TypedDict):
    """The `options` of a row."""

    format: str | None
    label: str | None
    media_name: str | None
    method: str
    record_min_sec: int
    record_on_answer: bool
    record_on_bridge: bool
    record_sample_rate: int | None
    should_follow_transfer: bool
    time_limit: int
    url: str | None


class SpanRow(TypedDict):
    """One of the `spans` of a row."""

    kind: str
    at: int
    at_ms: int
    duration_ms: int | None


class MediaRow(TypedDict):
    """The `media` of a row."""

    url: str
    content_type: str
    length: int
    duration_ms: int
    sample_rate: int
    channels: int
    sha256: str
    stored_at: int
    damage: str | None
    expected_ms: int | None
    place: str | None
    former_url: NotRequired[str | None]


class ReferenceRow(TypedDict):
    """The `reference` of a row."""

    url: str
    content_type: str
    length: int | None


class DeliveryRow(TypedDict):
    """The `delivery` of a row."""

    id: str
    state: str
    due_at: int | None
    attempts: int
    last_error: str | None
    delivered_at: int | None


class HoldRow(TypedDict):
    """The `hold` of a row."""

    by: str
    at: int
    reason: str


class PolicyRow(TypedDict):
    """The `policy` of a row."""

    source: str
    evaluated_at: int
    document_id: str | None
    revision: int | None
    cell: str | None
    decision: str
    fill: str | None
    reasons: Sequence[str]
    locked: bool
    part: str


class ConsentRow(TypedDict):
    """The `consent` of a row."""

    need: str
    state: str
    at: int
    by: str


class LeaseRow(TypedDict):
    """The `lease` of a row."""

    holder: str
    until: int


class AppliedRow(TypedDict):
    """One of the `applied` idempotency keys of a row."""

    key: str
    action: str


RecordingRow = TypedDict(
    "RecordingRow",
    {
        "id": str,
        "account_id": str,
        "state": str,
        "shelf": str,
        "reason": str | None,
        "reason_detail": str | None,
        "end_cause": str | None,
        "start": int,
        "created": int,
        "modified": int,
        "changed": int,
        "ended": int | None,
        "duration_ms": int | None,
        "from": str,
        "to": str,
        "direction": str | None,
        "request": str | None,
        "caller_id_name": str | None,
        "caller_id_number": str | None,
        "callee_id_name": str | None,
        "callee_id_number": str | None,
        "call_id": str,
        "interaction_id": str | None,
        "cdr_id": str | None,
        "owner_id": str | None,
        "endpoint_id": str | None,
        "origin": str,
        "label": str | None,
        "name": str,
        "format": str,
        "recorder": str,
        "options": OptionsRow,
        "spans": Sequence[SpanRow],
        "media": MediaRow | None,
        "delivery": DeliveryRow | None,
        "hold": HoldRow | None,
        "policy": PolicyRow | None,
        "consent": ConsentRow | None,
        "user_metadata": Mapping[str, Any],
        "custom_channel_vars": Mapping[str, Any],
        "imported": Mapping[str, Any] | None,
        "delete_at": int | None,
        "trashed_from": str | None,
        "trashed_at": int | None,
        "trashed_by": str | None,
        "trashed_reason": str | None,
        "purge_at": int | None,
        "start_key": str | None,
        "start_fingerprint": str | None,
        "applied": Sequence[AppliedRow],
        "source_key": str | None,
        "source_sha256": str | None,
        "held_source": str | None,
        "reference": ReferenceRow | None,
        "node": str | None,
        "due_at": int | None,
        "attempts": int,
        "lease": LeaseRow | None,
        "revision": int,
        "active_call": str | None,
    },
    total=False,
)
"""A recording as plain values, under the names of `FIELDS`. A query can ask for some of them only.

A row is a `dict` at run time. This type costs nothing there.
"""
