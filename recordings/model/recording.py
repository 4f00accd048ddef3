"""A recording: the central data type of the service.

A `Recording` never changes. `recordings.rules.lifecycle` makes the next revision from an event, and a store saves it
with a compare-and-set on `revision`. Fields that the v2 document has, too, have the same names as there. A store keeps
`Recording.to_row()`. A page of a list returns those rows, or the requested fields of them, and builds no `Recording`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, Final, Self, cast

from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import Consent, PolicyTrace


class State(StrEnum):
    """The state of a recording. `recordings.rules.lifecycle` defines how it changes."""

    REQUESTED = "REQUESTED"
    ARMED = "ARMED"
    RECORDING = "RECORDING"
    PAUSED = "PAUSED"
    MASKED = "MASKED"
    FINALIZING = "FINALIZING"
    STORED = "STORED"
    DISCARDED = "DISCARDED"
    FAILED = "FAILED"
    LOST = "LOST"
    TRASHED = "TRASHED"
    PURGED = "PURGED"


class Reason(StrEnum):
    """The reason why a recording was discarded, failed or was lost."""

    TOO_SHORT = "TOO_SHORT"
    EMPTY = "EMPTY"
    NEVER_STARTED = "NEVER_STARTED"
    DUPLICATE = "DUPLICATE"
    NOT_AUDIO = "NOT_AUDIO"
    TOO_LONG = "TOO_LONG"
    INCOMPLETE = "INCOMPLETE"
    RECORDER_FAILED = "RECORDER_FAILED"
    FINALIZER_FAILED = "FINALIZER_FAILED"
    RECORDER_GONE = "RECORDER_GONE"
    AUDIO_MISSING = "AUDIO_MISSING"
    NO_CONSENT = "NO_CONSENT"
    NO_START = "NO_START"
    NO_FILE = "NO_FILE"
    SWITCH_RESTARTED = "SWITCH_RESTARTED"


class EndCause(StrEnum):
    """The cause of the end of a recording's audio."""

    STOPPED = "STOPPED"
    HANGUP = "HANGUP"
    LEG_ENDED = "LEG_ENDED"
    TIME_LIMIT = "TIME_LIMIT"
    RECEIVED = "RECEIVED"
    IDLE = "IDLE"
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    DISCONNECTED = "DISCONNECTED"
    SHUTDOWN = "SHUTDOWN"
    SERVER_RESTART = "SERVER_RESTART"
    SPOOL_FULL = "SPOOL_FULL"


class Shelf(StrEnum):
    """The list that contains a recording: `LIVE`, `TRASH` (deleted, can be restored) or `GONE` (a tombstone)."""

    LIVE = "LIVE"
    TRASH = "TRASH"
    GONE = "GONE"


