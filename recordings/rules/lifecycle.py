"""The state table: what may happen to a recording, and what then. Nothing else changes a state.

    REQUESTED -> ARMED -> RECORDING <-> PAUSED | MASKED -> FINALIZING -> STORED
                                                        or DISCARDED, FAILED, LOST (each with a reason)
    any of those ends -> TRASHED -> PURGED, and back out of TRASHED

`TABLE` has an entry for every (state, event) pair: a state to move to, `SAME` (nothing happens, and that is fine: the
event came twice or late) or a `Refused` class (the event makes no sense there, and whoever sent it is told why).
`apply` looks up the pair and makes the next revision; it does no I/O and never touches the recording it was given.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from recordings.model.errors import (
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
from recordings.model.instants import MINUTE, SECOND, Millis
from recordings.model.recording import IN_PROGRESS, Reason, Recording, State
from recordings.rules.amendments import AMENDMENTS

GRACE: Final = MINUTE
"""How long after its time limit a take may still be open before the watchdog takes it for lost; and how long one that
was asked for may take to begin, or to be armed, before the call is free for another."""


class Same:
    """The outcome of an event that changes nothing."""

    def __repr__(self) -> str:
        """The name that the table shows."""
        return "SAME"


SAME: Final = Same()
STAY: Final = "STAY"
"""The outcome of an event that writes on the recording and leaves its state, its lease and its due date alone."""
BACK: Final = "BACK"
"""The outcome of a restore: the state that the recording had before it was deleted."""

Outcome = State | Same | str | type[Refused]

EVENTS: Final[tuple[type[Event], ...]] = (
    Armed, Begun, Paused, Resumed, Masked, Unmasked, Stopped, Ended, Reopened, Stored, Discarded, Failed, Lost, Trashed,
    Restored, Purged, Annotated, Delivered, DeliveryFailed, Redelivered, Held, Released, Retained, Missing,
)  # fmt: skip

_Q, _A, _R, _P, _M = State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED
_F, _S, _D, _X, _L = State.FINALIZING, State.STORED, State.DISCARDED, State.FAILED, State.LOST
_T, _G = State.TRASHED, State.PURGED
_not, _inv, _run, _out, _non = NotRecording, InvalidState, RecordingInProgress, NotTrashed, NotFound
_del = NotDeliverable

# One line a state, one column an event, in the order of EVENTS.
_ROWS: Final[Mapping[State, tuple[Outcome, ...]]] = {
    #    Armed Begun Pause Resum Mask  Unmsk Stop  Ended Reopn Store Discd Faild Lost  Trash Restr Purge Annot
    #    Delvd DFail Redel Held  Relsd Retnd Missg
    _Q: (_A,   _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _A: (SAME, _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _R: (SAME, SAME, _P,   SAME, _M,   SAME, _F,   _F,   SAME, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _P: (SAME, SAME, SAME, _R,   _inv, _inv, _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _M: (SAME, SAME, _inv, _inv, SAME, _R,   _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _F: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _S,   _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME),
    _S: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, SAME, _inv, _inv, SAME, _T,   _out, _inv, STAY,
         _S,   _S,   _S,   _S,   _S,   _S,   _L),
    _D: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _D,   _D,   _D,   SAME),
    _X: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _R,   _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _X,   _X,   _X,   SAME),
    _L: (SAME, SAME, _not, _not, _not, _not, _not, _F,   _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _L,   _L,   _L,   SAME),
    _T: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, _inv, _inv, SAME, SAME, BACK, _G,   _inv,
         SAME, SAME, _del, _T,   _T,   SAME, SAME),
    _G: (SAME, SAME, _non, _non, _non, _non, _non, SAME, _inv, _inv, _inv, _inv, SAME, _non, _non, SAME, _non,
         SAME, SAME, _non, _non, _non, SAME, SAME),
}  # fmt: skip

TABLE: Final[Mapping[tuple[State, type[Event]], Outcome]] = {
    (state, event): outcome
    for state, outcomes in _ROWS.items()
    for event, outcome in zip(EVENTS, outcomes, strict=True)
}


def apply(recording: Recording, event: Event) -> Recording:
    """The next revision of a recording after an event; the very same object where the event changes nothing.

    Raises:
        Refused: the event cannot happen in this state; which subclass is in `TABLE`.
    """
    outcome = TABLE[recording.state, type(event)]
    if isinstance(outcome, Same):
        return recording
    if isinstance(outcome, type):
        raise outcome(_refusal(recording, event), recording_id=recording.id)
    if outcome == STAY:
        amended = AMENDMENTS[type(event)](recording, event)
        return replace(recording, modified=event.at, revision=recording.revision + 1, **amended)
    state = (recording.trashed_from or State.STORED) if outcome == BACK else State(outcome)
    _guard(recording, event)
    amended = AMENDMENTS[type(event)](recording, event)
    ended = _ended(recording, state, event.at)
    moved = replace(recording, state=state, modified=event.at, ended=ended, **amended)
    return replace(moved, due_at=due_at(moved, event.at), lease=None, attempts=0, revision=recording.revision + 1)


def _guard(recording: Recording, event: Event) -> None:
    """Raise what the state alone cannot tell."""
    if isinstance(event, Reopened) and recording.reason is not Reason.INCOMPLETE:
        raise InvalidState(_refusal(recording, event), recording_id=recording.id)
    if isinstance(event, Stopped) and recording.source_key is not None:
        # Its sender says when it ends. What was cut off here would be taken for all of it.
        raise NotRecording(f"recording {recording.id} is being handed in, not recorded", recording_id=recording.id)
    if isinstance(event, Trashed | Purged) and recording.hold is not None:
        raise OnHold(f"recording {recording.id} is on hold: {recording.hold.reason}", recording_id=recording.id)
    if isinstance(event, Restored | Held | Released) and is_going(recording, event.at):
        # Its audio may be half gone: whoever wants it back must not be told that it is kept.
        refusal = NotTrashed if isinstance(event, Restored) else NotFound
        raise refusal(f"recording {recording.id} is being purged", recording_id=recording.id)
    if isinstance(event, Redelivered) and recording.options.url is None:
        raise NotDeliverable(_refusal(recording, event), recording_id=recording.id)


def _ended(before: Recording, state: State, at: Millis) -> Millis | None:
    """When it came to its end, which stays so, though its audio is stored, or found again, later."""
    if state in IN_PROGRESS:
        return None
    return at if before.in_progress or before.ended is None else before.ended


def is_going(recording: Recording, at: Millis) -> bool:
    """Whether the purge of a deleted recording is under way, was tried, or may be at any moment: there is no way back.

    A claim counts the revision up, so whoever read the recording before it finds out when saving. Of a process that
    died in the middle of a purge nothing is left but that the time for it had come.
    """
    if recording.state is not State.TRASHED:
        return False
    is_over = recording.hold is None and recording.purge_at is not None and recording.purge_at <= at
    return is_over or recording.lease is not None or recording.attempts > 0


def due_at(recording: Recording, now: Millis) -> Millis | None:
    """When a background step has something to do for a recording in this state; `None` for never."""
    if recording.state is State.REQUESTED:
        return now + GRACE
    if recording.in_progress:
        return now + recording.options.time_limit * SECOND + GRACE
    if recording.state is State.FINALIZING:
        return now
    if recording.state is State.STORED:
        waits = recording.delivery.due_at if recording.delivery is not None else None
        return min(
            (at for at in (waits, _deletable_at(recording, recording.delete_at)) if at is not None), default=None
        )
    return _deletable_at(recording, recording.purge_at if recording.state is State.TRASHED else recording.delete_at)


def _deletable_at(recording: Recording, at: Millis | None) -> Millis | None:
    return at if recording.hold is None else None


def retry_later(recording: Recording, now: Millis, detail: str | None) -> Recording:
    """The same state after a background step failed for a passing reason: due again after 1, 2, 4 ... 300 seconds."""
    wait = min(SECOND * 2**recording.attempts, 5 * MINUTE)
    return replace(
        recording,
        due_at=now + wait,
        attempts=recording.attempts + 1,
        reason_detail=detail,
        lease=None,
        revision=recording.revision + 1,
    )


def _refusal(recording: Recording, event: Event) -> str:
    is_stored_soon = isinstance(event, Trashed) and recording.state is State.FINALIZING
    wanted = "wait until it is stored before deleting it" if is_stored_soon else _WANTS[type(event)]
    return f"recording {recording.id} is {recording.state}: {wanted}"


_WANTS: Final[Mapping[type[Event], str]] = {
    Armed: "it cannot be armed",
    Begun: "it cannot begin",
    Paused: "only a recording in progress can be paused",
    Resumed: "only a paused recording can be resumed",
    Masked: "only a recording in progress can be masked",
    Unmasked: "only a masked recording can be unmasked",
    Stopped: "only a recording in progress can be stopped",
    Ended: "it cannot end",
    Reopened: "only one whose audio broke off can be sent again",
    Stored: "only a finalizing recording can be stored",
    Discarded: "it cannot be discarded",
    Failed: "it cannot fail",
    Lost: "it cannot be lost",
    Trashed: "stop it before deleting it",
    Restored: "only a deleted recording can be restored",
    Purged: "only a deleted recording can be purged",
    Annotated: "restore it before writing on it",
    Delivered: "it cannot be delivered",
    DeliveryFailed: "it cannot be delivered",
    Redelivered: "only a stored recording with a url can be sent to it",
    Held: "it cannot be held",
    Released: "it cannot be released",
    Retained: "it cannot be retained",
    Missing: "it cannot be missing",
}
