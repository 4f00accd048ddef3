"""The state table: what may happen to a recording, and what then. Nothing else changes a state.

    REQUESTED -> ARMED -> RECORDING <-> PAUSED | MASKED -> FINALIZING -> STORED
                                                        or DISCARDED, FAILED, LOST (each with a reason)
    any of those ends -> TRASHED -> PURGED, and back out of TRASHED

`TABLE` has an entry for every (state, event) pair: a state to move to, `SAME` (nothing happens, and that is fine: the
event came twice or late) or a `Refused` class (the event makes no sense there, and whoever sent it is told why).
`apply` looks up the pair and makes the next revision; it does no I/O and never touches the recording it was given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from recordings.errors import InvalidState, NotFound, NotRecording, NotTrashed, RecordingInProgress, Refused
from recordings.instants import MINUTE, SECOND, Millis
from recordings.metadata import merge_metadata
from recordings.recording import EndCause, Media, Reason, Recording, Span, SpanKind, State

GRACE: Final = MINUTE
"""How long after its time limit a take may still be open before the watchdog takes it for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a recording, at an instant."""

    at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed(Event):
    """The recorder waits for the answer or the bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """Audio is being recorded from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """From `at_ms` of the audio on nothing is recorded, and time stands still."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Recording goes on after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked(Event):
    """From `at_ms` of the audio on silence is recorded in place of what is said."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked(Event):
    """What is said is recorded again after a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """Somebody asked to stop, and the recorder did. Refused where there is nothing to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The recorder says that the audio ended. Recorders say so twice, and late: then it changes nothing."""

    cause: EndCause
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(Event):
    """A sender whose body broke off sends it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Event):
    """The finalizer stored the audio and read it back. `format` is what it really is."""

    media: Media
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Event):
    """There is nothing worth keeping, as asked for or by its nature."""

    reason: Reason
    detail: str | None = None
    duration_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """It went wrong; what there is of audio is kept aside."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """Whoever held the audio is gone. If it comes back with it, it ends after all."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed(Event):
    """Deleted, until `purge_at` with a way back."""

    by: str
    purge_at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Event):
    """Taken out of the trash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Event):
    """Its audio is gone for good; what is left is a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated(Event):
    """Somebody wrote something on it (`None` takes a key out). Its life goes on as it was."""

    changes: Mapping[str, Any]


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
    Restored, Purged, Annotated,
)  # fmt: skip

_Q, _A, _R, _P, _M = State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED
_F, _S, _D, _X, _L = State.FINALIZING, State.STORED, State.DISCARDED, State.FAILED, State.LOST
_T, _G = State.TRASHED, State.PURGED
_not, _inv, _run, _out, _non = NotRecording, InvalidState, RecordingInProgress, NotTrashed, NotFound

# One line a state, one column an event, in the order of EVENTS.
_ROWS: Final[Mapping[State, tuple[Outcome, ...]]] = {
    #    Armed Begun Pause Resum Mask  Unmsk Stop  Ended Reopn Store Discd Faild Lost  Trash Restr Purge Annot
    _Q: (_A,   _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY),
    _A: (SAME, _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY),
    _R: (SAME, SAME, _P,   SAME, _M,   SAME, _F,   _F,   SAME, _inv, _D,   _X,   _L,   _run, _out, _run, STAY),
    _P: (SAME, SAME, SAME, _R,   _inv, _inv, _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY),
    _M: (SAME, SAME, _inv, _inv, SAME, _R,   _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY),
    _F: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _S,   _D,   _X,   _L,   _run, _out, _run, STAY),
    _S: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, SAME, _inv, _inv, SAME, _T,   _out, _inv, STAY),
    _D: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY),
    _X: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _R,   _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY),
    _L: (SAME, SAME, _not, _not, _not, _not, _not, _F,   _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY),
    _T: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, _inv, _inv, SAME, SAME, BACK, _G,   _inv),
    _G: (SAME, SAME, _non, _non, _non, _non, _non, SAME, _inv, _inv, _inv, _inv, SAME, _non, _non, SAME, _non),
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
        amended = _AMENDMENTS[type(event)](recording, event)
        return replace(recording, modified=event.at, revision=recording.revision + 1, **amended)
    state = (recording.trashed_from or State.STORED) if outcome == BACK else State(outcome)
    if isinstance(event, Reopened) and recording.reason is not Reason.INCOMPLETE:
        raise InvalidState(_refusal(recording, event), recording_id=recording.id)
    amended = _AMENDMENTS[type(event)](recording, event)
    moved = replace(recording, state=state, modified=event.at, **amended)
    return replace(moved, due_at=due_at(moved, event.at), lease=None, attempts=0, revision=recording.revision + 1)


def due_at(recording: Recording, now: Millis) -> Millis | None:
    """When a background step has something to do for a recording in this state; `None` for never."""
    if recording.in_progress:
        return now + recording.options.time_limit * SECOND + GRACE
    if recording.state is State.FINALIZING:
        return now
    return recording.purge_at if recording.state is State.TRASHED else None


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
    return f"recording {recording.id} is {recording.state}: {_WANTS[type(event)]}"


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


def _stored(_recording: Recording, event: Any) -> dict[str, Any]:
    return {
        "media": event.media,
        "format": event.format,
        "duration_ms": event.media.duration_ms,
        "reason_detail": None,
        "node": None,
    }


def _trashed(recording: Recording, event: Any) -> dict[str, Any]:
    return {"trashed_from": recording.state, "trashed_at": event.at, "trashed_by": event.by, "purge_at": event.purge_at}


_TOMBSTONE: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ("caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "request", "label", "imported")
    ),
    **dict.fromkeys(("media", "node", "endpoint_id", "source_key", "start_key"), None),
    **dict.fromkeys(("from_", "to", "name"), ""),
    "user_metadata": {},
    "custom_channel_vars": {},
    "spans": (),
}
"""What a purge wipes: the audio's place and everybody's names. Ids, times, state, reason and who deleted it stay."""

_AMENDMENTS: Final[Mapping[type[Event], Callable[[Recording, Any], dict[str, Any]]]] = {
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
    Restored: lambda _recording, _event: dict.fromkeys(("trashed_from", "trashed_at", "trashed_by", "purge_at")),
    Purged: lambda _recording, _event: _TOMBSTONE,
    Annotated: lambda recording, event: {"user_metadata": merge_metadata(recording.user_metadata, event.changes)},
}

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
}
