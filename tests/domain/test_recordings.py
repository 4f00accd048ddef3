"""The use cases of `Recordings`: control, deletion, idempotency keys, races, and the effect of each refusal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graph.execution.run_parallel import run_parallel
from recordings.model.account import Principal, Scope
from recordings.model.errors import (
    AlreadyRecording,
    CallNotFound,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    MediaUnavailable,
    NotDeliverable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    RecorderFailed,
    RecordingInProgress,
    UnsupportedByRecorder,
)
from recordings.model.events import Begun, Ended, Purged, Stored
from recordings.model.feed_event import EventCursor, EventSelection, FeedEvent
from recordings.model.ids import new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import CLOCK_TOLERANCE, DAY
from recordings.model.options import RecordingOptions
from recordings.model.query import MAX_PAGE, Order, PageRequest, Query
from recordings.model.recording import DeliveryState, EndCause, Hold, Media, Reason, Recording, Shelf, SpanKind, State
from recordings.model.retention import Retention
from recordings.ports.recorder import Capability
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.idempotency import KEPT
from recordings.rules.lifecycle import apply
from recordings.use_cases.bulk_actions import BulkActions
from recordings.use_cases.start import StartRequest
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, Installation, open_installation, principal

CALLER = principal()
CALL = "call-1@switch"
MEDIA = Media("local:a", "audio/mpeg", 1, 1_000, 8_000, 2, "0" * 64, 9)


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path, InstallationPolicy(trash_window=DAY)) as made:
        made.recorder.ring(ACCOUNT, CALL, owner_id="ada")
        yield made


def start(installation: Installation, caller: Principal = CALLER, **fields: Any) -> Awaitable[Recording]:
    return installation.service.start(caller, StartRequest(**{"call_id": CALL} | fields))


async def stored(installation: Installation, **fields: Any) -> Recording:
    begun = await start(installation, **fields)
    ended = await installation.service.stop(CALLER, begun.id)
    kept = apply(ended, Stored(at=installation.clock.now(), media=MEDIA, format="mp3"))
    assert await installation.store.save(kept, ended.revision)
    return kept


async def count(installation: Installation) -> int:
    return (await installation.store.count(Query(account_id=ACCOUNT))).number


# Start


async def test_a_start_records_the_call_at_once(installation: Installation) -> None:
    options = RecordingOptions(label="Front desk", format="wav")
    begun = await start(installation, options=options)
    assert begun.state is State.RECORDING
    assert (begun.origin, begun.label, begun.format, begun.owner_id) == (
        "inbound from 1001 to +14155550123 : Front desk", "Front desk", "wav", "ada",
    )  # fmt: skip
    assert begun.from_.startswith("1001@")
    assert begun.to.startswith("+14155550123@")
    assert begun.cdr_id == f"{begun.id[:6]}-{CALL}"
    assert await installation.store.load(begun.id) == begun
    assert installation.recorder.commands == [("start", begun.id)]
    assert installation.audit.entries == [("start", begun.id)]


async def test_record_on_answer_arms_the_recording(installation: Installation) -> None:
    armed = await start(installation, options=RecordingOptions(record_on_answer=True))
    assert armed.state is State.ARMED
    installation.clock.move(5_000)
    begun = await installation.service.on_event(armed.id, Begun(at=installation.clock.now()))
    assert begun is not None
    assert (begun.state, begun.start - armed.start) == (State.RECORDING, 5_000)


async def test_a_call_has_one_recording_at_a_time(installation: Installation) -> None:
    first = await start(installation)
    with pytest.raises(AlreadyRecording) as refused:
        await start(installation, options=RecordingOptions(label="other"))
    assert refused.value.recording_id == first.id
    assert await count(installation) == 1
    await installation.service.stop(CALLER, first.id)
    assert (await start(installation)).id != first.id


async def test_only_one_of_many_simultaneous_starts_succeeds(installation: Installation) -> None:
    answers = await asyncio.gather(*(start(installation) for _ in range(8)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyRecording"] * 7 + ["Recording"]
    assert await count(installation) == 1


async def test_a_repeated_start_with_the_same_key_is_done_once(installation: Installation) -> None:
    answers = await asyncio.gather(*(start(installation, key="k") for _ in range(8)))
    assert len({answer.id for answer in answers}) == 1
    assert installation.recorder.commands == [("start", answers[0].id)]
    await installation.service.stop(CALLER, answers[0].id)
    assert (await start(installation, key="k")).id == answers[0].id
    with pytest.raises(IdempotencyKeyReused):
        await start(installation, key="k", options=RecordingOptions(label="other"))


async def test_an_outdated_row_does_not_start_the_take_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await start(installation, key="k")

    async def outdated_row(*_args: Any) -> Recording:
        return replace(begun, state=State.REQUESTED, revision=0)

    monkeypatch.setattr(installation.store, "find_started", outdated_row)
    assert await start(installation, key="k") == begun
    assert installation.recorder.commands == [("start", begun.id)]


@pytest.mark.parametrize("key", ["k", None])
async def test_a_repeated_start_begins_the_take_if_the_first_one_did_not(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    insert = installation.store.insert

    async def insert_without_reply(*arguments: Any) -> None:
        await insert(*arguments)
        message = "no reply"
        raise StoreUnavailableError(message)

    with monkeypatch.context() as patched:
        patched.setattr(installation.store, "insert", insert_without_reply)
        with pytest.raises(StoreUnavailableError):
            await start(installation, key=key)
    assert installation.recorder.commands == []
    if key is None:
        with pytest.raises(AlreadyRecording):
            await start(installation)
    else:
        assert (await start(installation, key=key)).state is State.RECORDING
    found = await installation.store.find_active(ACCOUNT, CALL)
    assert found is not None
    assert found.state is State.RECORDING
    assert installation.recorder.commands == [("start", found.id)]
    assert installation.audit.entries == [("start", found.id)]


async def test_an_owner_has_its_own_idempotency_keys(installation: Installation) -> None:
    own = await start(installation, key="k")
    with pytest.raises(AlreadyRecording):
        await start(installation, principal(owner_id="ada"), key="k")
    assert own.owner_id == "ada"


async def test_no_owner_can_use_the_key_of_another_owner(installation: Installation) -> None:
    installation.recorder.ring(ACCOUNT, "theirs", owner_id="ada:x")
    others = await start(installation, principal(owner_id="ada:x"), call_id="theirs", key="y")
    own = await start(installation, principal(owner_id="ada"), key="x:y")
    assert (own.id != others.id, own.owner_id) == (True, "ada")


@pytest.mark.parametrize(
    "caller", [principal(owner_id="bob"), principal(SIBLING), principal(CHILD)], ids=["owner", "sibling", "child"]
)
async def test_a_call_without_access_is_not_found(installation: Installation, caller: Principal) -> None:
    with pytest.raises(CallNotFound):
        await start(installation, caller)
    assert await count(installation) == 0


async def test_a_parent_may_start_in_a_child_account_but_not_the_reverse(installation: Installation) -> None:
    installation.recorder.ring(CHILD, "call-2")
    assert (await start(installation, call_id="call-2", account_id=CHILD)).account_id == CHILD
    with pytest.raises(NotFound):
        await start(installation, principal(CHILD), account_id=ACCOUNT)
    assert await count(installation) == 0


async def test_an_unsupported_action_is_refused_before_the_recorder_is_called(installation: Installation) -> None:
    installation.recorder.capabilities = frozenset()
    for options in (RecordingOptions(record_on_answer=True), RecordingOptions(record_on_bridge=True)):
        with pytest.raises(UnsupportedByRecorder):
            await start(installation, options=options)
    begun = await start(installation)
    for act in (installation.service.pause, installation.service.mask):
        with pytest.raises(UnsupportedByRecorder):
            await act(CALLER, begun.id)
    assert installation.recorder.commands == [("start", begun.id)]
    assert Capability.PAUSE not in installation.recorder.capabilities


async def test_a_refusal_of_the_recorder_makes_a_failed_recording(installation: Installation) -> None:
    installation.recorder.refusal = "no disk"
    with pytest.raises(RecorderFailed, match="no disk") as refused:
        await start(installation)
    assert refused.value.recording_id is not None
    row = await installation.store.load(refused.value.recording_id)
    assert row is not None
    assert (row.state, row.reason, row.active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)


async def test_every_recording_gets_a_retention_date(installation: Installation) -> None:
    account = await installation.store.account(ACCOUNT)
    assert account is not None
    await installation.store.save_account(replace(account, retention=(Retention(30), Retention(7, "junk"))))
    armed = await start(installation, options=RecordingOptions(label="junk", record_on_answer=True))
    assert armed.delete_at == armed.start + 7 * DAY
    stopped = await installation.service.stop(CALLER, armed.id)
    assert (stopped.state, stopped.due_at) == (State.DISCARDED, armed.delete_at)
    assert (await start(installation)).delete_at == installation.clock.now() + 30 * DAY


# Stop, pause, mask


async def test_a_stopped_recording_is_finalized(installation: Installation) -> None:
    begun = await start(installation)
    ended = await installation.service.stop(CALLER, begun.id, "k")
    assert (ended.state, ended.end_cause, ended.due_at) == (
        State.FINALIZING,
        EndCause.STOPPED,
        installation.clock.now() - CLOCK_TOLERANCE,
    )
    assert installation.woken
    assert (await installation.service.stop(CALLER, begun.id, "k")).id == begun.id
    with pytest.raises(NotRecording):
        await installation.service.stop(CALLER, begun.id)
    assert installation.recorder.commands == [("start", begun.id), ("stop", begun.id)]


async def test_the_recorders_end_before_the_stop_is_accepted(installation: Installation) -> None:
    begun = await start(installation)
    original = installation.recorder.stop

    async def stop(recording_id: str) -> None:
        await original(recording_id)
        await installation.service.on_event(recording_id, Ended(at=installation.clock.now(), cause=EndCause.STOPPED))

    installation.recorder.stop = stop  # type: ignore[method-assign]
    ended = await installation.service.stop(CALLER, begun.id)
    assert (ended.state, ended.end_cause) == (State.FINALIZING, EndCause.STOPPED)


async def test_a_stop_before_the_answer_discards_the_recording(installation: Installation) -> None:
    armed = await start(installation, options=RecordingOptions(record_on_answer=True))
    stopped = await installation.service.stop(CALLER, armed.id)
    assert (stopped.state, stopped.reason) == (State.DISCARDED, Reason.NEVER_STARTED)


async def test_pause_and_mask_leave_spans(installation: Installation) -> None:
    begun = await start(installation)
    assert (await installation.service.pause(CALLER, begun.id)).state is State.PAUSED
    with pytest.raises(InvalidState):
        await installation.service.mask(CALLER, begun.id)
    installation.clock.move(3_000)
    assert (await installation.service.resume(CALLER, begun.id)).state is State.RECORDING
    assert (await installation.service.mask(CALLER, begun.id)).state is State.MASKED
    installation.clock.move(2_000)
    unmasked = await installation.service.unmask(CALLER, begun.id)
    assert [(span.kind, span.at_ms, span.duration_ms) for span in unmasked.spans] == [
        (SpanKind.PAUSED, 1_000, 3_000),
        (SpanKind.MASKED, 1_000, 2_000),
    ]


async def test_repeated_actions_change_nothing(installation: Installation) -> None:
    begun = await start(installation)
    paused = await installation.service.pause(CALLER, begun.id)
    assert await installation.service.pause(CALLER, begun.id) == paused
    resumed = await installation.service.resume(CALLER, begun.id)
    assert await installation.service.unmask(CALLER, begun.id) == resumed


@pytest.mark.parametrize("action", ["stop", "pause", "resume", "mask", "unmask"])
async def test_a_stored_recording_cannot_be_controlled(installation: Installation, action: str) -> None:
    kept = await stored(installation)
    with pytest.raises(NotRecording):
        await getattr(installation.service, action)(CALLER, kept.id)
    assert await installation.store.load(kept.id) == kept


async def test_a_recorder_that_fails_to_stop_changes_nothing(installation: Installation) -> None:
    begun = await start(installation)
    installation.recorder.refusal = "the switch is unreachable"
    with pytest.raises(RecorderFailed, match="the switch is unreachable"):
        await installation.service.stop(CALLER, begun.id)
    assert await installation.store.load(begun.id) == begun


# Delete and restore


async def test_delete_restore_and_delete_again(installation: Installation) -> None:
    kept = await stored(installation)
    deleted = await installation.service.delete(CALLER, kept.id, "k")
    assert (deleted.state, deleted.shelf, deleted.purge_at) == (
        State.TRASHED,
        Shelf.TRASH,
        installation.clock.now() + DAY,
    )
    assert (await installation.service.delete(CALLER, kept.id, "k")) == deleted
    assert (await installation.service.delete(CALLER, kept.id)) == deleted
    assert installation.audit.entries.count(("delete", kept.id)) == 1
    restored = await installation.service.restore(CALLER, kept.id)
    assert (restored.state, restored.media, restored.due_at) == (State.STORED, MEDIA, None)
    with pytest.raises(NotTrashed):
        await installation.service.restore(CALLER, kept.id)
    with pytest.raises(IdempotencyKeyReused):
        await installation.service.restore(CALLER, kept.id, "k")


async def test_a_deletion_keeps_who_when_and_why_until_it_is_restored(installation: Installation) -> None:
    kept = await stored(installation)
    for wrong in ("", "x" * 257):
        with pytest.raises(InvalidInput, match="reason must be a text of 1 to 256 characters"):
            await installation.service.delete(CALLER, kept.id, reason=wrong)
    deleted = await installation.service.delete(CALLER, kept.id, reason="the caller asked for it")
    assert (deleted.trashed_by, deleted.trashed_at) == (CALLER.name, installation.clock.now())
    assert deleted.trashed_reason == "the caller asked for it"
    gone = apply(deleted, Purged(at=installation.clock.now()))
    assert (gone.trashed_by, gone.trashed_reason) == (None, None)
    assert (await installation.service.restore(CALLER, kept.id)).trashed_reason is None


async def test_a_recording_in_progress_cannot_be_deleted(installation: Installation) -> None:
    begun = await start(installation)
    with pytest.raises(RecordingInProgress):
        await installation.service.delete(CALLER, begun.id)
    await installation.service.stop(CALLER, begun.id)
    with pytest.raises(RecordingInProgress):
        await installation.service.delete(CALLER, begun.id)


async def test_a_tombstone_is_not_found(installation: Installation) -> None:
    kept = await stored(installation)
    deleted = await installation.service.delete(CALLER, kept.id, window=0)
    assert deleted.due_at == installation.clock.now()
    assert await installation.store.save(apply(deleted, Purged(at=installation.clock.now())), deleted.revision)
    assert await installation.service.find(CALLER, kept.id) is None
    for action in (
        installation.service.restore,
        installation.service.delete,
        installation.service.stop,
        installation.service.plays.listen,
    ):
        with pytest.raises(NotFound):
            await action(CALLER, kept.id)


# Hold and deliver


async def test_a_recording_with_a_hold_cannot_be_deleted(installation: Installation) -> None:
    kept = await stored(installation)
    admin = principal(ACCOUNT, *Scope)
    held = await installation.service.hold(admin, kept.id, "case 7", "k")
    assert held.hold == Hold("tester", installation.clock.now(), "case 7")
    assert (await installation.service.hold(admin, kept.id, "case 8")).hold == held.hold
    with pytest.raises(OnHold, match="case 7"):
        await installation.service.delete(CALLER, kept.id)
    with pytest.raises(Forbidden, match="'admin'"):
        await installation.service.release(CALLER, kept.id)
    assert (await installation.service.release(admin, kept.id)).hold is None
    assert (await installation.service.delete(CALLER, kept.id)).state is State.TRASHED
    for reason in ("", "x" * 257):
        with pytest.raises(InvalidInput):
            await installation.service.hold(admin, kept.id, reason)


async def test_a_delivery_can_be_requested_again(installation: Installation) -> None:
    plain = await stored(installation)
    with pytest.raises(NotDeliverable):
        await installation.service.redeliver(CALLER, plain.id)
    wanted = await stored(installation, options=RecordingOptions(url="https://example.com/in"))
    sent = await installation.service.redeliver(CALLER, wanted.id, "k")
    assert sent.delivery is not None
    assert (sent.delivery.state, sent.due_at) == (DeliveryState.PENDING, installation.clock.now())
    assert (await installation.service.redeliver(CALLER, wanted.id, "k")).delivery == sent.delivery
    assert (await installation.service.redeliver(CALLER, wanted.id)).delivery != sent.delivery


# Listen


async def test_only_stored_audio_can_be_played(installation: Installation) -> None:
    begun = await start(installation)
    with pytest.raises(MediaUnavailable, match="RECORDING"):
        await installation.service.plays.listen(CALLER, begun.id)
    await installation.service.stop(CALLER, begun.id)
    kept = await stored(installation)
    assert (await installation.service.plays.listen(CALLER, kept.id)).recording.media == MEDIA
    await installation.service.delete(CALLER, kept.id)
    with pytest.raises(MediaUnavailable):
        await installation.service.plays.listen(CALLER, kept.id)


# Scopes and limits


ACTIONS: dict[Scope, list[Callable[[Installation, Principal], Awaitable[Any]]]] = {
    Scope.READ: [
        lambda installation, caller: installation.service.find(caller, "x"),
        lambda installation, caller: installation.service.page(caller, Query(account_id=ACCOUNT), PageRequest(limit=1)),
        lambda installation, caller: installation.service.count(caller, Query(account_id=ACCOUNT)),
        lambda installation, caller: installation.service.lists.calls(caller),
        lambda installation, caller: installation.service.active(caller, CALL),
    ],
    Scope.LISTEN: [lambda installation, caller: installation.service.plays.listen(caller, "x")],
    Scope.CONTROL: [
        start,
        *(lambda installation, caller, name=name: getattr(installation.service, name)(caller, "x")
          for name in ("stop", "pause", "resume", "mask", "unmask")),
        lambda installation, caller: installation.service.update(caller, "x", {"user_metadata": {}}),
        lambda installation, caller: installation.service.redeliver(caller, "x"),
    ],
    Scope.ADMIN: [
        lambda installation, caller: installation.service.hold(caller, "x", "reason"),
        lambda installation, caller: installation.service.release(caller, "x"),
    ],
    Scope.DELETE: [
        lambda installation, caller: installation.service.delete(caller, "x"),
        lambda installation, caller: installation.service.restore(caller, "x"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("scope", ACTIONS, ids=str)
async def test_each_use_case_needs_its_scope(installation: Installation, scope: Scope) -> None:
    without = principal(ACCOUNT, *(set(Scope) - {scope}))
    for action in ACTIONS[scope]:
        with pytest.raises(Forbidden, match=repr(scope.value)):
            await action(installation, without)
    assert not installation.recorder.commands


async def test_a_page_has_a_maximum_size(installation: Installation) -> None:
    for limit in (0, MAX_PAGE + 1):
        with pytest.raises(InvalidInput):
            await installation.service.page(CALLER, Query(account_id=ACCOUNT), PageRequest(limit=limit))
    with pytest.raises(InvalidInput):
        await installation.service.find_many(CALLER, ["x"] * (MAX_PAGE + 1))
    with pytest.raises(InvalidInput):
        await installation.service.page(CALLER, Query(account_id=ACCOUNT, shelf=Shelf.GONE), PageRequest(limit=1))
    for key in ("", "x" * 129, "a\nb"):
        with pytest.raises(InvalidInput):
            await start(installation, key=key)


async def test_an_owner_gets_only_its_own_recordings(installation: Installation) -> None:
    await start(installation)
    query = Query(account_id=ACCOUNT, order=Order())
    for owner, seen in (("ada", 1), ("bob", 0)):
        caller = principal(owner_id=owner)
        assert len((await installation.service.page(caller, query, PageRequest(limit=10))).rows) == seen
        assert (await installation.service.count(caller, query)).number == seen
        assert await installation.service.lists.count_calls(caller) == seen
    with pytest.raises(NotFound):
        await installation.service.page(
            principal(owner_id="bob"), replace(query, owner_id="ada"), PageRequest(limit=10)
        )


# Races


async def test_a_lost_race_reloads_and_reapplies(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await stored(installation)
    save = installation.store.save
    lost: list[int] = []

    async def save_after_another_writer(recording: Recording, expected: int, event: FeedEvent | None) -> bool:
        if len(lost) < 3:
            lost.append(expected)
            current = await installation.store.load(recording.id)
            assert current is not None
            await save(replace(current, revision=current.revision + 1), current.revision)
        return await save(recording, expected, event)

    monkeypatch.setattr(installation.store, "save", save_after_another_writer)
    annotated = await installation.service.update(CALLER, kept.id, {"user_metadata": {"a": 1}})
    assert (annotated.user_metadata, annotated.revision) == ({"a": 1}, kept.revision + 4)


async def test_a_recording_that_keeps_changing_is_a_conflict(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await stored(installation)

    async def always_lose(*_arguments: Any) -> bool:
        return False

    monkeypatch.setattr(installation.store, "save", always_lose)
    with pytest.raises(Conflict):
        await installation.service.delete(CALLER, kept.id)


async def test_two_writers_keep_each_others_metadata(installation: Installation) -> None:
    kept = await stored(installation)
    changes = [{f"key{number}": number} for number in range(6)]
    await asyncio.gather(
        *(installation.service.update(CALLER, kept.id, {"user_metadata": change}) for change in changes)
    )
    cleared = await installation.service.update(CALLER, kept.id, {"user_metadata": {"key0": None}})
    assert cleared.user_metadata == {f"key{number}": number for number in range(1, 6)}


@pytest.mark.parametrize(
    "changes", [{"a": float("nan")}, {"a": 2**60}, {"a": "\0"}, {"a": "x" * 20_000}, {"\ud800": 1}, {"a": object()}]
)
async def test_metadata_that_cannot_be_stored_is_refused(installation: Installation, changes: dict[str, Any]) -> None:
    kept = await stored(installation)
    with pytest.raises(InvalidInput):
        await installation.service.update(CALLER, kept.id, {"user_metadata": changes})
    assert await installation.store.load(kept.id) == kept


async def test_reads_of_live_calls_and_events_are_counted_and_refused_ones_are_noted(
    installation: Installation,
) -> None:
    nobody, feed = Principal(ACCOUNT, frozenset()), EventSelection(account_id=ACCOUNT)
    await installation.service.lists.calls(CALLER)
    await installation.events.page(CALLER, feed, EventCursor(), 1)
    assert installation.audit.counted == [("list", None), ("list", None)]
    for refused in (
        installation.service.lists.calls(nobody),
        installation.events.page(nobody, feed, EventCursor(), 1),
        installation.service.call(nobody, "c"),
        installation.service.active(nobody, "c"),
        BulkActions(installation.service, run_parallel).delete(nobody, ["one"]),
    ):
        with pytest.raises(Forbidden):
            await refused
    assert [action for action, _ in installation.audit.refusals] == ["list", "list", "read", "read", "delete"]


async def test_a_key_that_the_recording_forgot_makes_a_new_entry(installation: Installation) -> None:
    kept = await stored(installation)
    for _ in range(2):
        await installation.service.delete(CALLER, kept.id, "k")
        await installation.service.delete(CALLER, kept.id, "k")
        await installation.service.restore(CALLER, kept.id)
        for number in range(KEPT):
            await installation.service.update(CALLER, kept.id, {"label": f"{number}"}, new_id())
    assert installation.audit.entries.count(("delete", kept.id)) == 2