class Direction(StrEnum):
    """The direction of a call, from the switch's point of view (docs/v2_contract.md, section 8)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class SpanKind(StrEnum):
    """The reason why a part of the call is not in the audio."""

    PAUSED = "PAUSED"
    MASKED = "MASKED"
    SENDER_PAUSED = "SENDER_PAUSED"
    SENDER_DISCARDED = "SENDER_DISCARDED"
    DISCONNECTED = "DISCONNECTED"
    GAP = "GAP"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the call that was not recorded.

    It began at the instant `at`, at the offset `at_ms` of the stored audio. A masked span is silence of `duration_ms`
    in the audio. A paused span was cut out and takes no time in the audio. `duration_ms` is `None` until the span ends.
    In the other kinds, the sender had no audio: it is silence of `duration_ms`, too.
    """

    kind: SpanKind
    at: Millis
    at_ms: Millis
    duration_ms: Millis | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """The stored audio. `url` is its fsspec URL; `length` is in bytes."""

    url: str
    content_type: str
    length: int
    duration_ms: Millis
    sample_rate: int
    channels: int
    sha256: str
    stored_at: Millis
    damage: str | None = None
    """The part of the received file that is missing or damaged, in words. The original is then set aside."""
    expected_ms: Millis | None = None
    """The length that the received file announced, if the stored audio is not complete."""
    place: str | None = None
    """The storage provider that keeps the audio. The service reads it there and never deletes it. `None` if the audio
    is in a media store of this service.
    """
    former_url: str | None = None
    """The URL of a copy in the media store from which the audio was moved, until that copy is deleted."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Audio at a storage provider: its URL, and its type and length in bytes as the archive says."""

    url: str
    content_type: str = ""
    length: int | None = None


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of a stored recording to its `url`. Its state does not depend on the recording's state.

    All attempts have the same `id`, so that the receiver can recognise a repeated one. A new request makes a new id.
    """

    id: str
    state: DeliveryState
    due_at: Millis | None
    attempts: int = 0
    last_error: str | None = None
    delivered_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold. A recording with a hold cannot be deleted."""

    by: str
    at: Millis
    reason: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The process that works on a recording. When the lease expires, another process may take over."""

    holder: str
    until: Millis


@dataclass(frozen=True, slots=True)
class Applied:
    """An idempotency key that was used for this recording, and its action."""

    key: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One revision of a recording of one call.

    - `created`: when it was requested.
    - `start`: when its audio began; until then, the same as `created`.
    - `ended`: when its call ended or it failed; `None` until then.
    - `modified`: when this revision was made.
    - `delete_at`: when its retention ends.
    - `node`: the node that has audio of it outside the media store.
    - `source_key`: the identity of an upload; a sender's retry has the same one.
    - `source_sha256`: the digest of the uploaded bytes.
    - `held_source`: the uploaded file that only this recording may have. `recordings.rules.held_source` sets it.
    - `reference`: the audio at a storage provider, if the service does not store the audio itself.
    """

    id: str
    account_id: str
    state: State
    start: Millis
    created: Millis
    modified: Millis
    call_id: str
    from_: str
    to: str
    options: RecordingOptions = field(default_factory=RecordingOptions)
    origin: str = ""
    name: str = ""
    format: str = "mp3"
    recorder: str = "embedded"
    owner_id: str | None = None
    endpoint_id: str | None = None
    interaction_id: str | None = None
    cdr_id: str | None = None
    direction: Direction | None = None
    request: str | None = None
    caller_id_name: str | None = None
    caller_id_number: str | None = None
    callee_id_name: str | None = None
    callee_id_number: str | None = None
    label: str | None = None
    duration_ms: Millis | None = None
    reason: Reason | None = None
    reason_detail: str | None = None
    end_cause: EndCause | None = None
    spans: tuple[Span, ...] = ()
    media: Media | None = None
    delivery: Delivery | None = None
    hold: Hold | None = None
    policy: PolicyTrace | None = None
    consent: Consent | None = None
    delete_at: Millis | None = None
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    custom_channel_vars: Mapping[str, Any] = field(default_factory=dict)
    imported: Mapping[str, Any] | None = None
    trashed_from: State | None = None
    trashed_at: Millis | None = None
    trashed_by: str | None = None
    trashed_reason: str | None = None
    purge_at: Millis | None = None
    start_key: str | None = None
    start_fingerprint: str | None = None
    applied: tuple[Applied, ...] = ()
    ended: Millis | None = None
    source_key: str | None = None
    source_sha256: str | None = None
    held_source: str | None = None
    reference: Reference | None = None
    node: str | None = None
    due_at: Millis | None = None
    attempts: int = 0
    lease: Lease | None = None
    revision: int = 0

    @property
    def default_name(self) -> str:
        """The name of a recording that no client has named."""
        return f"{self.id}.{self.format}"

    @property
    def in_progress(self) -> bool:
        """True if the call can still add audio."""
        return self.state in IN_PROGRESS

    @property
    def shelf(self) -> Shelf:
        """The list that contains it."""
        return SHELVES.get(self.state, Shelf.LIVE)

    @property
    def active_call(self) -> str | None:
        """The id of its call, while it prevents another start for that call. `None` for uploads and after its end.

        A second recording of the call, by a policy that records separately, has a key of its own.
        """
        if not self.in_progress or self.source_key is not None:
            return None
        # A line break cannot be part of the id of another call.
        return f"{self.call_id}\n{self.policy.part}" if self.policy is not None and self.policy.part else self.call_id

    @property
    def source(self) -> str | None:
        """The identity of its uploaded file: the source and the digest. `None` until the whole file was received."""
        return f"{self.source_key}:{self.source_sha256}" if self.source_key and self.source_sha256 else None

    def to_row(self) -> RecordingRow:
        """Return all fields as plain values (str, int, bool, None, list, dict), in a fixed order."""
        row = dict(zip(_ATTRIBUTES.values(), _VALUES(self), strict=True))
        for name in _NOT_PLAIN:
            if row[name] is not None:
                row[name] = _plain(row[name])
        row["shelf"] = self.shelf.value
        row["active_call"] = self.active_call
        return cast("RecordingRow", row)

    @classmethod
    def from_row(cls, row: RecordingRow) -> Self:
        """Return the recording of a row that `to_row` made. Fields that are not in the row get their defaults."""
        found: Mapping[str, Any] = row
        values = {attribute: found[name] for attribute, name in _ATTRIBUTES.items() if name in found}
        for name, kind in _ENUMS.items():
            if values.get(name) is not None:
                values[name] = kind(values[name])
        values["options"] = RecordingOptions(**values["options"])
        if (delivery := values.get("delivery")) is not None:
            values["delivery"] = Delivery(**{**delivery, "state": DeliveryState(delivery["state"])})
        values["spans"] = tuple(Span(**{**span, "kind": SpanKind(span["kind"])}) for span in values.get("spans", ()))
        values["applied"] = tuple(Applied(**applied) for applied in values.get("applied", ()))
        for name, part in _PARTS.items():
            values[name] = part(**values[name]) if values.get(name) is not None else None
        for name, make in _TYPED_PARTS.items():
            values[name] = make(values[name]) if values.get(name) is not None else None
        return cls(**values)


IN_PROGRESS: Final = frozenset({State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED})
SHELVES: Final = {State.TRASHED: Shelf.TRASH, State.PURGED: Shelf.GONE}

_ATTRIBUTES: Final = {item.name: item.name.rstrip("_") for item in fields(Recording)}
_VALUES: Final = attrgetter(*_ATTRIBUTES)
_NOT_PLAIN: Final = [
    name for name in _ATTRIBUTES.values() if FIELDS[name].type not in {FieldType.TEXT, FieldType.NUMBER}
]
_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "state": State,
    "reason": Reason,
    "end_cause": EndCause,
    "direction": Direction,
    "trashed_from": State,
}

_PARTS: Final[Mapping[str, type[Media | Hold | Lease | Reference]]] = {
    "media": Media,
    "hold": Hold,
    "lease": Lease,
    "reference": Reference,
}

_TYPED_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], PolicyTrace | Consent]]] = {
    "policy": PolicyTrace.from_row,
    "consent": Consent.from_row,
}

ROW_FIELDS: Final = (*_ATTRIBUTES.values(), "shelf", "active_call")
"""All fields of a row, in their order. `shelf` and `active_call` are derived; the stores keep them for indexes."""


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    if value is None or kind in _SCALARS:
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in _names_of(kind)}
    return dict(value) if isinstance(value, Mapping) else value


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


_SCALARS: Final = frozenset({str, int, bool, float})
