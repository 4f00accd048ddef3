"""The state table: which events may happen in each state, and their results. Nothing else changes a state.

    REQUESTED -> ARMED -> RECORDING <-> PAUSED | MASKED -> FINALIZING -> STORED
                                                        or DISCARDED, FAILED, LOST (each with a reason)
    STORED, DISCARDED, FAILED, LOST -> TRASHED -> PURGED; a recording in TRASHED can be restored

`apply` looks up the result of an event and returns the next revision. It does no I/O and does not change its arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Final

from recordings.model.errors import (
    ForbiddenByPolicy,
    InvalidState,
    NotDeliverable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    RecordingInProgress,
    Refused,
)
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
    Moved,
    Paused,
    Purged,
    Redelivered,
    Released,
    Reopened,
    Rescheduled,
    Restored,
    Resumed,
    Retained,
    Stopped,
    Stored,
    Trashed,
    Unmasked,
)
from recordings.model.instants import CLOCK_TOLERANCE, MINUTE, SECOND, Millis
from recordings.model.recording import IN_PROGRESS, Lease, Reason, Recording, State
from recordings.rules.amendments import amend
from recordings.rules.held_source import held_source

GRACE: Final = MINUTE
"""Extra time before a background step checks an open take.

It is added to the time limit of a take in progress. A take that was requested has this long to begin or to be armed.
"""


class Outcome(Enum):
    """The result of an event that moves the recording to no other state."""

    UNCHANGED = "UNCHANGED"
    """Nothing is written. The event was repeated or came late."""
    STAY = "STAY"
    """Fields are written. The state, the due date and the lease stay the same."""
    BACK = "BACK"
    """The recording returns to the state that it had before it was deleted."""


Result = State | Outcome | type[Refused]
"""The next state, another outcome, or the error for an event that is not allowed."""

_WAITING: Final = frozenset({State.REQUESTED, State.ARMED})
WITH_AUDIO: Final = frozenset({State.RECORDING, State.PAUSED, State.MASKED})
"""The states of a take that began."""
_UNFINISHED: Final = IN_PROGRESS | {State.FINALIZING}
_FINISHED: Final = frozenset({State.STORED, State.DISCARDED, State.FAILED, State.LOST})
_UNSUCCESSFUL: Final = _FINISHED - {State.STORED}
_OTHERWISE: Final = frozenset(State)

Rule = Mapping[State | frozenset[State], Result]
"""Results of one event by state. The first key that contains the state applies; `_OTHERWISE` contains every state."""


def _same_state(states: Iterable[State]) -> Rule:
    """Write in place: the state stays the same, but its due date is computed again and its lease ends."""
    return {state: state for state in states}


RULES: Final[Mapping[type[Event], Rule]] = {
    Armed: {State.REQUESTED: State.ARMED, _OTHERWISE: Outcome.UNCHANGED},
    Begun: {_WAITING: State.RECORDING, _OTHERWISE: Outcome.UNCHANGED},
    Paused: {
        State.RECORDING: State.PAUSED,
        State.PAUSED: Outcome.UNCHANGED,
        State.MASKED: InvalidState,
        State.PURGED: NotFound,
        _OTHERWISE: NotRecording,
    },
    Resumed: {
        State.PAUSED: State.RECORDING,
        State.RECORDING: Outcome.UNCHANGED,
        State.MASKED: InvalidState,
        State.PURGED: NotFound,
        _OTHERWISE: NotRecording,
    },
    Masked: {
        State.RECORDING: State.MASKED,
        State.MASKED: Outcome.UNCHANGED,
        State.PAUSED: InvalidState,
        State.PURGED: NotFound,
        _OTHERWISE: NotRecording,
    },
    Unmasked: {
        State.MASKED: State.RECORDING,
        State.RECORDING: Outcome.UNCHANGED,
        State.PAUSED: InvalidState,
        State.PURGED: NotFound,
        _OTHERWISE: NotRecording,
    },
    Interrupted: {WITH_AUDIO | {State.FINALIZING, State.STORED}: Outcome.STAY, _OTHERWISE: Outcome.UNCHANGED},
    Stopped: {
        _WAITING: State.DISCARDED,
        WITH_AUDIO: State.FINALIZING,
        State.PURGED: NotFound,
        _OTHERWISE: NotRecording,
    },
    Ended: {
        _WAITING: State.DISCARDED,
        WITH_AUDIO | {State.LOST}: State.FINALIZING,
        _OTHERWISE: Outcome.UNCHANGED,
    },
    Reopened: {State.FAILED: State.RECORDING, State.RECORDING: Outcome.UNCHANGED, _OTHERWISE: InvalidState},
    AudioFound: {_UNSUCCESSFUL: State.FINALIZING, State.PURGED: NotFound, _OTHERWISE: InvalidState},
    Stored: {State.FINALIZING: State.STORED, State.STORED: Outcome.UNCHANGED, _OTHERWISE: InvalidState},
    Discarded: {_UNFINISHED: State.DISCARDED, _UNSUCCESSFUL: Outcome.UNCHANGED, _OTHERWISE: InvalidState},
    Failed: {_UNFINISHED: State.FAILED, _UNSUCCESSFUL: Outcome.UNCHANGED, _OTHERWISE: InvalidState},
    Lost: {_UNFINISHED: State.LOST, _OTHERWISE: Outcome.UNCHANGED},
    Missing: {State.STORED: State.LOST, _OTHERWISE: Outcome.UNCHANGED},
    Trashed: {
        _FINISHED: State.TRASHED,
        State.TRASHED: Outcome.UNCHANGED,
        State.PURGED: NotFound,
        _OTHERWISE: RecordingInProgress,
    },
    Restored: {State.TRASHED: Outcome.BACK, State.PURGED: NotFound, _OTHERWISE: NotTrashed},
    Purged: {
        State.TRASHED: State.PURGED,
        State.PURGED: Outcome.UNCHANGED,
        _FINISHED: InvalidState,
        _OTHERWISE: RecordingInProgress,
    },
    Annotated: {State.TRASHED: InvalidState, State.PURGED: NotFound, _OTHERWISE: Outcome.STAY},
    Delivered: {State.STORED: State.STORED, _OTHERWISE: Outcome.UNCHANGED},
    DeliveryFailed: {State.STORED: State.STORED, _OTHERWISE: Outcome.UNCHANGED},
    Redelivered: {State.STORED: State.STORED, State.PURGED: NotFound, _OTHERWISE: NotDeliverable},
    Consented: {IN_PROGRESS: Outcome.STAY, State.PURGED: NotFound, _OTHERWISE: NotRecording},
    Held: {_UNFINISHED: Outcome.STAY, **_same_state(_FINISHED | {State.TRASHED}), _OTHERWISE: NotFound},
    Released: {_UNFINISHED: Outcome.STAY, **_same_state(_FINISHED | {State.TRASHED}), _OTHERWISE: NotFound},
    Retained: {_UNFINISHED: Outcome.STAY, **_same_state(_FINISHED), _OTHERWISE: Outcome.UNCHANGED},
}
"""One rule for each event."""


def _result(rule: Rule, state: State) -> Result:
    return next(result for states, result in rule.items() if _contains(states, state))


def _contains(states: State | frozenset[State], state: State) -> bool:
    return states is state if isinstance(states, State) else state in states


TABLE: Final[Mapping[tuple[State, type[Event]], Result]] = {
    (state, event): _result(rule, state) for event, rule in RULES.items() for state in State
}
"""The same rules, with a result for each pair of state and event."""


def apply(recording: Recording, event: Event) -> Recording:
    """Return the next revision of a recording. Return the same object if the event changes nothing.

    Raises:
        Refused: the event is not allowed in this state. `TABLE` has the subclass.
    """
    result = TABLE[recording.state, type(event)]
    if result is Outcome.UNCHANGED:
        return recording
    if isinstance(result, type):
        raise result(_refusal(recording, event), recording_id=recording.id)
    if result is Outcome.STAY:
        amended = amend(event, recording)
        if isinstance(event, Annotated) and amended == recording:
            return recording
        return replace(amended, modified=event.at, revision=recording.revision + 1)
    state = result if isinstance(result, State) else recording.trashed_from or State.STORED
    _guard(recording, event)
    amended = amend(event, recording)
    # The server that reports the end may have another clock than the server that reported the start.
    ended = _end_of(recording, state, max(event.at, amended.start))
    moved = replace(amended, state=state, modified=event.at, ended=ended)
    moved = replace(moved, held_source=held_source(recording, moved, event))
    return replace(moved, due_at=due_at(moved, event.at), lease=None, attempts=0, revision=recording.revision + 1)


def _guard(recording: Recording, event: Event) -> None:
    """Raise if the event is not allowed for a reason other than the state."""
    if isinstance(event, Reopened) and recording.reason is not Reason.INCOMPLETE:
        raise InvalidState(_refusal(recording, event), recording_id=recording.id)
    if isinstance(event, AudioFound) and recording.imported is None:
        raise InvalidState(_refusal(recording, event), recording_id=recording.id)
    if isinstance(event, Stopped) and recording.source_key is not None:
        # The sender ends an upload. A part of it would look like the whole recording.
        message = f"recording {recording.id} is an upload in progress: only its sender can end it"
        raise NotRecording(message, recording_id=recording.id)
    if isinstance(event, Stopped) and recording.policy is not None and recording.policy.locked:
        message = "a lock of the account forces this recording: it ends with the call"
        raise ForbiddenByPolicy(message, recording_id=recording.id)
    if isinstance(event, Trashed | Purged) and recording.hold is not None:
        raise OnHold(f"recording {recording.id} is on hold: {recording.hold.reason}", recording_id=recording.id)
    if isinstance(event, Restored | Held | Released) and is_being_purged(recording, event.at):
        # A part of its audio may be deleted already, so a success here would be false.
        refusal = NotTrashed if isinstance(event, Restored) else NotFound
        raise refusal(f"recording {recording.id} is being purged", recording_id=recording.id)
    if isinstance(event, Redelivered) and recording.options.url is None:
        raise NotDeliverable(_refusal(recording, event), recording_id=recording.id)


def _end_of(before: Recording, state: State, at: Millis) -> Millis | None:
    """Return when the recording ended. Storing or finding its audio later does not move the end."""
    if state in IN_PROGRESS:
        return None
    return at if before.in_progress or before.ended is None else before.ended


def is_being_purged(recording: Recording, at: Millis) -> bool:
    """Return true if a purge has started, was tried, or may start at any moment. Then nothing can stop it.

    A claim increases the revision, so a writer that read the recording before the claim loses the compare-and-set. If
    a process dies during a purge, the only trace is that `purge_at` has passed.
    """
    if recording.state is not State.TRASHED:
        return False
    is_over = recording.hold is None and recording.purge_at is not None and recording.purge_at <= at
    return is_over or recording.lease is not None or recording.attempts > 0


def due_at(recording: Recording, now: Millis) -> Millis | None:
    """Return when the next background step of a recording is due; `None` for never."""
    if recording.state is State.REQUESTED:
        return now + GRACE
    if recording.in_progress:
        return now + recording.options.time_limit * SECOND + GRACE
    if recording.state is State.FINALIZING:
        # The server that reports the end may have a clock that is ahead of the clock of the server with the audio.
        return now - CLOCK_TOLERANCE
    if recording.hold is not None:
        deletion = None
    else:
        deletion = recording.purge_at if recording.state is State.TRASHED else recording.delete_at
    if recording.state is not State.STORED or recording.delivery is None:
        return deletion
    return min((at for at in (recording.delivery.due_at, deletion) if at is not None), default=None)


def leased(recording: Recording, lease: Lease) -> Recording:
    """Return the recording with a lease on its next step. The step is due again when the lease ends."""
    return replace(recording, lease=lease, due_at=lease.until)


def reschedule(recording: Recording, event: Rescheduled) -> Recording:
    """Return the next revision of a recording, with another due date for its next step."""
    return replace(
        recording,
        due_at=event.due_at,
        lease=event.lease,
        node=recording.node if event.node is None else event.node,
        attempts=recording.attempts if event.attempts is None else event.attempts,
        reason_detail=recording.reason_detail if event.detail is None else event.detail,
        revision=recording.revision + 1,
    )


def move(recording: Recording, event: Moved) -> Recording:
    """Return the next revision of a recording whose audio is at another URL.

    Return the same object if a step works with its audio now, or if its audio is gone or not the same.
    """
    is_same = recording.media is not None and recording.media.sha256 == event.media.sha256
    if not is_same or recording.lease is not None or is_being_purged(recording, event.at):
        return recording
    return replace(recording, media=event.media, revision=recording.revision + 1)


def retry_later(recording: Recording, now: Millis, detail: str | None = None) -> Rescheduled:
    """Return the retry after a failed background step: due in 1, 2, 4 ... 300 seconds. `detail` is the error."""
    wait = min(SECOND * 2**recording.attempts, 5 * MINUTE)
    return Rescheduled(at=now, due_at=now + wait, attempts=recording.attempts + 1, detail=detail)


def _refusal(recording: Recording, event: Event) -> str:
    is_stored_soon = isinstance(event, Trashed) and recording.state is State.FINALIZING
    advice = "wait until it is stored before deleting it" if is_stored_soon else _ADVICE[type(event)]
    return f"recording {recording.id} is {recording.state}: {advice}"


_ADVICE: Final[Mapping[type[Event], str]] = {
    Armed: "it cannot be armed",
    Begun: "it cannot begin",
    Paused: "only a recording in progress can be paused",
    Resumed: "only a paused recording can be resumed",
    Masked: "only a recording in progress can be masked",
    Unmasked: "only a masked recording can be unmasked",
    Interrupted: "it cannot be interrupted",
    Stopped: "only a recording in progress can be stopped",
    Ended: "it cannot end",
    Reopened: "only an incomplete upload can be sent again",
    AudioFound: "only an imported recording without audio can get other audio",
    Stored: "only a finalizing recording can be stored",
    Discarded: "it cannot be discarded",
    Failed: "it cannot fail",
    Lost: "it cannot be lost",
    Missing: "its audio cannot be missing",
    Trashed: "stop it before deleting it",
    Restored: "only a deleted recording can be restored",
    Purged: "only a deleted recording can be purged",
    Annotated: "restore it before changing its metadata",
    Delivered: "it cannot be delivered",
    DeliveryFailed: "it cannot be delivered",
    Redelivered: "only a stored recording with a url can be delivered",
    Consented: "consent is only for a recording in progress",
    Held: "it cannot be held",
    Released: "it has no hold to release",
    Retained: "its retention cannot change",
}
