"""The ten traps of FreeSWITCH's recordings. Each was measured on a real FreeSWITCH 1.10.12; the double has them too."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.recorders.freeswitch import esl_switch
from recordings.model.events import Armed, Begun, Discarded, Ended, Lost
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import Take
from tests.contract.recorders.esl_plants import EslDoublePlant
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


async def cause_of(said: Listener, take: Take) -> EndCause:
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    return end.cause


async def test_trap_1_a_stop_and_the_limit_have_the_same_completion_cause(
    plant: EslDoublePlant, said: Listener
) -> None:
    await ring(plant, "one")
    stopped = await begin(plant, "one", 1)
    await plant.recorder.stop(stopped.recording_id)
    limited = await begin(plant, "one", 2, time_limit=5)
    plant.pass_time(6)
    assert plant.bugs == 0
    by_others = await begin(plant, "one", 3)
    plant.double.execute("uuid_record one stop all")
    assert await cause_of(said, stopped) is EndCause.STOPPED
    assert await cause_of(said, limited) is EndCause.TIME_LIMIT
    assert await cause_of(said, by_others) is EndCause.STOPPED
    hung_up = await begin(plant, "one", 4)
    await plant.hang_up("one")
    assert await cause_of(said, hung_up) is EndCause.HANGUP


async def test_trap_2_the_variable_of_a_discarded_take_stays_on_the_channel(
    plant: EslDoublePlant, said: Listener
) -> None:
    await ring(plant, "one")
    empty = take_on(plant, "one", 1)
    await plant.recorder.start(empty)
    await plant.recorder.stop(empty.recording_id)
    await said.until(lambda: len(said.of(empty.recording_id)) > 1)
    (_, discarded) = said.of(empty.recording_id)
    assert isinstance(discarded, Discarded)
    assert discarded.reason is Reason.EMPTY
    assert plant.double.calls.channels["one"].variables["RECORD_DISCARDED"] == "true"
    good = await begin(plant, "one", 2)
    await plant.recorder.stop(good.recording_id)
    assert await cause_of(said, good) is EndCause.STOPPED
    assert (await plant.heard(good)).seconds > 0.4


async def test_trap_3_the_lengths_of_two_takes_are_those_of_their_files(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    first = await begin(plant, "one", 1)
    second = await begin(plant, "one", 2)
    plant.double.calls.advance(1)
    await plant.recorder.stop(second.recording_id)
    plant.double.calls.advance(1)
    await plant.recorder.stop(first.recording_id)
    assert (await plant.heard(first)).seconds >= 2.9
    assert 1.4 <= (await plant.heard(second)).seconds < 2.4


async def test_trap_4_a_take_is_never_appended_so_it_is_short_for_the_finalizer_too(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    # As in a dialplan of Kazoo.
    plant.double.calls.channels["one"].variables["RECORD_APPEND"] = "true"
    take = await begin(plant, "one", record_min_sec=5)
    await plant.recorder.stop(take.recording_id)
    (start,) = plant.commands("uuid_record one start")
    assert "RECORD_APPEND=false" in start
    assert 0.4 < (await plant.heard(take)).seconds < 5


async def test_trap_5_the_switch_does_not_discard_takes_that_it_counts_as_too_short(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    plant.double.calls.channels["one"].variables["RECORD_MIN_SEC"] = "3"
    take = await begin(plant, "one", record_min_sec=2, record_sample_rate=16_000)
    plant.double.calls.advance(2)
    await plant.recorder.stop(take.recording_id)
    sound = await plant.heard(take)
    assert sound.rate == 16_000
    assert sound.seconds > 2.4


async def test_trap_6_the_pre_buffer_loses_no_half_second(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    take = take_on(plant, "one")
    await plant.recorder.start(take)
    plant.double.calls.advance(2)
    await plant.recorder.stop(take.recording_id)
    assert (await plant.heard(take)).seconds >= 1.98


async def test_trap_7_the_limit_of_the_switch_comes_after_ours(plant: EslDoublePlant) -> None:
    await ring(plant, "one")
    take = take_on(plant, "one", time_limit=5)
    await plant.recorder.start(take)
    # FreeSWITCH compares whole seconds: its limit of 5 would come after 4 to 5 seconds.
    plant.double.calls.advance(4.99)
    assert plant.bugs == 1
    await plant.recorder.stop(take.recording_id)
    assert (await plant.heard(take)).seconds > 4.9


async def test_trap_8_a_take_that_waits_for_the_answer_starts_after_it(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.calls.ring("one", answered=False)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    assert isinstance(await plant.recorder.start(take), Armed)
    plant.double.calls.advance(10)
    assert not plant.commands("uuid_record one start")
    plant.double.calls.answer("one")
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))
    plant.double.calls.advance(1)
    await plant.recorder.stop(take.recording_id)
    assert (await plant.heard(take)).seconds < 10
    (start,) = plant.commands("uuid_record one start")
    assert "RECORD_ANSWER_REQ=false" in start


@pytest.mark.parametrize("lost", [{"RECORD_STOP"}, {"RECORD_STOP", "CHANNEL_HANGUP_COMPLETE"}])
async def test_trap_9_the_event_of_the_end_may_never_come(
    plant: EslDoublePlant, said: Listener, lost: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esl_switch, "COMPARE", 0.05)
    monkeypatch.setattr(esl_switch, "WATCH", 0.02)
    for call_id in ("ends", "stopped"):
        await ring(plant, call_id)
    plant.double.dropped = lost
    ended, stopped = await begin(plant, "ends", 1), await begin(plant, "stopped", 2)
    await plant.hang_up("ends")
    plant.double.execute("uuid_record stopped stop all")
    await plant.lose_connection()
    assert await cause_of(said, ended) is EndCause.HANGUP
    assert await cause_of(said, stopped) is EndCause.STOPPED
    for take in (ended, stopped):
        assert (await plant.heard(take)).seconds > 0.4
    # The same without a new connection.
    again = await begin(plant, "stopped", 3)
    plant.double.execute("uuid_record stopped stop all")
    assert await cause_of(said, again) is EndCause.STOPPED


async def test_trap_10_after_a_restart_of_the_switch_takes_are_lost_or_have_their_files(
    plant: EslDoublePlant, said: Listener
) -> None:
    for call_id in ("kept", "gone"):
        await ring(plant, call_id)
    kept, gone = await begin(plant, "kept", 1), await begin(plant, "gone", 2)
    await plant.double.stop()
    plant.double.calls.crash()
    (plant.folder / f"{gone.recording_id}.wav").unlink()
    plant.pass_time(30)
    plant.double.calls.restart()
    await plant.double.start()
    assert await cause_of(said, kept) is EndCause.DISCONNECTED
    assert (await plant.heard(kept)).seconds > 0.4
    lost = await said.end_of(gone)
    assert isinstance(lost, Lost)
    assert lost.reason is Reason.SWITCH_RESTARTED
    assert not plant.recorder.live_calls()
    await until(lambda: _is(plant.files() == 0))


async def test_an_uptime_of_49_days_is_no_restart(plant: EslDoublePlant, said: Listener) -> None:
    """The switch prints 32 bits of its uptime: in milliseconds, it begins again with 0."""
    plant.double.calls.started = plant.double.calls.now() - (1 << 32) / 1_000 + 60
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.pass_time(120)
    await plant.lose_connection()
    await until(lambda: _is(len(plant.commands("uptime")) == 2))
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    await plant.hang_up("one")
    assert await cause_of(said, take) is EndCause.HANGUP


async def test_trap_10_also_after_a_restart_of_both(plant: EslDoublePlant) -> None:
    await ring(plant, "gone")
    take = await begin(plant, "gone")
    begun = replace(take, begun=plant.clock.now())
    await plant.disconnect()
    await plant.double.stop()
    plant.double.calls.crash()
    (plant.folder / f"{take.recording_id}.wav").unlink()
    plant.pass_time(30)
    plant.double.calls.restart()
    await plant.double.start()
    plant.recorder = await plant.connect([begun])
    async with listening(plant.recorder) as later:
        lost = await later.end_of(take)
    assert isinstance(lost, Lost)
    assert lost.reason is Reason.SWITCH_RESTARTED


async def _is(value: bool) -> bool:
    return value
