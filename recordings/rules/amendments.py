"""What each event writes on a recording, besides its state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from recordings.model.events import (
    Annotated,
    Armed,
    Begun,
    Delivered,
    DeliveryFailed,
    Discarded,
    Ended,
    Event,
    Failed,
    Held,
    Lost,
    Masked,
    Missing,
    Paused,
    Purged,
    Redelivered,
    Released,
    Reopened,
    Restored,
    Resumed,
    Retained,
    Stopped,
    Stored,
    Trashed,
    Unmasked,
)
from recordings.model.options import RecordingOptions
from recordings.model.recording import Delivery, DeliveryState, EndCause, Hold, Reason, Recording, Span, SpanKind, State
from recordings.model.user_metadata import merge_metadata


def _close_span(recording: Recording, event: Event) -> tuple[Span, ...]:
    spans = recording.spans
    if not spans or spans[-1].duration_ms is not None:
        return spans
    return (*spans[:-1], replace(spans[-1], duration_ms=max(0, event.at - spans[-1].at)))


def _open_span(kind: SpanKind) -> Callable[[Recording, Any], dict[str, Any]]:
    return lambda recording, event: {"spans": (*recording.spans, Span(kind, event.at, event.at_ms))}


def _ended(recording: Recording, event: Any) -> dict[str, Any]:
    cause = event.cause if isinstance(event, Ended) else EndCause.STOPPED
    amended: dict[str, Any] = {"end_cause": cause, "spans": _close_span(recording, event)}
    if isinstance(event, Ended) and event.source_sha256 is not None:
        amended["source_sha256"] = event.source_sha256
    if recording.state in {State.REQUESTED, State.ARMED}:
        amended |= {"reason": Reason.NEVER_STARTED, "reason_detail": "it ended before any audio was recorded"}
    if recording.state is State.LOST:
        amended |= {"reason": None, "reason_detail": None}
    return amended


def _with_reason(recording: Recording, event: Any) -> dict[str, Any]:
    amended = {"reason": event.reason, "reason_detail": event.detail, "spans": _close_span(recording, event)}
    if isinstance(event, Discarded) and event.duration_ms is not None:
        amended["duration_ms"] = event.duration_ms
    return amended


def _stored(recording: Recording, event: Any) -> dict[str, Any]:
    wanted = recording.options.url is not None and event.delivery_id is not None
    return {
        "delivery": Delivery(event.delivery_id, DeliveryState.PENDING, event.at) if wanted else None,
        "delete_at": event.delete_at,
        "media": event.media,
        "format": event.format,
        "duration_ms": event.media.duration_ms,
        "reason_detail": None,
        "node": None,
    }


def _is_over(delivery: Delivery, event: Any) -> bool:
    """Whether nobody waits for this outcome any more.

    It is another delivery's, if somebody asked for one of its own while that was under way. Or it arrived already: a
    process that stood still for longer than its lease may come back with a failure after another one's success.
    """
    is_another = event.delivery_id is not None and event.delivery_id != delivery.id
    return is_another or delivery.state is DeliveryState.DELIVERED


def _delivery_failed(recording: Recording, event: Any) -> dict[str, Any]:
    if recording.delivery is None or _is_over(recording.delivery, event):
        return {}
    state = DeliveryState.FAILED if event.retry_at is None else DeliveryState.PENDING
    attempts = recording.delivery.attempts + 1
    return {
        "delivery": replace(
            recording.delivery, state=state, due_at=event.retry_at, attempts=attempts, last_error=event.error[:500]
        )
    }


def _delivered(recording: Recording, event: Any) -> dict[str, Any]:
    if recording.delivery is None or _is_over(recording.delivery, event):
        return {}
    attempts = recording.delivery.attempts + 1
    done = replace(
        recording.delivery, state=DeliveryState.DELIVERED, due_at=None, attempts=attempts, delivered_at=event.at
    )
    return {"delivery": done}


def _held(recording: Recording, event: Any) -> dict[str, Any]:
    return {"hold": recording.hold or Hold(event.by, event.at, event.reason)}


def _trashed(recording: Recording, event: Any) -> dict[str, Any]:
    return {
        "trashed_from": recording.state,
        "trashed_at": event.at,
        "trashed_by": event.by,
        "trashed_reason": event.reason,
        "purge_at": event.purge_at,
    }


_NOT_TRASHED: Final = dict.fromkeys(("trashed_from", "trashed_at", "trashed_by", "trashed_reason", "purge_at"))


_TOMBSTONE: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ("caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "request", "label", "imported")
    ),
    **dict.fromkeys(("media", "delivery", "delete_at", "node", "endpoint_id", "source_key", "start_key"), None),
    **dict.fromkeys(("from_", "to", "name", "origin"), ""),
    "options": RecordingOptions(),
    "user_metadata": {},
    "custom_channel_vars": {},
    "spans": (),
}
"""What a purge wipes: the audio's place and everybody's names. Ids, times, state, reason, who deleted it, why: stay."""

AMENDMENTS: Final[Mapping[type[Event], Callable[[Recording, Any], dict[str, Any]]]] = {
    Armed: lambda _recording, _event: {},
    Begun: lambda _recording, event: {"start": event.at},
    Paused: _open_span(SpanKind.PAUSED),
    Resumed: lambda recording, event: {"spans": _close_span(recording, event)},
    Masked: _open_span(SpanKind.MASKED),
    Unmasked: lambda recording, event: {"spans": _close_span(recording, event)},
    Stopped: _ended,
    Ended: _ended,
    Reopened: lambda _recording, _event: {"reason": None, "reason_detail": None, "end_cause": None},
    Stored: _stored,
    Discarded: _with_reason,
    Failed: _with_reason,
    Lost: _with_reason,
    Trashed: _trashed,
    Restored: lambda _recording, event: _NOT_TRASHED | {"delete_at": event.delete_at},
    Purged: lambda _recording, _event: _TOMBSTONE,
    Delivered: _delivered,
    DeliveryFailed: _delivery_failed,
    Redelivered: lambda _recording, event: {"delivery": Delivery(event.delivery_id, DeliveryState.PENDING, event.at)},
    Held: _held,
    Released: lambda _recording, _event: {"hold": None},
    Retained: lambda _recording, event: {"delete_at": event.delete_at},
    Missing: lambda _recording, event: {"reason": Reason.AUDIO_MISSING, "reason_detail": event.detail},
    Annotated: lambda recording, event: {"user_metadata": merge_metadata(recording.user_metadata, event.changes)},
}
