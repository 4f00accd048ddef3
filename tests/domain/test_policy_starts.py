"""Recordings that policies start: on a real store, with a recorder that the test controls."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recordings.model.account import Scope
from recordings.model.call import Call, Network
from recordings.model.errors import Conflict, ForbiddenByPolicy, NotRecording, RecorderFailed
from recordings.model.events import Begun, Ended
from recordings.model.policy_trace import ConsentNeed, ConsentState, Fill, PolicySource
from recordings.model.query import PageRequest, Query
from recordings.model.recording import Direction, EndCause, Reason, Recording, State
from recordings.model.recording_policy import Duplicates, Lock, LockKind, PolicyScope
from recordings.ports.recorder import CallChange, CallEvent
from recordings.use_cases.policies import PolicyChange
from recordings.use_cases.policy_reader import FRESH
from recordings.use_cases.start import StartRequest
from tests.support.memory_installation import ACCOUNT, Installation, open_installation, principal

ADMIN = principal(ACCOUNT, Scope.ADMIN, Scope.READ, Scope.CONTROL)
ON = {"any": {"any": {"enabled": True}}}
OFF = {"any": {"any": {"enabled": False}}}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as installation:
        yield installation


async def put(made: Installation, scope: PolicyScope = PolicyScope.ACCOUNT, cells: Any = None, **given: Any) -> None:
    await made.policy.policies.set(ADMIN, PolicyChange(scope=scope, cells=cells, **given))


def ring(made: Installation, call_id: str = "c1", **given: Any) -> Call:
    usual: dict[str, Any] = {
        "direction": Direction.INBOUND,
        "from_network": Network.OFFNET,
        "to_network": Network.ONNET,
    }
    return made.recorder.ring(ACCOUNT, call_id, **usual | given)


async def report(made: Installation, call: Call, change: CallChange = CallChange.ARRIVED) -> None:
    await made.policy.starts.on_change(CallEvent(call, change))


async def recordings(made: Installation) -> list[Recording]:
    page = await made.store.page(Query(account_id=ACCOUNT), PageRequest(limit=100))
    return [Recording.from_row(row) for row in page.rows]


async def only(made: Installation) -> Recording:
    (found,) = await recordings(made)
    return found


async def test_a_call_is_recorded_and_names_the_document_and_the_cell(made: Installation) -> None:
    await put(made, PolicyScope.USER, ON, id="ada")
    await report(made, ring(made, owner_id="ada"))
    found = await only(made)
    assert (found.state, found.origin) == (State.ARMED, "inbound from offnet to endpoint")
    assert found.options.record_on_answer
    assert not found.options.should_follow_transfer
    policy = found.policy
    assert policy is not None
    assert (policy.source, policy.document_id, policy.revision, policy.cell, policy.fill, policy.reasons) == (
        PolicySource.USER, "ada", 1, "inbound.offnet", Fill.INHERIT, ("user.inbound.offnet",)
    )  # fmt: skip


async def test_a_call_without_a_policy_is_not_recorded(made: Installation) -> None:
    await report(made, ring(made))
    assert await recordings(made) == []


async def test_the_owner_of_a_device_is_its_user(made: Installation) -> None:
    await put(made, PolicyScope.USER, ON, id="ada")
    await made.policy.policies.put_body(ADMIN, PolicyScope.DEVICE.kind, {"owner_id": "ada"}, "phone")
    await report(made, ring(made, endpoint_id="phone"))
    assert (await only(made)).endpoint_id == "phone"


async def test_a_change_that_is_reported_again_starts_nothing_twice(made: Installation) -> None:
    await put(made, cells=ON)
    call = ring(made)
    await asyncio.gather(*(report(made, call) for _ in range(8)))
    await report(made, call, CallChange.ANSWERED)
    found = await only(made)
    assert found.state is State.RECORDING
    # A client stops it: the next evaluation of the same call does not start it again.
    await made.service.stop(principal(), found.id)
    await report(made, call, CallChange.ANSWERED)
    assert (await only(made)).state is State.FINALIZING


async def test_a_later_call_with_the_same_id_is_recorded_again(made: Installation) -> None:
    await put(made, cells=ON)
    await report(made, ring(made))
    await made.service.stop(principal(), (await only(made)).id)
    made.clock.move(1_000)
    await report(made, ring(made))
    assert len(await recordings(made)) == 2


async def test_a_call_that_a_client_records_has_no_second_recording(made: Installation) -> None:
    await put(made, cells=ON)
    call = ring(made)
    await made.service.start(principal(), StartRequest(call_id="c1"))
    await report(made, call)
    assert (await only(made)).policy is None


async def test_a_policy_set_between_arrival_and_answer_records_the_call(made: Installation) -> None:
    call = ring(made)
    await report(made, call)
    await put(made, cells=ON)
    await report(made, call, CallChange.ANSWERED)
    assert (await only(made)).state is State.RECORDING


async def test_bar_10_a_change_takes_effect_within_a_second_on_every_server(made: Installation, tmp_path: Path) -> None:
    assert FRESH < 1_000
    async with open_installation(tmp_path) as other:
        await report(other, ring(other))
        await put(made, cells=ON)
        await report(other, ring(other, "c2"))
        assert await recordings(other) == []
        other.clock.move(FRESH)
        await report(other, ring(other, "c3"))
        assert (await only(other)).call_id == "c3"


async def test_separate_recordings_of_one_call(made: Installation) -> None:
    await put(made, cells=ON, duplicates=Duplicates.SEPARATE)
    await put(made, PolicyScope.USER, ON, id="ada")
    call = ring(made, owner_id="ada")
    for change in (CallChange.ARRIVED, CallChange.ANSWERED):
        await report(made, call, change)
    origins = {found.origin for found in await recordings(made)}
    assert origins == {"inbound from offnet to account", "inbound from offnet to endpoint"}
    assert len(await recordings(made)) == 2


# Requests of the sender


async def test_a_sender_can_ask_to_record_a_call_or_not(made: Installation) -> None:
    await report(made, ring(made, record=True))
    found = await only(made)
    assert (found.state, found.origin) == (State.RECORDING, "inbound from 1001 to +14155550123")
    assert found.policy is not None
    assert (found.policy.source, found.policy.reasons) == (PolicySource.REQUEST, ("request",))
    await put(made, cells=ON)
    await report(made, ring(made, "c2", record=False))
    assert len(await recordings(made)) == 1


# Locks


async def test_bar_6_a_call_under_never_is_refused_with_one_audit_row(made: Installation) -> None:
    await put(made, cells=ON, locks=(Lock(LockKind.NEVER),))
    call = ring(made, record=True)
    made.audit.entries.clear()
    made.audit.details.clear()
    with pytest.raises(ForbiddenByPolicy, match="lock NEVER"):
        await made.policy.starts.admit(call)
    assert made.audit.refusals == [("forbid_call", "c1")]
    assert made.audit.details[0]["decision"] == "DO_NOT_RECORD"
    await report(made, call)
    assert (await recordings(made), made.recorder.commands) == ([], [])


async def test_no_client_records_a_call_under_never(made: Installation) -> None:
    await put(made, locks=(Lock(LockKind.NEVER, exceptions=("1001",)), Lock(LockKind.NEVER, numbers=("112",))))
    ring(made, caller_id_number="112")
    with pytest.raises(ForbiddenByPolicy):
        await made.service.start(principal(), StartRequest(call_id="c1"))
    ring(made, "c2", caller_id_number="1001")
    await made.service.start(principal(), StartRequest(call_id="c2"))


async def test_no_client_stops_a_recording_under_force(made: Installation) -> None:
    await put(made, locks=(Lock(LockKind.FORCE),))
    await report(made, ring(made, record=False))
    found = await only(made)
    assert found.policy is not None
    assert (found.policy.source, found.policy.locked) == (PolicySource.LOCK, True)
    with pytest.raises(ForbiddenByPolicy):
        await made.service.stop(principal(), found.id)
    assert made.recorder.commands == [("start", found.id)]


# Consent


async def test_a_take_waits_for_consent(made: Installation) -> None:
    await put(made, cells=ON, consent=ConsentNeed.ALL_PARTIES)
    await report(made, ring(made))
    waiting = await only(made)
    assert (waiting.state, made.recorder.commands) == (State.ARMED, [])
    assert waiting.consent is not None
    assert (waiting.consent.need, waiting.consent.state) == (ConsentNeed.ALL_PARTIES, ConsentState.WAITING)
    begun = await made.policy.consents.answer(principal(), waiting.id, given=True, key="k")
    assert (begun.state, made.recorder.commands) == (State.RECORDING, [("start", waiting.id)])
    again = await made.policy.consents.answer(principal(), waiting.id, given=True, key="k")
    assert again == begun
    assert again.consent is not None
    assert (again.consent.state, again.consent.by) == (ConsentState.GIVEN, "tester")


async def test_refused_consent_discards_a_waiting_take(made: Installation) -> None:
    await put(made, cells=ON, consent=ConsentNeed.NOTICE)
    await report(made, ring(made))
    refused = await made.policy.consents.answer(principal(), (await only(made)).id, given=False)
    assert (refused.state, refused.reason) == (State.DISCARDED, Reason.NO_CONSENT)
    with pytest.raises(NotRecording):
        await made.policy.consents.answer(principal(), refused.id, given=True)


async def test_refused_consent_ends_a_take_in_progress(made: Installation) -> None:
    await put(made, cells=ON)
    await report(made, ring(made))
    refused = await made.policy.consents.answer(principal(), (await only(made)).id, given=False)
    # The finalizer then deletes the audio: see tests/faults/test_upkeep_faults.py.
    assert refused.state is State.FINALIZING
    assert refused.consent is not None
    assert refused.consent.state is ConsentState.REFUSED


@pytest.mark.parametrize(
    ("consent", "state", "reason"),
    [(True, State.RECORDING, None), (False, State.DISCARDED, Reason.NO_CONSENT), (None, State.ARMED, None)],
)
async def test_the_sender_can_report_the_consent(
    made: Installation, consent: bool | None, state: State, reason: Reason | None
) -> None:
    await put(made, cells=ON, consent=ConsentNeed.ALL_PARTIES)
    await report(made, ring(made, consent=consent))
    found = await only(made)
    assert (found.state, found.reason) == (state, reason)


async def test_a_call_that_ends_before_the_consent_leaves_a_discarded_recording(made: Installation) -> None:
    await put(made, cells=ON, consent=ConsentNeed.ALL_PARTIES)
    call = ring(made)
    await report(made, call)
    await report(made, call, CallChange.ENDED)
    found = await only(made)
    assert (found.state, found.reason, found.end_cause) == (State.DISCARDED, Reason.NO_CONSENT, EndCause.HANGUP)


async def test_a_recorder_that_fails_on_consent_keeps_the_take_waiting(made: Installation) -> None:
    await put(made, cells=ON, consent=ConsentNeed.ALL_PARTIES)
    await report(made, ring(made))
    made.recorder.refusal = "the disk is full"
    with pytest.raises(RecorderFailed):
        await made.policy.consents.answer(principal(), (await only(made)).id, given=True, key="k")
    made.recorder.refusal = ""
    assert (
        await made.policy.consents.answer(principal(), (await only(made)).id, given=True, key="k")
    ).state is State.RECORDING


# Legs, servers and changes


async def test_bar_8_each_leg_has_a_plan_of_its_own(made: Installation) -> None:
    await put(made, PolicyScope.USER, ON, id="ada")
    first = ring(made, "leg1", owner_id="ada", interaction_id="talk")
    await report(made, first)
    await report(made, ring(made, "leg2", owner_id="bob", interaction_id="talk"))
    assert [found.call_id for found in await recordings(made)] == ["leg1"]
    await put(made, PolicyScope.USER, ON, id="bob")
    await report(made, ring(made, "leg3", owner_id="bob", interaction_id="talk"))
    assert sorted(found.call_id for found in await recordings(made)) == ["leg1", "leg3"]


async def test_a_call_that_comes_back_on_another_server_is_tried_again_until_the_old_recording_ends(
    made: Installation,
) -> None:
    await put(made, cells=ON)
    await report(made, ring(made))
    old = await only(made)
    await made.store.save(replace(old, node="m" * 32, revision=old.revision + 1), old.revision)
    made.clock.move(5_000)
    call = ring(made)
    with pytest.raises(Conflict):
        await report(made, call)
    await made.service.on_event(old.id, Ended(at=made.clock.now(), cause=EndCause.DISCONNECTED))
    await report(made, call)
    assert sorted(found.state for found in await recordings(made)) == [State.FINALIZING, State.RECORDING]


async def test_bar_9_a_change_under_100_live_calls_loses_and_repeats_nothing(
    made: Installation, tmp_path: Path
) -> None:
    """Two servers share the store. The policy changes while the calls arrive and are answered."""
    async with open_installation(tmp_path) as other:
        await put(made, cells=ON)

        async def one(number: int) -> None:
            server = (made, other)[number % 2]
            call = ring(server, f"c{number}")
            for change in (CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ANSWERED):
                await report(server, call, change)
                server.clock.move(FRESH // 4)

        async def change_policy() -> None:
            for number in range(10):
                cells = {"any": {"any": {"enabled": True, "time_limit": 60 + number}}}
                await put((made, other)[number % 2], cells=cells)

        await asyncio.gather(change_policy(), *map(one, range(100)))
    rows: list[Recording] = await recordings(made)
    assert sorted(found.call_id for found in rows) == sorted(f"c{number}" for number in range(100))
    assert {found.state for found in rows} == {State.RECORDING}
    starts = [*made.recorder.commands, *other.recorder.commands]
    assert len(starts) == len(set(starts)) == 100


async def test_a_change_can_be_applied_to_live_calls_at_once(made: Installation) -> None:
    await put(made, cells=ON)
    await report(made, ring(made))
    ring(made, "c2", record=True)
    await made.policy.starts.apply_now(ACCOUNT)
    assert {found.state for found in await recordings(made)} == {State.RECORDING}
    await put(made, cells=OFF)
    await made.policy.starts.apply_now(ACCOUNT)
    states = {found.call_id: found.state for found in await recordings(made)}
    assert states == {"c1": State.FINALIZING, "c2": State.RECORDING}


async def test_a_begun_take_without_consent_never_begins_late(made: Installation) -> None:
    await put(made, cells=ON, consent=ConsentNeed.ALL_PARTIES)
    await report(made, ring(made))
    refused = await made.policy.consents.answer(principal(), (await only(made)).id, given=False)
    late = await made.service.on_event(refused.id, Begun(at=made.clock.now()))
    assert late is not None
    assert late.state is State.DISCARDED
