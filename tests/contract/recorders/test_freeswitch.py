"""The recorder of FreeSWITCH: starts, ends, transfers and calls, also when the switch misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.recorders.freeswitch import esl_switch, freeswitch_recorder
from recordings.model.call import Network
from recordings.model.events import Armed, Begun, Ended, Failed
from recordings.model.recording import Direction, EndCause, Reason
from recordings.ports.recorder import CallChange, TakeRefused
from tests.contract.recorders.esl_double_calls import LEFT, RIGHT
from tests.contract.recorders.esl_plants import OTHER_ACCOUNT, EslDoublePlant
from tests.contract.recorders.plants import ACCOUNT
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[EslDoublePlant]:
    async with EslDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: EslDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def is_empty(plant: EslDoublePlant) -> bool:
    """Return true if the switch has no recording and no file."""
    return plant.bugs == 0 and plant.files() == 0


def began(said: Listener, recording_id: str) -> bool:
    return any(isinstance(each, Begun) for each in said.of(recording_id))


# Starts


async def test_a_start_that_the_switch_only_acknowledges_fails_and_is_undone(
    plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeswitch_recorder, "START_DEADLINE", 0.1)
    await ring(plant, "one")
    plant.double.calls.no_record_start = True
    with pytest.raises(TakeRefused, match="did not report") as refused:
        await plant.recorder.start(take_on(plant, "one"))
    assert refused.value.reason is Reason.NO_START
    assert await is_empty(plant)
    plant.double.calls.no_record_start = False
    await begin(plant, "one")


async def test_a_start_after_the_deadline_is_undone(plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeswitch_recorder, "START_DEADLINE", 0.1)
    monkeypatch.setattr(freeswitch_recorder, "UNDO_DEADLINE", 0.1)
    await ring(plant, "one")
    plant.double.slow["api uuid_record one start"] = 0.5
    take = take_on(plant, "one")
    with pytest.raises(TakeRefused):
        await plant.recorder.start(take)
    assert not await plant.recorder.is_open(take.recording_id)
    await until(lambda: _is(len(plant.commands("uuid_record one stop")) > 0))
    await until(lambda: is_empty(plant))


async def test_a_late_report_of_a_start_is_undone(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    channel = plant.double.calls.channels["one"]
    recording_id = take_on(plant, "one").recording_id
    path = str(plant.folder / f"{recording_id}.wav")
    plant.double.calls.record(channel, path, 0, {"recording_id": recording_id})
    await until(lambda: is_empty(plant))


async def test_a_recording_without_a_take_is_stopped_after_a_connection(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    channel = plant.double.calls.channels["one"]
    alien = plant.root / "other.wav"
    plant.double.calls.record(channel, str(alien), 0, {})
    await plant.disconnect()
    recording_id = take_on(plant, "one").recording_id
    plant.double.calls.record(channel, str(plant.folder / f"{recording_id}.wav"), 0, {"recording_id": recording_id})
    assert plant.bugs == 2
    plant.recorder = await plant.connect()
    await until(lambda: _is(plant.files() == 0 and plant.bugs == 1))
    assert str(alien) in channel.recordings


async def test_a_hang_up_during_a_start_leaves_nothing(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    plant.double.slow["api uuid_record one start"] = 0.2
    starting = asyncio.create_task(plant.recorder.start(take_on(plant, "one")))
    await until(lambda: _is(len(plant.commands("uuid_record one start")) > 0))
    await plant.hang_up("one")
    with pytest.raises(TakeRefused, match="has ended"):
        await starting
    await until(lambda: is_empty(plant))


async def test_a_lost_connection_during_a_start_leaves_nothing(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    plant.double.dropped = {"RECORD_START"}
    starting = asyncio.create_task(plant.recorder.start(take_on(plant, "one")))
    await until(lambda: _is(plant.bugs == 1))
    plant.double.dropped = set()
    await plant.lose_connection()
    with pytest.raises(TakeRefused):
        await starting
    await until(lambda: is_empty(plant))


async def test_a_cancelled_start_leaves_nothing(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    plant.double.dropped = {"RECORD_START"}
    starting = asyncio.create_task(plant.recorder.start(take_on(plant, "one")))
    await until(lambda: _is(plant.bugs == 1))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await until(lambda: is_empty(plant))


async def test_a_switch_that_cannot_write_says_why(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    plant.folder.rmdir()
    with pytest.raises(TakeRefused, match="may FreeSWITCH write there"):
        await plant.recorder.start(take_on(plant, "one"))


async def test_two_hundred_takes_of_one_call_leave_nothing(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    for number in range(200):
        take = await begin(plant, "one", number)
        await plant.recorder.stop(take.recording_id)
    await said.until(lambda: isinstance(said.of(take.recording_id)[-1], Ended))
    assert await is_empty(plant)


async def test_doubled_events_change_nothing(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.doubled = set(esl_switch.EVENTS)
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.hang_up("one")
    await said.end_of(take)
    await said.until(lambda: CallChange.ENDED in said.changes("one"))
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]


async def test_a_late_event_does_not_bring_a_call_back(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    channel = plant.double.calls.channels["one"]
    await plant.hang_up("one")
    channel.is_ending = False
    plant.double.emit("CHANNEL_ANSWER", channel, {})
    await ring(plant, "two")
    assert [call.call_id for call in plant.recorder.live_calls()] == ["two"]


# Waits


async def test_a_take_waits_for_the_bridge(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    plant.double.calls.ring("leg", originator="one", direction="outbound")
    take = take_on(plant, "one", record_on_bridge=True)
    assert isinstance(await plant.recorder.start(take), Armed)
    plant.double.calls.bridge("one", "leg")
    await said.until(lambda: began(said, take.recording_id))
    await plant.recorder.stop(take.recording_id)


async def test_a_call_without_audio_is_not_answered_early(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.calls.ring("one", answered=False, is_ringing=True)
    plant.double.calls.ring("early", answered=False)
    for call_id in ("one", "early"):
        await until(lambda call_id=call_id: plant.recorder.find_call(ACCOUNT, call_id))  # type: ignore[misc]
    assert isinstance(await plant.recorder.start(take_on(plant, "early", 2)), Begun)
    take = take_on(plant, "one", 1)
    assert isinstance(await plant.recorder.start(take), Armed)
    plant.double.calls.answer("one")
    await said.until(lambda: began(said, take.recording_id))
    assert not plant.double.calls.pre_answered


async def test_a_call_that_is_never_answered_ends_the_take(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert [type(each) for each in said.of(take.recording_id)] == [Ended]


async def test_an_answered_call_that_cannot_be_recorded_fails(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    plant.folder.rmdir()
    plant.double.calls.answer("one")
    await said.until(lambda: bool(said.of(take.recording_id)))
    (failed,) = said.of(take.recording_id)
    assert isinstance(failed, Failed)


async def test_an_armed_take_of_another_process_begins_at_the_answer(plant: EslDoublePlant) -> None:
    plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    await plant.disconnect()
    plant.double.calls.answer("one")
    plant.recorder = await plant.connect([take])
    async with listening(plant.recorder) as later:
        await later.until(lambda: began(later, take.recording_id))
        await plant.recorder.stop(take.recording_id)


async def test_an_armed_take_survives_a_loss_of_the_connection_at_its_start(
    plant: EslDoublePlant, said: Listener
) -> None:
    plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    plant.double.dropped = {"RECORD_START"}
    plant.double.calls.answer("one")
    await until(lambda: _is(plant.bugs == 1))
    await plant.lose_connection()
    await said.until(lambda: began(said, take.recording_id))
    plant.double.calls.advance(1)
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert (await plant.heard(take)).seconds > 0.9
    assert len(plant.commands("uuid_record one start")) == 1


# Audio


@pytest.mark.parametrize(("direction", "sides"), [("inbound", (LEFT, RIGHT)), ("outbound", (RIGHT, LEFT))])
async def test_the_caller_is_on_the_left(plant: EslDoublePlant, direction: str, sides: tuple[int, int]) -> None:
    plant.double.calls.ring("one", direction=direction)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = await begin(plant, "one")
    plant.double.calls.advance(0.5)
    await plant.recorder.stop(take.recording_id)
    sound = await plant.heard(take)
    assert [sound.pitch(side) for side in (0, 1)] == [pytest.approx(each, abs=3) for each in sides]


async def test_a_pause_is_cut_out_and_a_mask_is_silence(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    take = take_on(plant, "one")
    recording_id = take.recording_id
    await plant.recorder.start(take)
    plant.pass_time(1)
    assert 1_000 <= await plant.recorder.pause(recording_id) < 2_000
    plant.pass_time(10)
    assert 1_000 <= await plant.recorder.pause(recording_id) < 2_000
    assert 10_000 <= (await plant.recorder.resume(recording_id) or 0) < 11_000
    plant.pass_time(1)
    at = await plant.recorder.mask(recording_id)
    assert 2_000 <= at < 3_000
    with pytest.raises(TakeRefused, match="another interruption"):
        await plant.recorder.pause(recording_id)
    with pytest.raises(TakeRefused, match="another interruption"):
        await plant.recorder.resume(recording_id)
    plant.pass_time(1)
    assert 1_000 <= (await plant.recorder.unmask(recording_id) or 0) < 2_000
    plant.pass_time(1)
    await plant.recorder.stop(recording_id)
    sound = await plant.heard(take)
    assert 3.9 < sound.seconds < 5
    middle = sound.samples[int((at / 1_000 + 0.4) * sound.rate) :][: sound.rate // 10]
    assert not middle.any()
    assert sound.samples[-sound.rate // 10 :].any()


# Calls


async def test_a_call_has_the_data_of_its_channel(plant: EslDoublePlant) -> None:
    variables = {
        "recordings_owner_id": "ada",
        "recordings_network": "offnet",
        "recordings_campaign": "spring, 1",
        "ecallmgr_Authorizing-ID": "dev1",
        "ecallmgr_Reseller-ID": "r1",
        "other": "x",
    }
    plant.double.calls.ring("one", variables=variables)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    (call,) = plant.recorder.live_calls()
    assert (call.from_, call.to, call.caller_id_name) == ("1001", "1002", "Outbound Call")
    assert (call.owner_id, call.endpoint_id, call.direction) == ("ada", "dev1", Direction.INBOUND)
    assert (call.from_network, call.to_network) == (Network.OFFNET, Network.ONNET)
    others = {"campaign": "spring, 1", "Authorizing-ID": "dev1", "Reseller-ID": "r1"}
    assert dict(call.custom_channel_vars) == others
    await plant.restart_recorder([])
    assert plant.recorder.live_calls() == [call]


async def test_a_call_states_its_account(plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    own = plant.url()
    monkeypatch.setattr(plant, "url", lambda: f"{own}&account={OTHER_ACCOUNT}")
    await plant.restart_recorder([])
    plant.double.calls.ring("none", answered=False)
    plant.double.calls.ring("wrong", variables={"recordings_account": "c" * 32})
    plant.double.calls.ring("kazoo", variables={"ecallmgr_Account-ID": OTHER_ACCOUNT})
    await until(lambda: plant.recorder.find_call(OTHER_ACCOUNT, "kazoo"))
    assert len(plant.recorder.live_calls()) == 1
    # The dialplan sets the variable after the call arrived.
    plant.double.calls.channels["none"].variables["recordings_account"] = ACCOUNT
    plant.double.calls.answer("none")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "none"))


async def test_variables_of_the_dialplan_are_known_at_the_answer(plant: EslDoublePlant, said: Listener) -> None:
    channel = plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    channel.variables["recordings_owner_id"] = "ada"
    plant.double.calls.answer("one")
    await said.until(lambda: CallChange.ANSWERED in said.changes("one"))
    (call,) = plant.recorder.live_calls()
    assert call.owner_id == "ada"
    answered: Any = said.events[-1]
    assert answered.call == call


async def test_calls_of_dropped_events_are_found(plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esl_switch, "COMPARE", 0.05)
    monkeypatch.setattr(esl_switch, "WATCH", 0.02)
    await plant.restart_recorder([])
    plant.double.calls.ring("quiet", quiet=True)
    plant.double.calls.ring("restricted", quiet=True)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "quiet"))
    # The database of the switch is some time late.
    plant.double.unlisted = {"quiet"}
    await until(lambda: _is(len(plant.commands("uuid_exists quiet")) > 1))
    assert await plant.recorder.find_call(ACCOUNT, "quiet") is not None
    plant.double.calls.hang_up("quiet", quiet=True)
    await until(lambda: _gone(plant, "quiet"))


async def test_a_switch_with_few_commands_still_records(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.unknown = {"uptime", "global_getvar", "strepoch", "uuid_dump", "uuid_buglist"}
    plant.double.calls.ring("before", quiet=True)
    await plant.lose_connection()
    await until(lambda: plant.recorder.find_call(ACCOUNT, "before"))
    await until(lambda: _is(plant.recorder.state.value == "READY"))  # type: ignore[attr-defined]
    take = await begin(plant, "before")
    await plant.hang_up("before")
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.HANGUP


async def _is(value: bool) -> bool:
    return value


async def _gone(plant: EslDoublePlant, call_id: str) -> bool:
    return await plant.recorder.find_call(ACCOUNT, call_id) is None
