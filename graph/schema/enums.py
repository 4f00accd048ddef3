"""The domain's enumerations, described for GraphQL. A value without a description stops the program from starting."""

from collections.abc import Mapping
from enum import Enum, EnumMeta
from typing import Any, Final

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from recordings.model.account import Scope
from recordings.model.query import OrderField
from recordings.model.recording import DeliveryState, Direction, EndCause, Reason, SpanKind, State


@strawberry.enum(description="Which way a listing is sorted.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="The smallest, earliest or first one first.")
    DESC = strawberry.enum_value("DESC", description="The largest, latest or last one first.")


def _describe(kind: EnumMeta, name: str, description: str, values: Mapping[Enum, str]) -> None:
    strawberry.enum(kind, name=name, description=description)
    described: Any = kind
    definition: StrawberryEnumDefinition = described.__strawberry_definition__
    for value in definition.values:
        value.description = values[described(value.value)]


_STATES: Final[Mapping[Enum, str]] = {
    State.REQUESTED: "Asked for; the recorder has not answered yet.",
    State.ARMED: "Waits for the call to be answered or bridged.",
    State.RECORDING: "Audio is being recorded.",
    State.PAUSED: "In progress, and nothing is recorded until it is resumed.",
    State.MASKED: "In progress, and silence is recorded until it is unmasked.",
    State.FINALIZING: "Its audio ended, and is being measured, converted and stored.",
    State.STORED: "Its audio is stored and can be played.",
    State.DISCARDED: "There was nothing to keep; `reason` says why.",
    State.FAILED: "It went wrong; `reason` says how.",
    State.LOST: "Whoever held its audio is gone; `reason` says who.",
    State.TRASHED: "Deleted, and can be restored until `purgeAt`.",
    State.PURGED: "Its audio is gone for good.",
}
_REASONS: Final[Mapping[Enum, str]] = {
    Reason.TOO_SHORT: "Its audio is shorter than `recordMinSec` asked for.",
    Reason.EMPTY: "It has no audio at all.",
    Reason.NEVER_STARTED: "It ended before any audio was recorded.",
    Reason.DUPLICATE: "The same audio came in before.",
    Reason.NOT_AUDIO: "What came in cannot be decoded as audio.",
    Reason.INCOMPLETE: "What came in broke off.",
    Reason.RECORDER_FAILED: "The recorder could not record.",
    Reason.FINALIZER_FAILED: "The audio could not be measured or converted.",
    Reason.RECORDER_GONE: "The process that recorded it is gone.",
    Reason.AUDIO_MISSING: "Its audio is not where it was recorded.",
}
_CAUSES: Final[Mapping[Enum, str]] = {
    EndCause.STOPPED: "Somebody stopped it.",
    EndCause.HANGUP: "The call ended.",
    EndCause.TIME_LIMIT: "It reached its time limit.",
    EndCause.RECEIVED: "It came in as a whole file.",
    EndCause.IDLE: "No audio came any more.",
    EndCause.PROTOCOL_ERROR: "The sender broke the protocol.",
    EndCause.DISCONNECTED: "The connection to the switch broke off.",
    EndCause.SHUTDOWN: "The service was shut down.",
    EndCause.SERVER_RESTART: "The service was restarted.",
    EndCause.SPOOL_FULL: "The disk that audio is recorded on was full.",
}
_DELIVERY_STATES: Final[Mapping[Enum, str]] = {
    DeliveryState.PENDING: "It is on its way: the next attempt is at `dueAt`.",
    DeliveryState.DELIVERED: "It arrived.",
    DeliveryState.FAILED: "It did not arrive, and is not tried again by itself.",
}
_SCOPES: Final[Mapping[Enum, str]] = {
    Scope.READ: "Find recordings and live calls.",
    Scope.LISTEN: "Hear the audio.",
    Scope.CONTROL: "Start, stop, pause, resume, mask and unmask; write metadata; send again.",
    Scope.DELETE: "Delete and restore.",
    Scope.ADMIN: "Lay and lift legal holds.",
    Scope.INGEST: "Hand in audio.",
}
_ORDER_FIELDS: Final[Mapping[Enum, str]] = {
    OrderField.START: "When the audio began.",
    OrderField.CREATED: "When the recording was asked for.",
    OrderField.ENDED: "When its call was over, or it failed; what has not ended comes first, ascending.",
    OrderField.DURATION: "How long the audio is; what has no length yet comes first, ascending.",
    OrderField.CALLER: "The caller's number, as text; what has none comes first, ascending.",
}

_describe(State, "RecordingState", "Where a recording is in its life.", _STATES)
_describe(Reason, "RecordingReason", "Why a recording was discarded, failed or was lost.", _REASONS)
_describe(EndCause, "RecordingEndCause", "What ended the audio of a recording.", _CAUSES)
_describe(DeliveryState, "DeliveryState", "Whether a recording is where its `url` wanted it.", _DELIVERY_STATES)
_describe(
    Direction,
    "CallDirection",
    "Which way a call went, seen from the switch.",
    {Direction.INBOUND: "Into the switch.", Direction.OUTBOUND: "Out of the switch."},
)
_describe(
    SpanKind,
    "SpanKind",
    "Why a part of a call is not to be heard.",
    {
        SpanKind.PAUSED: "Recording was paused: the part was cut out.",
        SpanKind.MASKED: "Recording was masked: there is silence instead.",
    },
)
_describe(Scope, "Scope", "What credentials may do with the recordings in their reach.", _SCOPES)
_describe(OrderField, "RecordingOrderField", "What recordings can be sorted by.", _ORDER_FIELDS)
