"""Events of servers with different clocks: no recording ends before it starts."""

import pytest

from recordings.model.events import Begun, Ended, Event, Failed, Lost, Stopped
from recordings.model.instants import SECOND
from recordings.model.recording import EndCause, Reason, State
from recordings.rules.lifecycle import apply
from tests.domain.test_lifecycle import make

NOW = 1_700_000_000_000
EARLY = NOW - 20 * SECOND
ENDS: list[Event] = [
    Ended(at=EARLY, cause=EndCause.HANGUP),
    Stopped(at=EARLY),
    Failed(at=EARLY, reason=Reason.RECORDER_FAILED),
    Lost(at=EARLY, reason=Reason.RECORDER_GONE),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", [State.ARMED, State.RECORDING, State.PAUSED, State.MASKED])
def test_the_end_is_never_before_the_start(end: Event, state: State) -> None:
    ended = apply(make(state, start=NOW, created=NOW), end)
    assert ended.ended == NOW
    assert ended.modified == EARLY


def test_the_start_is_never_before_the_request() -> None:
    begun = apply(make(State.REQUESTED, start=NOW, created=NOW), Begun(at=EARLY))
    assert (begun.created, begun.start) == (NOW, NOW)
