"""The state table: each pair of state and event has the expected result, and `apply` follows the table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from recordings.model.instants import CLOCK_TOLERANCE, MINUTE
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import (
    IN_PROGRESS,
    DeliveryState,
    EndCause,
    Hold,
    Lease,
    Media,
    Reason,
    Recording,
    Reference,
    Shelf,
    SpanKind,
    State,
)
from recordings.rules.lifecycle import GRACE, RULES, TABLE, Outcome, apply, reschedule, retry_later
from tests.contract.metadata.samples import full

MEDIA = Media("local:a", "audio/mpeg", 1, 1_000, 8_000, 2, "0" * 64, 9)
AT = 1_000_000

SAMPLES: dict[type[Event], Event] = {
    Armed: Armed(at=AT),
    Begun: Begun(at=AT),
    Paused: Paused(at=AT, at_ms=10),
    Resumed: Resumed(at=AT),
    Masked: Masked(at=AT, at_ms=10),
    Unmasked: Unmasked(at=AT),
    Interrupted: Interrupted(at=AT, kind=SpanKind.GAP, at_ms=10, duration_ms=90),
    Stopped: Stopped(at=AT),
    Ended: Ended(at=AT, cause=EndCause.HANGUP),
    Reopened: Reopened(at=AT),
    AudioFound: AudioFound(at=AT, source_sha256="1" * 64, node="n"),
    Stored: Stored(at=AT, media=MEDIA, format="mp3"),
    Discarded: Discarded(at=AT, reason=Reason.TOO_SHORT),
    Failed: Failed(at=AT, reason=Reason.NOT_AUDIO),
    Lost: Lost(at=AT, reason=Reason.RECORDER_GONE),
    Trashed: Trashed(at=AT, by="me", purge_at=AT + 5),
    Restored: Restored(at=AT, delete_at=None),
    Purged: Purged(at=AT),
    Annotated: Annotated(at=AT, changes={"user_metadata": {"note": "x"}}),
    Delivered: Delivered(at=AT),
    DeliveryFailed: DeliveryFailed(at=AT, error="503", retry_at=AT + 5),
    Redelivered: Redelivered(at=AT, delivery_id="d"),
    Held: Held(at=AT, by="me", reason="case 7"),
    Released: Released(at=AT),
    Retained: Retained(at=AT, delete_at=AT + 9),
    Missing: Missing(at=AT, detail="gone"),
    Consented: Consented(at=AT, state=ConsentState.GIVEN, by="me"),
}

# The expected results are written again here, by event, so that an error in the product's table fails a test.
SAME, STAY, BACK = Outcome.UNCHANGED, Outcome.STAY, Outcome.BACK
GOING_ON = IN_PROGRESS
ENDS = {State.STORED, State.DISCARDED, State.FAILED, State.LOST}
S = State


def expected(state: State, event: type[Event]) -> object:
    rules: dict[type[Event], Callable[[], object]] = {
        Armed: lambda: State.ARMED if state is S.REQUESTED else SAME,
        Begun: lambda: State.RECORDING if state in {S.REQUESTED, S.ARMED} else SAME,
        Paused: lambda: {S.RECORDING: S.PAUSED, S.PAUSED: SAME, S.MASKED: InvalidState}.get(
            state, not_recording(state)
        ),
        Resumed: lambda: {S.RECORDING: SAME, S.PAUSED: S.RECORDING, S.MASKED: InvalidState}.get(
            state, not_recording(state)
        ),
        Masked: lambda: {S.RECORDING: S.MASKED, S.MASKED: SAME, S.PAUSED: InvalidState}.get(
            state, not_recording(state)
        ),
        Unmasked: lambda: {S.RECORDING: SAME, S.MASKED: S.RECORDING, S.PAUSED: InvalidState}.get(
            state, not_recording(state)
        ),
        Interrupted: lambda: STAY if state in {S.RECORDING, S.PAUSED, S.MASKED, S.FINALIZING, S.STORED} else SAME,
        Stopped: lambda: ended(state) if state in GOING_ON else not_recording(state),
        Ended: lambda: ended(state) if state in GOING_ON | {S.LOST} else SAME,
        Reopened: lambda: {S.FAILED: S.RECORDING, S.RECORDING: SAME}.get(state, InvalidState),
        AudioFound: lambda: (
            S.FINALIZING if state in ENDS - {S.STORED} else NotFound if state is S.PURGED else InvalidState
        ),
        Stored: lambda: {S.FINALIZING: S.STORED, S.STORED: SAME}.get(state, InvalidState),
        Discarded: lambda: ends_as(state, S.DISCARDED, {S.DISCARDED, S.FAILED, S.LOST}),
        Failed: lambda: ends_as(state, S.FAILED, {S.DISCARDED, S.FAILED, S.LOST}),
        Lost: lambda: S.LOST if state in GOING_ON | {S.FINALIZING} else SAME,
        Trashed: lambda: {S.TRASHED: SAME, S.PURGED: NotFound}.get(
            state, S.TRASHED if state in ENDS else RecordingInProgress
        ),
        Restored: lambda: {S.TRASHED: BACK, S.PURGED: NotFound}.get(state, NotTrashed),
        Purged: lambda: {S.TRASHED: S.PURGED, S.PURGED: SAME}.get(
            state, InvalidState if state in ENDS else RecordingInProgress
        ),
        Delivered: lambda: State.STORED if state is S.STORED else SAME,
        DeliveryFailed: lambda: State.STORED if state is S.STORED else SAME,
        Redelivered: lambda: {S.STORED: S.STORED, S.PURGED: NotFound}.get(state, NotDeliverable),
        Held: lambda: written(state, NotFound),
        Consented: lambda: STAY if state in GOING_ON else not_recording(state),
        Released: lambda: written(state, NotFound),
        Retained: lambda: SAME if state in {S.TRASHED, S.PURGED} else written(state, NotFound),
        Missing: lambda: S.LOST if state is S.STORED else SAME,
        Annotated: lambda: {S.TRASHED: InvalidState, S.PURGED: NotFound}.get(state, STAY),
    }
    return rules[event]()


def written(state: State, gone: type[Refused]) -> object:
    if state in GOING_ON | {S.FINALIZING}:
        return STAY
    return gone if state is S.PURGED else state


def not_recording(state: State) -> type[Refused]:
    return NotFound if state is S.PURGED else NotRecording


def ended(state: State) -> State:
    return S.DISCARDED if state in {S.REQUESTED, S.ARMED} else S.FINALIZING


def ends_as(state: State, end: State, silent: set[State]) -> object:
    if state in GOING_ON | {S.FINALIZING}:
        return end
    return SAME if state in silent else InvalidState


def make(state: State, **values: object) -> Recording:
    recording = Recording(
        id="202611-" + "0" * 32,
        account_id="a" * 32,
        state=state,
        start=1,
        created=1,
        modified=1,
        call_id="call",
        from_="1@a",
        to="2@a",
        reason=Reason.INCOMPLETE if state is S.FAILED else None,
        options=RecordingOptions(url="https://example.com/in"),
        trashed_from=S.FAILED if state is S.TRASHED else None,
        imported={"_id": "202611-" + "0" * 32},
    )
    return replace(recording, **values)  # type: ignore[arg-type]


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, event) for state in State for event in SAMPLES}
    assert set(SAMPLES) == set(RULES)


@pytest.mark.parametrize("event", RULES, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", State)
def test_every_pair_has_the_expected_result(state: State, event: type[Event]) -> None:
    assert TABLE[state, event] == expected(state, event)


@pytest.mark.parametrize("event", SAMPLES.values(), ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", State)
def test_apply_obeys_the_table(state: State, event: Event) -> None:
    before = make(state)
    row = before.to_row()
    outcome = TABLE[state, type(event)]
    if outcome is SAME:
        assert apply(before, event) is before
    elif isinstance(outcome, type):
        with pytest.raises(outcome) as refused:
            apply(before, event)
        assert refused.value.recording_id == before.id
    elif outcome is STAY:
        after = apply(replace(before, due_at=7, lease=Lease("n", 9)), event)
        assert (after.state, after.due_at, after.lease, after.revision) == (state, 7, Lease("n", 9), 1)
        assert after.modified == AT
    else:
        # The step has ended, so the lease and the attempts are reset. During a purge nothing can be restored.
        leased = before if state is S.TRASHED else replace(before, lease=Lease("n", 9), attempts=3)
        after = apply(leased, event)
        assert after.state is (before.trashed_from if outcome is BACK else outcome)
        assert (after.revision, after.modified, after.lease, after.attempts) == (before.revision + 1, AT, None, 0)
    assert before.to_row() == row


def test_only_an_imported_recording_gets_other_audio() -> None:
    lost = make(S.LOST, reason=Reason.AUDIO_MISSING, reason_detail="gone", node="old")
    reference = Reference("https://audio.example.com/1.mp3", "audio/mpeg", 7)
    found = apply(lost, AudioFound(at=AT, source_sha256="1" * 64, reference=reference))
    assert (found.state, found.reason, found.reason_detail) == (S.FINALIZING, None, None)
    assert found.due_at == AT - CLOCK_TOLERANCE
    assert (found.node, found.reference, found.source_sha256) == (None, reference, "1" * 64)
    with pytest.raises(InvalidState, match="only an imported recording"):
        apply(replace(lost, imported=None), AudioFound(at=AT))


def test_only_an_incomplete_upload_can_be_sent_again() -> None:
    with pytest.raises(InvalidState):
        apply(make(S.FAILED, reason=Reason.NOT_AUDIO), Reopened(at=AT))
    again = apply(make(S.FAILED, reason=Reason.INCOMPLETE), Reopened(at=AT))
    assert (again.state, again.reason) == (S.RECORDING, None)


def test_a_recording_without_audio_has_the_reason_never_started() -> None:
    stopped = apply(make(S.ARMED), Stopped(at=AT))
    assert (stopped.state, stopped.reason, stopped.due_at) == (S.DISCARDED, Reason.NEVER_STARTED, None)


def test_an_interruption_is_a_span_that_has_ended_and_its_repetition_changes_nothing() -> None:
    gap = Interrupted(at=4_000, kind=SpanKind.DISCONNECTED, at_ms=500, duration_ms=1_500)
    paused = apply(apply(make(S.REQUESTED), Begun(at=1_000)), Paused(at=3_000, at_ms=2_000))
    once = apply(paused, gap)
    assert [(span.kind, span.duration_ms) for span in once.spans] == [
        (SpanKind.DISCONNECTED, 1_500),
        (SpanKind.PAUSED, None),
    ]
    assert apply(once, gap).spans == once.spans
    resumed = apply(once, Resumed(at=7_000))
    assert [span.duration_ms for span in resumed.spans] == [1_500, 4_000]


def test_spans_open_and_close_with_both_clocks() -> None:
    begun = apply(make(S.REQUESTED), Begun(at=1_000))
    paused = apply(begun, Paused(at=3_000, at_ms=2_000))
    assert [(span.kind, span.at_ms, span.duration_ms) for span in paused.spans] == [(SpanKind.PAUSED, 2_000, None)]
    resumed = apply(paused, Resumed(at=7_000))
    masked = apply(resumed, Masked(at=8_000, at_ms=3_000))
    ended = apply(masked, Ended(at=9_500, cause=EndCause.HANGUP))
    assert [(span.kind, span.at_ms, span.duration_ms) for span in ended.spans] == [
        (SpanKind.PAUSED, 2_000, 4_000),
        (SpanKind.MASKED, 3_000, 1_500),
    ]
    assert ended.start == 1_000


def test_a_closed_span_stays_closed_and_no_span_is_negative() -> None:
    masked = apply(make(S.RECORDING), Masked(at=3_000, at_ms=2_000))
    went_on = apply(masked, Unmasked(at=4_000))
    assert [span.duration_ms for span in apply(went_on, Ended(at=9_000, cause=EndCause.HANGUP)).spans] == [1_000]
    # The server's clock was set back during the mask.
    assert [span.duration_ms for span in apply(masked, Ended(at=2_000, cause=EndCause.HANGUP)).spans] == [0]


def test_an_ended_recording_has_a_reason_only_if_it_never_began() -> None:
    lost = apply(make(S.RECORDING), Lost(at=AT, reason=Reason.RECORDER_GONE, detail="gone"))
    assert (lost.reason, lost.reason_detail) == (Reason.RECORDER_GONE, "gone")
    for before in (make(S.RECORDING), make(S.PAUSED), lost):
        ended = apply(before, Ended(at=AT, cause=EndCause.SERVER_RESTART))
        assert (ended.state, ended.reason, ended.reason_detail) == (S.FINALIZING, None, None)
        assert ended.end_cause is EndCause.SERVER_RESTART


def test_the_digest_of_an_upload_is_kept() -> None:
    ended = apply(make(S.RECORDING), Ended(at=AT, cause=EndCause.RECEIVED, source_sha256="00"))
    lost = apply(ended, Lost(at=AT, reason=Reason.RECORDER_GONE))
    assert apply(lost, Ended(at=AT, cause=EndCause.SERVER_RESTART)).source_sha256 == "00"


@pytest.mark.parametrize("length", [0, 1_500, None])
def test_a_discarded_recording_keeps_its_measured_duration(length: int | None) -> None:
    discarded = apply(make(S.FINALIZING), Discarded(at=AT, reason=Reason.TOO_SHORT, duration_ms=length))
    assert (discarded.state, discarded.reason, discarded.duration_ms) == (S.DISCARDED, Reason.TOO_SHORT, length)


def test_due_at_follows_the_state() -> None:
    begun = apply(make(S.REQUESTED), Begun(at=AT))
    assert begun.due_at == AT + begun.options.time_limit * 1_000 + GRACE
    ended = apply(begun, Ended(at=AT + 1, cause=EndCause.TIME_LIMIT))
    assert ended.due_at == AT + 1 - CLOCK_TOLERANCE
    stored = apply(ended, Stored(at=AT + 2, media=MEDIA, format="wav"))
    assert (stored.due_at, stored.format, stored.duration_ms, stored.node) == (None, "wav", 1_000, None)
    trashed = apply(stored, Trashed(at=AT + 3, by="me", purge_at=AT + 99))
    assert (trashed.due_at, trashed.shelf) == (AT + 99, Shelf.TRASH)
    assert apply(trashed, Restored(at=AT + 4, delete_at=None)).to_row() == stored.to_row() | {
        "modified": AT + 4,
        "revision": 5,
    }


def test_a_tombstone_has_no_names() -> None:
    known: dict[str, Any] = {
        "caller_id_name": "Ada", "callee_id_number": "+1", "user_metadata": {"a": 1}, "label": "x", "name": "y",
        "origin": "graphql:Ada : x",
    }  # fmt: skip
    options = RecordingOptions(label="x", media_name="y", url="https://ada:secret@example.org/in")
    trashed = make(
        S.TRASHED, media=MEDIA, trashed_by="me", trashed_reason="r", imported={"from": "1@a"}, options=options, **known
    )
    gone = apply(trashed, Purged(at=AT))
    assert (gone.state, gone.shelf, gone.id) == (S.PURGED, Shelf.GONE, trashed.id)
    assert (gone.trashed_by, gone.trashed_reason, gone.trashed_at) == (None, None, trashed.trashed_at)
    assert not any(
        (gone.media, gone.from_, gone.to, gone.imported, *(getattr(gone, name) for name in known)),
    )
    assert gone.options == RecordingOptions()


@pytest.mark.parametrize(("state", "advice"), [(S.RECORDING, "stop it"), (S.FINALIZING, "wait until it is stored")])
def test_a_refused_deletion_says_what_to_do_first(state: State, advice: str) -> None:
    with pytest.raises(RecordingInProgress, match=f"{state}: {advice} before deleting it"):
        apply(make(state), Trashed(at=AT, by="me", purge_at=AT))


@pytest.mark.parametrize(
    "event",
    [
        Stopped(at=AT + 9),
        Ended(at=AT + 9, cause=EndCause.HANGUP),
        Failed(at=AT + 9, reason=Reason.INCOMPLETE),
        Lost(at=AT + 9, reason=Reason.RECORDER_GONE),
        Discarded(at=AT + 9, reason=Reason.EMPTY),
    ],
    ids=lambda event: type(event).__name__,
)
def test_ended_is_when_the_recording_is_no_longer_in_progress(event: Event) -> None:
    going = apply(make(S.REQUESTED), Begun(at=AT))
    assert going.ended is None
    assert apply(going, event).ended == AT + 9


def test_later_events_do_not_move_the_end() -> None:
    ended = make(S.FINALIZING, ended=AT)
    stored = apply(ended, Stored(at=AT + 5, media=MEDIA, format="mp3"))
    assert apply(ended, Failed(at=AT + 5, reason=Reason.NOT_AUDIO)).ended == AT
    trashed = apply(stored, Trashed(at=AT + 6, by="me", purge_at=AT + 9))
    found = apply(make(S.LOST, ended=AT), Ended(at=AT + 5, cause=EndCause.SERVER_RESTART))
    after = (
        stored,
        trashed,
        apply(trashed, Restored(at=AT + 7, delete_at=None)),
        apply(trashed, Purged(at=AT + 9)),
        found,
    )
    assert {each.ended for each in after} == {AT}


def test_a_recording_without_an_end_gets_one_at_its_next_event() -> None:
    assert apply(make(S.FINALIZING), Stored(at=AT + 5, media=MEDIA, format="mp3")).ended == AT + 5


def test_a_reopened_upload_gets_a_new_end() -> None:
    broken = make(S.FAILED, reason=Reason.INCOMPLETE, source_key="s", ended=AT)
    again = apply(broken, Reopened(at=AT + 5))
    assert again.ended is None
    assert apply(again, Ended(at=AT + 9, cause=EndCause.RECEIVED)).ended == AT + 9


STAYS = frozenset({
    "id", "account_id", "owner_id", "direction", "recorder", "format", "start",
    "created", "modified", "ended", "duration_ms", "state", "shelf", "reason", "end_cause", "options", "revision",
    "trashed_from", "trashed_at", "purge_at",
})  # fmt: skip


def test_a_purge_keeps_only_ids_times_and_reasons() -> None:
    trashed = full(hold=None, lease=None)
    row = apply(trashed, Purged(at=AT)).to_row()
    assert {name for name, value in row.items() if value} == STAYS
    assert row["options"] == make(S.PURGED, options=RecordingOptions()).to_row()["options"]


def test_a_hold_blocks_every_deletion() -> None:
    held = apply(make(S.STORED, delete_at=AT + 5, due_at=AT + 5), Held(at=AT, by="me", reason="case 7"))
    assert (held.hold, held.due_at) == (Hold("me", AT, "case 7"), None)
    assert apply(held, Held(at=AT + 1, by="you", reason="other")).hold == held.hold
    with pytest.raises(OnHold, match="case 7"):
        apply(held, Trashed(at=AT, by="me", purge_at=AT))
    trashed = apply(make(S.TRASHED, purge_at=AT + 5), Held(at=AT, by="me", reason="case 7"))
    assert trashed.due_at is None
    with pytest.raises(OnHold):
        apply(trashed, Purged(at=AT))
    released = apply(trashed, Released(at=AT))
    assert (released.hold, released.due_at) == (None, AT + 5)
    assert apply(released, Purged(at=AT)).state is S.PURGED


@pytest.mark.parametrize("going", [{"lease": Lease("node", AT + 9)}, {"attempts": 1}])
def test_a_recording_cannot_be_restored_during_its_purge(going: dict[str, Any]) -> None:
    trashed = make(S.TRASHED, trashed_from=S.STORED, media=MEDIA, purge_at=AT + 9, **going)
    with pytest.raises(NotTrashed, match="is being purged"):
        apply(trashed, Restored(at=AT, delete_at=None))
    with pytest.raises(NotFound, match="is being purged"):
        apply(trashed, Held(at=AT, by="me", reason="case 7"))
    with pytest.raises(NotFound, match="is being purged"):
        # It would remove the lease that shows that the purge runs.
        apply(trashed, Released(at=AT))
    assert apply(trashed, Purged(at=AT)).state is S.PURGED


def test_a_recording_cannot_be_restored_after_purge_at() -> None:
    trashed = make(S.TRASHED, trashed_from=S.STORED, media=MEDIA, purge_at=AT)
    assert apply(trashed, Restored(at=AT - 1, delete_at=None)).state is S.STORED
    held = apply(trashed, Held(at=AT - 1, by="me", reason="case 7"))
    # A recording with a hold is not purged, so it can still be restored.
    assert apply(held, Restored(at=AT + 1, delete_at=None)).state is S.STORED
    for event, refusal in (
        (Restored(at=AT, delete_at=None), NotTrashed),
        (Held(at=AT, by="me", reason="case 7"), NotFound),
    ):
        with pytest.raises(refusal, match="is being purged"):
            apply(trashed, event)


def test_a_delivery_has_its_own_state() -> None:
    stored = apply(make(S.FINALIZING), Stored(at=AT, media=MEDIA, format="mp3", delivery_id="d", delete_at=AT + 100))
    assert stored.delivery is not None
    assert (stored.delivery.state, stored.due_at) == (DeliveryState.PENDING, AT)
    failed = apply(stored, DeliveryFailed(at=AT + 1, error="503", retry_at=AT + 50))
    assert failed.delivery is not None
    assert (failed.delivery.attempts, failed.delivery.last_error, failed.due_at) == (1, "503", AT + 50)
    assert failed.delivery.state is DeliveryState.PENDING
    given_up = apply(failed, DeliveryFailed(at=AT + 50, error="404" * 500, retry_at=None))
    assert given_up.delivery is not None
    assert (given_up.delivery.attempts, given_up.delivery.last_error) == (2, ("404" * 500)[:500])
    assert (given_up.delivery.state, given_up.delivery.id, given_up.due_at) == (DeliveryState.FAILED, "d", AT + 100)
    again = apply(given_up, Redelivered(at=AT + 60, delivery_id="e"))
    done = apply(again, Delivered(at=AT + 61))
    assert done.delivery is not None
    assert (done.delivery.id, done.delivery.state, done.delivery.delivered_at, done.due_at) == (
        "e", DeliveryState.DELIVERED, AT + 61, AT + 100,
    )  # fmt: skip
    assert done.delivery.attempts == 1


@pytest.mark.parametrize("delivery_id", ["d", None])
def test_a_late_result_does_not_change_a_finished_delivery(delivery_id: str | None) -> None:
    stored = apply(make(S.FINALIZING), Stored(at=AT, media=MEDIA, format="mp3", delivery_id="d"))
    done = apply(stored, Delivered(at=AT + 1, delivery_id="d"))
    for retry_at in (AT + 50, None):
        late = DeliveryFailed(at=AT + 2, error="broke off", retry_at=retry_at, delivery_id=delivery_id)
        assert (apply(done, late).delivery, apply(done, late).due_at) == (done.delivery, done.due_at)
    assert apply(done, Delivered(at=AT + 3, delivery_id=delivery_id)).delivery == done.delivery


def test_without_a_url_there_is_no_delivery() -> None:
    plain = make(S.FINALIZING, options=RecordingOptions())
    stored = apply(plain, Stored(at=AT, media=MEDIA, format="mp3", delivery_id="d"))
    assert stored.delivery is None
    with pytest.raises(NotDeliverable):
        apply(stored, Redelivered(at=AT, delivery_id="e"))


def test_a_failed_step_waits_longer_each_time_up_to_five_minutes() -> None:
    recording, waits = make(S.FINALIZING), []
    for _ in range(12):
        leased = replace(recording, lease=Lease("n", AT))
        recording = reschedule(leased, retry_later(leased, AT, "disk full"))
        assert recording.lease is None
        waits.append((recording.due_at or 0) - AT)
    assert waits[:4] == [1_000, 2_000, 4_000, 8_000]
    assert waits[-1] == 5 * MINUTE
    assert (recording.attempts, recording.revision, recording.reason_detail) == (12, 12, "disk full")


@given(st.lists(st.sampled_from(sorted(SAMPLES, key=lambda event: event.__name__)), max_size=30))
def test_random_events_keep_a_recording_consistent(events: list[type[Event]]) -> None:
    recording = make(S.REQUESTED)
    for event in events:
        try:
            after = apply(recording, SAMPLES[event])
        except Refused:
            continue
        assert after.revision - recording.revision in {0, 1}
        assert (after.active_call is not None) == (after.state in IN_PROGRESS)
        assert Recording.from_row(after.to_row()) == after
        recording = after
