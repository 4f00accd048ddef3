"""The use cases: start, stop, pause, mask, delete, restore; idempotency, races, and what each refusal leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY
from recordings.model.options import RecordingOptions
from recordings.model.query import MAX_PAGE, Order, PageRequest, Query
from recordings.model.recording import DeliveryState, EndCause, Hold, Media, Reason, Recording, Shelf, SpanKind, State
from recordings.model.retention import Retention
from recordings.ports.recorder import Capability
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.lifecycle import apply
from recordings.use_cases.start import StartRequest
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, Installation, open_installation, principal

ME = principal()
CALL = "call-1@switch"
MEDIA = Media("local:a", "audio/mpeg", 1, 1_000, 8_000, 2, "0" * 64, 9)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path, InstallationPolicy(trash_window=DAY)) as made:
        made.recorder.ring(ACCOUNT, CALL, owner_id="ada")
        yield made


def start(house: Installation, who: Principal = ME, **given: Any) -> Awaitable[Recording]:
    return house.service.start(who, StartRequest(**{"call_id": CALL} | given))


async def stored(house: Installation, **given: Any) -> Recording:
    begun = await start(house, **given)
    ended = await house.service.stop(ME, begun.id)
    kept = apply(ended, Stored(at=house.clock.now(), media=MEDIA, format="mp3"))
    assert await house.store.save(kept, ended.revision)
    return kept


async def count(house: Installation) -> int:
    return await house.store.count(Query(account_id=ACCOUNT))


# Start


async def test_a_start_records_the_call_at_once(house: Installation) -> None:
    options = RecordingOptions(label="Front desk", format="wav")
    begun = await start(house, options=options)
    assert begun.state is State.RECORDING
    assert (begun.origin, begun.label, begun.format, begun.owner_id) == (
        "graphql:tester : Front desk", "Front desk", "wav", "ada",
    )  # fmt: skip
    assert begun.from_.startswith("1001@")
    assert begun.to.startswith("+14155550123@")
    assert begun.cdr_id == f"{begun.id[:6]}-{CALL}"
    assert await house.store.load(begun.id) == begun
    assert house.recorder.asked == [("start", begun.id)]
    assert house.audit.entries == [("start", begun.id)]


async def test_it_waits_for_the_answer_when_asked_to(house: Installation) -> None:
    armed = await start(house, options=RecordingOptions(record_on_answer=True))
    assert armed.state is State.ARMED
    house.clock.move(5_000)
    begun = await house.service.on_event(armed.id, Begun(at=house.clock.now()))
    assert begun is not None
    assert (begun.state, begun.start - armed.start) == (State.RECORDING, 5_000)


async def test_a_call_has_one_recording_at_a_time(house: Installation) -> None:
    first = await start(house)
    with pytest.raises(AlreadyRecording) as refused:
        await start(house, options=RecordingOptions(label="other"))
    assert refused.value.recording_id == first.id
    assert await count(house) == 1
    await house.service.stop(ME, first.id)
    assert (await start(house)).id != first.id


async def test_of_many_starts_at_once_one_wins(house: Installation) -> None:
    answers = await asyncio.gather(*(start(house) for _ in range(8)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyRecording"] * 7 + ["Recording"]
    assert await count(house) == 1


async def test_the_same_start_with_the_same_key_is_one(house: Installation) -> None:
    answers = await asyncio.gather(*(start(house, key="k") for _ in range(8)))
    assert len({answer.id for answer in answers}) == 1
    assert house.recorder.asked == [("start", answers[0].id)]
    await house.service.stop(ME, answers[0].id)
    assert (await start(house, key="k")).id == answers[0].id
    with pytest.raises(IdempotencyKeyReused):
        await start(house, key="k", options=RecordingOptions(label="other"))


async def test_a_row_read_before_it_began_begins_nothing(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = await start(house, key="k")

    async def late(*_args: Any) -> Recording:
        return replace(begun, state=State.REQUESTED, revision=0)

    monkeypatch.setattr(house.store, "find_started", late)
    assert await start(house, key="k") == begun
    assert house.recorder.asked == [("start", begun.id)]


@pytest.mark.parametrize("key", ["k", None])
async def test_a_start_whose_row_was_kept_unheard_begins_when_it_is_asked_for_again(
    house: Installation, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    insert = house.store.insert

    async def unheard(recording: Recording) -> None:
        await insert(recording)
        message = "no answer came"
        raise StoreUnavailableError(message)

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "insert", unheard)
        with pytest.raises(StoreUnavailableError):
            await start(house, key=key)
    assert house.recorder.asked == []
    if key is None:
        with pytest.raises(AlreadyRecording):
            await start(house)
    else:
        assert (await start(house, key=key)).state is State.RECORDING
    found = await house.store.find_active(ACCOUNT, CALL)
    assert found is not None
    assert found.state is State.RECORDING
    assert house.recorder.asked == [("start", found.id)]
    assert house.audit.entries == [("start", found.id)]


async def test_an_owner_has_keys_of_its_own(house: Installation) -> None:
    mine = await start(house, key="k")
    with pytest.raises(AlreadyRecording):
        await start(house, principal(owner_id="ada"), key="k")
    assert mine.owner_id == "ada"


async def test_no_owner_has_the_keys_of_another(house: Installation) -> None:
    house.recorder.ring(ACCOUNT, "theirs", owner_id="ada:x")
    theirs = await start(house, principal(owner_id="ada:x"), call_id="theirs", key="y")
    mine = await start(house, principal(owner_id="ada"), key="x:y")
    assert (mine.id != theirs.id, mine.owner_id) == (True, "ada")


@pytest.mark.parametrize(
    "who", [principal(owner_id="bob"), principal(SIBLING), principal(CHILD)], ids=["owner", "sibling", "child"]
)
async def test_a_call_out_of_reach_does_not_exist(house: Installation, who: Principal) -> None:
    with pytest.raises(CallNotFound):
        await start(house, who)
    assert await count(house) == 0


async def test_a_parent_starts_in_a_child_and_not_the_other_way(house: Installation) -> None:
    house.recorder.ring(CHILD, "call-2")
    assert (await start(house, call_id="call-2", account_id=CHILD)).account_id == CHILD
    with pytest.raises(NotFound):
        await start(house, principal(CHILD), account_id=ACCOUNT)
    assert await count(house) == 0


async def test_what_the_recorder_cannot_do_is_known_before(house: Installation) -> None:
    house.recorder.capabilities = frozenset()
    for options in (RecordingOptions(record_on_answer=True), RecordingOptions(record_on_bridge=True)):
        with pytest.raises(UnsupportedByRecorder):
            await start(house, options=options)
    begun = await start(house)
    for act in (house.service.pause, house.service.mask):
        with pytest.raises(UnsupportedByRecorder):
            await act(ME, begun.id)
    assert house.recorder.asked == [("start", begun.id)]
    assert Capability.PAUSE not in house.recorder.capabilities


async def test_a_recorder_that_refuses_leaves_a_failed_row(house: Installation) -> None:
    house.recorder.refuses = "no disk"
    with pytest.raises(RecorderFailed, match="no disk") as refused:
        await start(house)
    assert refused.value.recording_id is not None
    row = await house.store.load(refused.value.recording_id)
    assert row is not None
    assert (row.state, row.reason, row.active_call) == (State.FAILED, Reason.RECORDER_FAILED, None)


async def test_it_has_an_end_of_its_retention_however_it_ends(house: Installation) -> None:
    account = await house.store.account(ACCOUNT)
    assert account is not None
    await house.store.save_account(replace(account, retention=(Retention(30), Retention(7, "junk"))))
    armed = await start(house, options=RecordingOptions(label="junk", record_on_answer=True))
    assert armed.delete_at == armed.start + 7 * DAY
    stopped = await house.service.stop(ME, armed.id)
    assert (stopped.state, stopped.due_at) == (State.DISCARDED, armed.delete_at)
    assert (await start(house)).delete_at == house.clock.now() + 30 * DAY


# Stop, pause, mask


async def test_a_stop_hands_over_to_the_finalizer(house: Installation) -> None:
    begun = await start(house)
    ended = await house.service.stop(ME, begun.id, "k")
    assert (ended.state, ended.end_cause, ended.due_at) == (State.FINALIZING, EndCause.STOPPED, house.clock.now())
    assert house.woken
    assert (await house.service.stop(ME, begun.id, "k")).id == begun.id
    with pytest.raises(NotRecording):
        await house.service.stop(ME, begun.id)
    assert house.recorder.asked == [("start", begun.id), ("stop", begun.id)]


async def test_a_recorder_that_says_so_first_makes_no_trouble(house: Installation) -> None:
    begun = await start(house)
    original = house.recorder.stop

    async def stop(recording_id: str) -> None:
        await original(recording_id)
        await house.service.on_event(recording_id, Ended(at=house.clock.now(), cause=EndCause.STOPPED))

    house.recorder.stop = stop  # type: ignore[method-assign]
    ended = await house.service.stop(ME, begun.id)
    assert (ended.state, ended.end_cause) == (State.FINALIZING, EndCause.STOPPED)


async def test_a_stop_before_the_answer_discards(house: Installation) -> None:
    armed = await start(house, options=RecordingOptions(record_on_answer=True))
    stopped = await house.service.stop(ME, armed.id)
    assert (stopped.state, stopped.reason) == (State.DISCARDED, Reason.NEVER_STARTED)


async def test_pause_and_mask_leave_spans(house: Installation) -> None:
    begun = await start(house)
    assert (await house.service.pause(ME, begun.id)).state is State.PAUSED
    with pytest.raises(InvalidState):
        await house.service.mask(ME, begun.id)
    house.clock.move(3_000)
    assert (await house.service.resume(ME, begun.id)).state is State.RECORDING
    assert (await house.service.mask(ME, begun.id)).state is State.MASKED
    house.clock.move(2_000)
    unmasked = await house.service.unmask(ME, begun.id)
    assert [(span.kind, span.at_ms, span.duration_ms) for span in unmasked.spans] == [
        (SpanKind.PAUSED, 1_000, 3_000),
        (SpanKind.MASKED, 1_000, 2_000),
    ]


async def test_doing_it_twice_is_fine(house: Installation) -> None:
    begun = await start(house)
    paused = await house.service.pause(ME, begun.id)
    assert await house.service.pause(ME, begun.id) == paused
    resumed = await house.service.resume(ME, begun.id)
    assert await house.service.unmask(ME, begun.id) == resumed


@pytest.mark.parametrize("action", ["stop", "pause", "resume", "mask", "unmask"])
async def test_nothing_of_that_works_on_a_stored_one(house: Installation, action: str) -> None:
    kept = await stored(house)
    with pytest.raises(NotRecording):
        await getattr(house.service, action)(ME, kept.id)
    assert await house.store.load(kept.id) == kept


async def test_a_recorder_that_fails_to_stop_changes_nothing(house: Installation) -> None:
    begun = await start(house)
    house.recorder.refuses = "switch is away"
    with pytest.raises(RecorderFailed, match="switch is away"):
        await house.service.stop(ME, begun.id)
    assert await house.store.load(begun.id) == begun


# Delete and restore


async def test_delete_restore_and_delete_again(house: Installation) -> None:
    kept = await stored(house)
    deleted = await house.service.delete(ME, kept.id, "k")
    assert (deleted.state, deleted.shelf, deleted.purge_at) == (State.TRASHED, Shelf.TRASH, house.clock.now() + DAY)
    assert (await house.service.delete(ME, kept.id, "k")) == deleted
    assert (await house.service.delete(ME, kept.id)) == deleted
    restored = await house.service.restore(ME, kept.id)
    assert (restored.state, restored.media, restored.due_at) == (State.STORED, MEDIA, None)
    with pytest.raises(NotTrashed):
        await house.service.restore(ME, kept.id)
    with pytest.raises(IdempotencyKeyReused):
        await house.service.restore(ME, kept.id, "k")


async def test_why_it_was_deleted_is_kept_with_who_and_when_until_it_is_restored(house: Installation) -> None:
    kept = await stored(house)
    for wrong in ("", "x" * 257):
        with pytest.raises(InvalidInput, match="reason must be a text of 1 to 256 characters"):
            await house.service.delete(ME, kept.id, reason=wrong)
    deleted = await house.service.delete(ME, kept.id, reason="the caller asked for it")
    assert (deleted.trashed_by, deleted.trashed_at) == (ME.name, house.clock.now())
    assert deleted.trashed_reason == "the caller asked for it"
    gone = apply(deleted, Purged(at=house.clock.now()))
    assert (gone.trashed_by, gone.trashed_reason) == (ME.name, "the caller asked for it")
    assert (await house.service.restore(ME, kept.id)).trashed_reason is None


async def test_one_in_progress_is_not_deleted(house: Installation) -> None:
    begun = await start(house)
    with pytest.raises(RecordingInProgress):
        await house.service.delete(ME, begun.id)
    await house.service.stop(ME, begun.id)
    with pytest.raises(RecordingInProgress):
        await house.service.delete(ME, begun.id)


async def test_a_tombstone_is_gone_for_everybody(house: Installation) -> None:
    kept = await stored(house)
    deleted = await house.service.delete(ME, kept.id, window=0)
    assert deleted.due_at == house.clock.now()
    assert await house.store.save(apply(deleted, Purged(at=house.clock.now())), deleted.revision)
    assert await house.service.find(ME, kept.id) is None
    for action in (house.service.restore, house.service.delete, house.service.stop, house.service.listen):
        with pytest.raises(NotFound):
            await action(ME, kept.id)


# Hold, and send again


async def test_a_hold_keeps_a_recording_from_everybody(house: Installation) -> None:
    kept = await stored(house)
    admin = principal(ACCOUNT, *Scope)
    held = await house.service.hold(admin, kept.id, "case 7", "k")
    assert held.hold == Hold("tester", house.clock.now(), "case 7")
    assert (await house.service.hold(admin, kept.id, "case 8")).hold == held.hold
    with pytest.raises(OnHold, match="case 7"):
        await house.service.delete(ME, kept.id)
    with pytest.raises(Forbidden, match="'admin'"):
        await house.service.release(ME, kept.id)
    assert (await house.service.release(admin, kept.id)).hold is None
    assert (await house.service.delete(ME, kept.id)).state is State.TRASHED
    for reason in ("", "x" * 257):
        with pytest.raises(InvalidInput):
            await house.service.hold(admin, kept.id, reason)


async def test_a_delivery_can_be_asked_for_anew(house: Installation) -> None:
    plain = await stored(house)
    with pytest.raises(NotDeliverable):
        await house.service.redeliver(ME, plain.id)
    wanted = await stored(house, options=RecordingOptions(url="https://example.com/in"))
    sent = await house.service.redeliver(ME, wanted.id, "k")
    assert sent.delivery is not None
    assert (sent.delivery.state, sent.due_at) == (DeliveryState.PENDING, house.clock.now())
    assert (await house.service.redeliver(ME, wanted.id, "k")).delivery == sent.delivery
    assert (await house.service.redeliver(ME, wanted.id)).delivery != sent.delivery


# Listen


async def test_only_stored_audio_can_be_heard(house: Installation) -> None:
    begun = await start(house)
    with pytest.raises(MediaUnavailable, match="RECORDING"):
        await house.service.listen(ME, begun.id)
    await house.service.stop(ME, begun.id)
    kept = await stored(house)
    assert (await house.service.listen(ME, kept.id)).media == MEDIA
    await house.service.delete(ME, kept.id)
    with pytest.raises(MediaUnavailable):
        await house.service.listen(ME, kept.id)


# Scopes and bounds


ACTIONS: dict[Scope, list[Callable[[Installation, Principal], Awaitable[Any]]]] = {
    Scope.READ: [
        lambda house, who: house.service.find(who, "x"),
        lambda house, who: house.service.page(who, Query(account_id=ACCOUNT), PageRequest(limit=1)),
        lambda house, who: house.service.count(who, Query(account_id=ACCOUNT)),
        lambda house, who: house.service.calls(who),
        lambda house, who: house.service.active(who, CALL),
    ],
    Scope.LISTEN: [lambda house, who: house.service.listen(who, "x")],
    Scope.CONTROL: [
        start,
        *(lambda house, who, name=name: getattr(house.service, name)(who, "x")
          for name in ("stop", "pause", "resume", "mask", "unmask")),
        lambda house, who: house.service.annotate(who, "x", {}),
        lambda house, who: house.service.redeliver(who, "x"),
    ],
    Scope.ADMIN: [
        lambda house, who: house.service.hold(who, "x", "reason"),
        lambda house, who: house.service.release(who, "x"),
    ],
    Scope.DELETE: [
        lambda house, who: house.service.delete(who, "x"),
        lambda house, who: house.service.restore(who, "x"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("scope", ACTIONS, ids=str)
async def test_each_use_case_needs_its_scope(house: Installation, scope: Scope) -> None:
    without = principal(ACCOUNT, *(set(Scope) - {scope}))
    for action in ACTIONS[scope]:
        with pytest.raises(Forbidden, match=repr(scope.value)):
            await action(house, without)
    assert not house.recorder.asked


async def test_bounds_of_a_page(house: Installation) -> None:
    for limit in (0, MAX_PAGE + 1):
        with pytest.raises(InvalidInput):
            await house.service.page(ME, Query(account_id=ACCOUNT), PageRequest(limit=limit))
    with pytest.raises(InvalidInput):
        await house.service.find_many(ME, ["x"] * (MAX_PAGE + 1))
    with pytest.raises(InvalidInput):
        await house.service.page(ME, Query(account_id=ACCOUNT, shelf=Shelf.GONE), PageRequest(limit=1))
    for key in ("", "x" * 129, "a\nb"):
        with pytest.raises(InvalidInput):
            await start(house, key=key)


async def test_an_owner_sees_its_own_page(house: Installation) -> None:
    await start(house)
    query = Query(account_id=ACCOUNT, order=Order())
    for owner, seen in (("ada", 1), ("bob", 0)):
        who = principal(owner_id=owner)
        assert len((await house.service.page(who, query, PageRequest(limit=10))).rows) == seen
        assert await house.service.count(who, query) == seen
        assert len(await house.service.calls(who)) == seen
    with pytest.raises(NotFound):
        await house.service.page(principal(owner_id="bob"), replace(query, owner_id="ada"), PageRequest(limit=10))


# Races


async def test_a_lost_race_is_run_again(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await stored(house)
    save = house.store.save
    lost: list[int] = []

    async def losing(recording: Recording, expected: int) -> bool:
        if len(lost) < 3:
            lost.append(expected)
            current = await house.store.load(recording.id)
            assert current is not None
            await save(replace(current, revision=current.revision + 1), current.revision)
        return await save(recording, expected)

    monkeypatch.setattr(house.store, "save", losing)
    annotated = await house.service.annotate(ME, kept.id, {"a": 1})
    assert (annotated.user_metadata, annotated.revision) == ({"a": 1}, kept.revision + 4)


async def test_one_that_keeps_changing_is_a_conflict(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await stored(house)

    async def never(_recording: Recording, _expected: int) -> bool:
        return False

    monkeypatch.setattr(house.store, "save", never)
    with pytest.raises(Conflict):
        await house.service.delete(ME, kept.id)


async def test_two_writers_keep_each_others_metadata(house: Installation) -> None:
    kept = await stored(house)
    changes = [{f"key{number}": number} for number in range(6)]
    await asyncio.gather(*(house.service.annotate(ME, kept.id, change) for change in changes))
    cleared = await house.service.annotate(ME, kept.id, {"key0": None})
    assert cleared.user_metadata == {f"key{number}": number for number in range(1, 6)}


@pytest.mark.parametrize(
    "changes", [{"a": float("nan")}, {"a": 2**60}, {"a": "\0"}, {"a": "x" * 20_000}, {"\ud800": 1}, {"a": object()}]
)
async def test_metadata_that_no_store_could_keep_is_refused(house: Installation, changes: dict[str, Any]) -> None:
    kept = await stored(house)
    with pytest.raises(InvalidInput):
        await house.service.annotate(ME, kept.id, changes)
    assert await house.store.load(kept.id) == kept
