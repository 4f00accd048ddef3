"""The sparse state table of `recordings.rules.lifecycle`, compared with a complete table that is written out here."""

import pytest

from recordings.model.errors import (
    InvalidState,
    NotDeliverable,
    NotFound,
    NotRecording,
    NotTrashed,
    RecordingInProgress,
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
from recordings.model.recording import State
from recordings.rules.amendments import amend
from recordings.rules.lifecycle import RULES, TABLE, Outcome, Result

EVENTS: tuple[type[Event], ...] = (
    Armed, Begun, Paused, Resumed, Masked, Unmasked, Stopped, Ended, Reopened, Stored, Discarded, Failed, Lost, Trashed,
    Restored, Purged, Annotated, Delivered, DeliveryFailed, Redelivered, Held, Released, Retained, Missing,
    AudioFound, Interrupted, Consented,
)  # fmt: skip

SAME, STAY, BACK = Outcome.UNCHANGED, Outcome.STAY, Outcome.BACK
_Q, _A, _R, _P, _M = State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED
_F, _S, _D, _X, _L = State.FINALIZING, State.STORED, State.DISCARDED, State.FAILED, State.LOST
_T, _G = State.TRASHED, State.PURGED
_not, _inv, _run, _out, _non = NotRecording, InvalidState, RecordingInProgress, NotTrashed, NotFound
_del = NotDeliverable

# One row for each state, one column for each event, in the order of EVENTS.
GOLDEN: dict[State, tuple[Result, ...]] = {
    #    Armed Begun Pause Resum Mask  Unmsk Stop  Ended Reopn Store Discd Faild Lost  Trash Restr Purge Annot
    #    Delvd DFail Redel Held  Relsd Retnd Missg Found Intrp Consd
    _Q: (_A,   _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, SAME, STAY),
    _A: (SAME, _R,   _not, _not, _not, _not, _D,   _D,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, SAME, STAY),
    _R: (SAME, SAME, _P,   SAME, _M,   SAME, _F,   _F,   SAME, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, STAY, STAY),
    _P: (SAME, SAME, SAME, _R,   _inv, _inv, _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, STAY, STAY),
    _M: (SAME, SAME, _inv, _inv, SAME, _R,   _F,   _F,   _inv, _inv, _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, STAY, STAY),
    _F: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _S,   _D,   _X,   _L,   _run, _out, _run, STAY,
         SAME, SAME, _del, STAY, STAY, STAY, SAME, _inv, STAY, _not),
    _S: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, SAME, _inv, _inv, SAME, _T,   _out, _inv, STAY,
         _S,   _S,   _S,   _S,   _S,   _S,   _L,   _inv, STAY, _not),
    _D: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _D,   _D,   _D,   SAME, _F, SAME, _not),
    _X: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _R,   _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _X,   _X,   _X,   SAME, _F, SAME, _not),
    _L: (SAME, SAME, _not, _not, _not, _not, _not, _F,   _inv, _inv, SAME, SAME, SAME, _T,   _out, _inv, STAY,
         SAME, SAME, _del, _L,   _L,   _L,   SAME, _F, SAME, _not),
    _T: (SAME, SAME, _not, _not, _not, _not, _not, SAME, _inv, _inv, _inv, _inv, SAME, SAME, BACK, _G,   _inv,
         SAME, SAME, _del, _T,   _T,   SAME, SAME, _inv, SAME, _not),
    _G: (SAME, SAME, _non, _non, _non, _non, _non, SAME, _inv, _inv, _inv, _inv, SAME, _non, _non, SAME, _non,
         SAME, SAME, _non, _non, _non, SAME, SAME, _non, SAME, _non),
}  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", State)
def test_the_sparse_table_equals_the_complete_one(state: State, event: type[Event]) -> None:
    assert TABLE[state, event] is GOLDEN[state][EVENTS.index(event)]


def test_every_event_has_a_rule_and_an_amendment() -> None:
    names = {event.__name__ for event in Event.__subclasses__()}
    assert {event.__name__ for event in EVENTS} == names
    assert {event.__name__ for event in RULES} == names
    assert all(amend.dispatch(event) is not amend.dispatch(Event) for event in EVENTS)
