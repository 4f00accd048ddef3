"""The fields that each event changes, except the state and the fields that depend on the state.

`amend` has one function for each type of event. Each returns a new `Recording`.
"""

from dataclasses import replace
from functools import singledispatch
from typing import Any, Final

from recordings.model.events import (
    Annotated,
    Armed,
    AudioFound,
    Begun,
    Consented,
    Delivered,
    DeliveryFailed,
    Discarded,
    Ended,
    Event,
    Failed,
    Held,
    Interrupted,
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
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import Consent, ConsentNeed, ConsentState
from recordings.model.recording import Delivery, DeliveryState, EndCause, Hold, Reason, Recording, Span, SpanKind, State
from recordings.model.user_metadata import merge_metadata

_MAX_ERROR: Final = 500
_WITHOUT_RECORDER: Final = frozenset({EndCause.SERVER_RESTART, EndCause.DISCONNECTED})
"""The end causes that the background work sets for a start that did not reach the recorder."""
"""Maximum length of a delivery's `last_error`, in characters."""


NO_CONSENT: Final = {
    ConsentState.WAITING: "it ended before the parties consented",
    ConsentState.REFUSED: "the parties did not consent",
}
"""The `reason_detail` of a recording without consent."""


@singledispatch
def amend(event: Event, recording: Recording) -> Recording:
    """Return the recording with the fields that an event changes. The state and the revision stay the same."""
    message = f"no amendment for {type(event).__name__} of {recording.id}"
    raise NotImplementedError(message)


@amend.register
def _armed(_event: Armed, recording: Recording) -> Recording:
    return recording


@amend.register
def _begun(event: Begun, recording: Recording) -> Recording:
    # The server that records may have another clock than the server that received the request.
    return replace(recording, start=max(event.at, recording.created))


@amend.register
def _consented(event: Consented, recording: Recording) -> Recording:
    need = ConsentNeed.NOT_NEEDED if recording.consent is None else recording.consent.need
    return replace(recording, consent=Consent(need, event.state, event.at, event.by))


@amend.register
def _paused(event: Paused, recording: Recording) -> Recording:
    return replace(recording, spans=(*recording.spans, Span(SpanKind.PAUSED, event.at, event.at_ms)))


@amend.register
def _masked(event: Masked, recording: Recording) -> Recording:
    return replace(recording, spans=(*recording.spans, Span(SpanKind.MASKED, event.at, event.at_ms)))


@amend.register
def _resumed(event: Resumed, recording: Recording) -> Recording:
    return replace(recording, spans=_closed_spans(recording, event.at, event.length_ms))


@amend.register
def _unmasked(event: Unmasked, recording: Recording) -> Recording:
    return replace(recording, spans=_closed_spans(recording, event.at, event.length_ms))


@amend.register
def _interrupted(event: Interrupted, recording: Recording) -> Recording:
    # It has ended when it is reported, so an open pause or mask that was reported earlier stays the last span.
    span = Span(event.kind, event.at, event.at_ms, event.duration_ms)
    if any((each.kind, each.at_ms) == (span.kind, span.at_ms) for each in recording.spans):
        return recording
    is_open = bool(recording.spans) and recording.spans[-1].duration_ms is None
    index = len(recording.spans) - is_open
    return replace(recording, spans=(*recording.spans[:index], span, *recording.spans[index:]))


@amend.register
def _stopped(event: Stopped, recording: Recording) -> Recording:
    return _with_end(recording, event.at, EndCause.STOPPED)


@amend.register
def _ended(event: Ended, recording: Recording) -> Recording:
    ended = _with_end(recording, event.at, event.cause)
    return replace(
        ended,
        source_sha256=recording.source_sha256 if event.source_sha256 is None else event.source_sha256,
        node=recording.node if event.node is None else event.node,
    )


@amend.register
def _reopened(event: Reopened, recording: Recording) -> Recording:
    node = recording.node if event.node is None else event.node
    return replace(recording, reason=None, reason_detail=None, end_cause=None, node=node)


@amend.register
def _audio_found(event: AudioFound, recording: Recording) -> Recording:
    return replace(
        recording,
        reason=None,
        reason_detail=None,
        end_cause=EndCause.RECEIVED,
        source_sha256=event.source_sha256,
        node=event.node,
        reference=event.reference,
    )


@amend.register
def _stored(event: Stored, recording: Recording) -> Recording:
    delivery = None
    if recording.options.url is not None and event.delivery_id is not None:
        delivery = Delivery(event.delivery_id, DeliveryState.PENDING, event.at)
    return replace(
        recording,
        delivery=delivery,
        delete_at=event.delete_at,
        media=event.media,
        format=event.format,
        duration_ms=event.media.duration_ms,
        spans=_measured_spans(recording, event.media.duration_ms),
        reason_detail=None,
        node=None,
    )


@amend.register
def _discarded(event: Discarded, recording: Recording) -> Recording:
    duration = recording.duration_ms if event.duration_ms is None else event.duration_ms
    digest = event.source_sha256 or recording.source_sha256
    return replace(_with_reason(recording, event), duration_ms=duration, source_sha256=digest)


@amend.register
def _failed(event: Failed, recording: Recording) -> Recording:
    digest = event.source_sha256 or recording.source_sha256
    return replace(_with_reason(recording, event), source_sha256=digest)


@amend.register
def _lost(event: Lost, recording: Recording) -> Recording:
    return _with_reason(recording, event)


@amend.register
def _trashed(event: Trashed, recording: Recording) -> Recording:
    return replace(
        recording,
        trashed_from=recording.state,
        trashed_at=event.at,
        trashed_by=event.by,
        trashed_reason=event.reason,
        purge_at=event.purge_at,
    )


@amend.register
def _restored(event: Restored, recording: Recording) -> Recording:
    return replace(
        recording,
        trashed_from=None,
        trashed_at=None,
        trashed_by=None,
        trashed_reason=None,
        purge_at=None,
        delete_at=event.delete_at,
    )


@amend.register
def _purged(_event: Purged, recording: Recording) -> Recording:
    # A tombstone keeps its own id, its account, its owner, times, the state and the reason. It has no names, no phone
    # numbers, no ids of the switch, and no texts of a client. It does not show where the audio was.
    return replace(
        recording,
        call_id="",
        from_="",
        to="",
        name="",
        origin="",
        interaction_id=None,
        cdr_id=None,
        trashed_by=None,
        trashed_reason=None,
        source_sha256=None,
        caller_id_name=None,
        caller_id_number=None,
        callee_id_name=None,
        callee_id_number=None,
        request=None,
        label=None,
        imported=None,
        media=None,
        delivery=None,
        delete_at=None,
        node=None,
        endpoint_id=None,
        policy=None,
        consent=None,
        source_key=None,
        start_key=None,
        start_fingerprint=None,
        applied=(),
        reason_detail=None,
        reference=None,
        options=RecordingOptions(),
        user_metadata={},
        custom_channel_vars={},
        spans=(),
    )


@amend.register
def _annotated(event: Annotated, recording: Recording) -> Recording:
    changes = event.changes
    metadata: Any = changes.get("user_metadata", {})
    return replace(
        recording,
        label=changes.get("label", recording.label),
        name=changes.get("name", recording.name) or recording.default_name,
        user_metadata={} if metadata is None else merge_metadata(recording.user_metadata, metadata),
    )


@amend.register
def _delivered(event: Delivered, recording: Recording) -> Recording:
    delivery = recording.delivery
    if delivery is None or _is_obsolete(delivery, event):
        return recording
    done = replace(
        delivery,
        state=DeliveryState.DELIVERED,
        due_at=None,
        attempts=delivery.attempts + 1,
        delivered_at=event.at,
    )
    return replace(recording, delivery=done)


@amend.register
def _delivery_failed(event: DeliveryFailed, recording: Recording) -> Recording:
    delivery = recording.delivery
    if delivery is None or _is_obsolete(delivery, event):
        return recording
    failed = replace(
        delivery,
        state=DeliveryState.FAILED if event.retry_at is None else DeliveryState.PENDING,
        due_at=event.retry_at,
        attempts=delivery.attempts + 1,
        last_error=event.error[:_MAX_ERROR],
    )
    return replace(recording, delivery=failed)


@amend.register
def _redelivered(event: Redelivered, recording: Recording) -> Recording:
    return replace(recording, delivery=Delivery(event.delivery_id, DeliveryState.PENDING, event.at))


@amend.register
def _held(event: Held, recording: Recording) -> Recording:
    return replace(recording, hold=recording.hold or Hold(event.by, event.at, event.reason))


@amend.register
def _released(_event: Released, recording: Recording) -> Recording:
    return replace(recording, hold=None)


@amend.register
def _retained(event: Retained, recording: Recording) -> Recording:
    return replace(recording, delete_at=event.delete_at)


@amend.register
def _missing(event: Missing, recording: Recording) -> Recording:
    return replace(recording, reason=Reason.AUDIO_MISSING, reason_detail=event.detail)


def _closed_spans(recording: Recording, at: Millis, length: Millis | None = None) -> tuple[Span, ...]:
    """Return the spans, with the last one closed. Without a `length`, its length is taken from the clock."""
    spans = recording.spans
    if not spans or spans[-1].duration_ms is not None:
        return spans
    # The server's clock may have been set back.
    closed = max(0, at - spans[-1].at) if length is None else length
    return (*spans[:-1], replace(spans[-1], duration_ms=closed))


def _measured_spans(recording: Recording, duration: Millis) -> tuple[Span, ...]:
    """Return the spans of stored audio. A mask that lasted until the end gets the length that it has in the audio."""
    spans = recording.spans
    if not spans or spans[-1].kind is not SpanKind.MASKED or spans[-1].duration_ms is None:
        return spans
    return (*spans[:-1], replace(spans[-1], duration_ms=min(spans[-1].duration_ms, max(0, duration - spans[-1].at_ms))))


def _with_end(recording: Recording, at: Millis, cause: EndCause) -> Recording:
    ended = replace(recording, end_cause=cause, spans=_closed_spans(recording, at))
    if recording.state is State.REQUESTED and cause in _WITHOUT_RECORDER:
        # The start changed nothing. A new start may use its key.
        detail = "its start was interrupted before the recorder was asked"
        ended = replace(ended, start_key=None, start_fingerprint=None)
        return replace(ended, reason=Reason.NEVER_STARTED, reason_detail=detail)
    if recording.state in {State.REQUESTED, State.ARMED}:
        if recording.consent is not None and recording.consent.state is not ConsentState.GIVEN:
            return replace(ended, reason=Reason.NO_CONSENT, reason_detail=NO_CONSENT[recording.consent.state])
        return replace(ended, reason=Reason.NEVER_STARTED, reason_detail="it ended before any audio was recorded")
    if recording.state is State.LOST:
        return replace(ended, reason=None, reason_detail=None)
    return ended


def _with_reason(recording: Recording, event: Discarded | Failed | Lost) -> Recording:
    spans = _closed_spans(recording, event.at)
    return replace(recording, reason=event.reason, reason_detail=event.detail, spans=spans)


def _is_obsolete(delivery: Delivery, event: Delivered | DeliveryFailed) -> bool:
    """Return true if this result belongs to a superseded or completed delivery.

    A caller can ask for a new delivery while an attempt of the old one runs. And a process that stopped for longer
    than its lease may report a failure after another process delivered.
    """
    is_superseded = event.delivery_id is not None and event.delivery_id != delivery.id
    return is_superseded or delivery.state is DeliveryState.DELIVERED
