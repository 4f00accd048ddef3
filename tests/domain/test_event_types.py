"""The event that clients get for each change."""

import pytest

from recordings.model import events
from recordings.model.events import Cause, Created, Event, KeyStored, Rescheduled, Withdrawn
from recordings.model.feed_event import ACCOUNT_EVENTS, EventType, FeedEvent
from recordings.model.recording import Reason, Recording, State
from recordings.rules.event_document import MEANINGS, event_id
from recordings.rules.event_types import event_of
from recordings.rules.lifecycle import RULES

OWN_TYPES = {
    events.Armed: EventType.ARMED, events.Begun: EventType.STARTED, events.Paused: EventType.PAUSED,
    events.Resumed: EventType.RESUMED, events.Masked: EventType.MASKED, events.Unmasked: EventType.UNMASKED,
    events.Interrupted: EventType.AMENDED, events.Stored: EventType.STORED, events.Discarded: EventType.DISCARDED,
    events.Failed: EventType.FAILED, events.Lost: EventType.LOST, events.Missing: EventType.LOST,
    events.Trashed: EventType.TRASHED, events.Restored: EventType.RESTORED, events.Purged: EventType.PURGED,
    events.Annotated: EventType.AMENDED, events.Delivered: EventType.DELIVERED,
    events.DeliveryFailed: EventType.DELIVERY_FAILED, events.Redelivered: EventType.AMENDED,
    events.Held: EventType.HELD, events.Released: EventType.RELEASED, events.Retained: EventType.AMENDED,
    events.Consented: EventType.AMENDED, events.Reopened: EventType.STARTED, events.AudioFound: EventType.ENDED,
    events.Stopped: EventType.ENDED, events.Ended: EventType.ENDED,
}  # fmt: skip
AFTER = {
    EventType.ARMED: State.ARMED, EventType.STARTED: State.RECORDING, EventType.STORED: State.STORED,
    EventType.DISCARDED: State.DISCARDED, EventType.FAILED: State.FAILED, EventType.LOST: State.LOST,
    EventType.TRASHED: State.TRASHED, EventType.PURGED: State.PURGED, EventType.ENDED: State.FINALIZING,
}  # fmt: skip


def recording(state: State = State.STORED, **values: object) -> Recording:
    return Recording(
        id="202611-" + "0a" * 16, account_id="a", state=state, start=0, created=0, modified=0, call_id="c",
        from_="x", to="y", revision=3, **values,  # type: ignore[arg-type]
    )  # fmt: skip


def cause_of(kind: type[Event]) -> Event:
    # `event_of` reads nothing but the type and the time.
    made = object.__new__(kind)
    object.__setattr__(made, "at", 77)
    return made


@pytest.mark.parametrize("kind", RULES)
def test_every_change_has_a_type(kind: type[Event]) -> None:
    expected = OWN_TYPES[kind]
    state = AFTER.get(expected, State.STORED)
    found = event_of(cause_of(kind), recording(state, reason=Reason.EMPTY, duration_ms=5))
    assert found == FeedEvent(
        account_id="a", subject="202611-" + "0a" * 16, revision=3, type=expected, time=77, state=state.value,
        reason="EMPTY", duration_ms=5,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [events.Stopped, events.Ended])
def test_a_take_that_ends_before_its_audio_is_discarded(kind: type[Event]) -> None:
    found = event_of(cause_of(kind), recording(State.DISCARDED))
    assert found is not None
    assert found.type is EventType.DISCARDED


def test_a_new_recording_has_the_type_of_its_state() -> None:
    for state, expected in ((State.REQUESTED, EventType.REQUESTED), (State.FINALIZING, EventType.ENDED)):
        found = event_of(Created(at=1), recording(state))
        assert found is not None
        assert found.type is expected


@pytest.mark.parametrize(
    ("cause", "after"),
    [
        (Rescheduled(at=1, due_at=None), recording()),
        (KeyStored(at=1), recording()),
        (Withdrawn(at=1), None),
        # An upload that has just begun may be withdrawn.
        (Created(at=1), recording(State.RECORDING, source_key="s")),
    ],
)
def test_other_writes_have_no_event(cause: Cause, after: Recording | None) -> None:
    assert event_of(cause, after) is None


def test_every_type_has_a_meaning_and_comes_from_a_change() -> None:
    assert MEANINGS.keys() == set(EventType)
    others = ACCOUNT_EVENTS | {EventType.ACCESSED, EventType.REQUESTED}
    assert set(OWN_TYPES.values()) | {EventType.DISCARDED} | others == set(EventType)


def test_the_id_sorts_by_the_stamp_and_has_no_full_stop() -> None:
    def id_at(stamp: int, subject: str = "202611-" + "0a" * 16) -> str:
        return event_id(
            FeedEvent(account_id="a", subject=subject, revision=7, type=EventType.HELD, time=0, stamp=stamp)
        )

    assert id_at(1_795_336_400_000) == "evt_01m8166v40_" + "0a" * 16 + "_7"
    stamps = [0, 31, 32, 1_795_336_400_000, 1_795_336_400_001, 9_999_999_999_999]
    assert [id_at(stamp) for stamp in stamps] == sorted({id_at(stamp) for stamp in stamps})
    assert "." not in id_at(1, "an.imported.id")
