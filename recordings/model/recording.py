"""A recording: the one document that everything else is about.

A `Recording` is never changed in place: `recordings.rules.lifecycle` makes the next revision from an event, and a store
saves it with a compare-and-set on `revision`. Field names are those of the v2 document; other fields are this service's
own. A store keeps `Recording.to_row()`. A page of a listing returns those rows, or the requested part of them, without
building a `Recording`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Self, cast

from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions


class State(StrEnum):
    """Where a recording is in its life. `recordings.rules.lifecycle` says how it moves."""

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
    """Why a recording was discarded, failed or was lost."""

    TOO_SHORT = "TOO_SHORT"
    EMPTY = "EMPTY"
    NEVER_STARTED = "NEVER_STARTED"
    DUPLICATE = "DUPLICATE"
    NOT_AUDIO = "NOT_AUDIO"
    INCOMPLETE = "INCOMPLETE"
    RECORDER_FAILED = "RECORDER_FAILED"
    FINALIZER_FAILED = "FINALIZER_FAILED"
    RECORDER_GONE = "RECORDER_GONE"
    AUDIO_MISSING = "AUDIO_MISSING"


class EndCause(StrEnum):
    """What ended the audio of a take."""

    STOPPED = "STOPPED"
    HANGUP = "HANGUP"
    TIME_LIMIT = "TIME_LIMIT"
    RECEIVED = "RECEIVED"
    IDLE = "IDLE"
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    DISCONNECTED = "DISCONNECTED"
    SHUTDOWN = "SHUTDOWN"
    SERVER_RESTART = "SERVER_RESTART"
    SPOOL_FULL = "SPOOL_FULL"


class Shelf(StrEnum):
    """Where a listing finds a recording: `LIVE`, as usual; `TRASH`, inside its window; `GONE`, a tombstone."""

    LIVE = "LIVE"
    TRASH = "TRASH"
    GONE = "GONE"


class Direction(StrEnum):
    """Which way the call went, seen from the switch (contract section 8)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class SpanKind(StrEnum):
    """Why a part of the call is not to be heard."""

    PAUSED = "PAUSED"
    MASKED = "MASKED"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the call that was not recorded.

    It opened at the instant `at`, at the offset `at_ms` of the stored audio. A masked span is silence of `duration_ms`
    in the audio; a paused one was cut out and takes no time in it. `duration_ms` is `None` while the span is open.
    """

    kind: SpanKind
    at: Millis
    at_ms: Millis
    duration_ms: Millis | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """The stored audio. `url` is the fsspec URL it lies at; `length` is in bytes."""

    url: str
    content_type: str
    length: int
    duration_ms: Millis
    sample_rate: int
    channels: int
    sha256: str
    stored_at: Millis


class DeliveryState(StrEnum):
    """Whether the recording is where its `url` wanted it."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sending the stored recording to its `url`: a part of it with a life of its own.

    `id` stays the same over all attempts, so that a receiver can tell a repetition; asking anew makes a new one.
    """

    id: str
    state: DeliveryState
    due_at: Millis | None
    attempts: int = 0
    last_error: str | None = None
    delivered_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: while it is there nothing and nobody deletes the recording."""

    by: str
    at: Millis
    reason: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Which process works on a recording, until when. After that another one takes over."""

    holder: str
    until: Millis


@dataclass(frozen=True, slots=True)
class Applied:
    """An idempotency key that changed this recording already, and what it did."""

    key: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording of one call, at one revision. See the module's docstring for how it changes.

    `start` is when its audio begins (until then: when it was asked for), `created` when it was asked for, `modified`
    when this revision was made, `ended` when its call was over or it failed (nothing until then), `delete_at` when its
    retention is over. `node` names the process that holds audio of it
    outside the media store. `source_key` names what came in (a sender's retry has the same one), `source_sha256` the
    bytes that came.
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
    node: str | None = None
    due_at: Millis | None = None
    attempts: int = 0
    lease: Lease | None = None
    revision: int = 0

    @property
    def in_progress(self) -> bool:
        """Whether its call can still add audio to it."""
        return self.state in IN_PROGRESS

    @property
    def shelf(self) -> Shelf:
        """Where a listing finds it."""
        return SHELVES.get(self.state, Shelf.LIVE)

    @property
    def active_call(self) -> str | None:
        """The call that it occupies: a call has at most one recording in progress that was asked for by `start`."""
        return self.call_id if self.in_progress and self.source_key is None else None

    def to_row(self) -> RecordingRow:
        """This recording as plain values (str, int, bool, None, list, dict), every field present, in a fixed order."""
        row = {name: _plain(getattr(self, attribute)) for attribute, name in _ATTRIBUTES.items()}
        row["shelf"] = self.shelf.value
        row["active_call"] = self.active_call
        return cast("RecordingRow", row)

    @classmethod
    def from_row(cls, row: RecordingRow) -> Self:
        """The recording that `to_row` wrote. Fields that a row does not have get their defaults."""
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
        return cls(**values)


IN_PROGRESS: Final = frozenset({State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED})
SHELVES: Final = {State.TRASHED: Shelf.TRASH, State.PURGED: Shelf.GONE}

_ATTRIBUTES: Final = {item.name: item.name.rstrip("_") for item in fields(Recording)}
_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "state": State,
    "reason": Reason,
    "end_cause": EndCause,
    "direction": Direction,
    "trashed_from": State,
}

_PARTS: Final[Mapping[str, type[Media | Hold | Lease]]] = {"media": Media, "hold": Hold, "lease": Lease}

ROW_FIELDS: Final = (*_ATTRIBUTES.values(), "shelf", "active_call")
"""Every field of a row. `shelf` and `active_call` are derived, and kept for the indexes."""


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value
