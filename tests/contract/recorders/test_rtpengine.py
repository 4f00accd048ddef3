"""The recorder of rtpengine: what goes wrong there, and the audio of a real one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.recorders.rtpengine import ng_client, rtpengine_recorder
from adapters.recorders.rtpengine.ng_client import NgClient
from graph.server.system_clock import SystemClock
from recordings.model.events import Armed, Begun, Ended, Failed, Lost
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import CallChange, Capability, TakeRefused
from tests.contract.recorders.ng_plants import NgDoublePlant, RealNgPlant
from tests.contract.recorders.plants import ACCOUNT, NAME
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until
from tests.servers.rtpengine import RtpCall
from tests.support.tones import RATE, alaw_tone, signal_to_noise, stereo_samples


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[NgDoublePlant]:
    async with NgDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: NgDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def test_a_start_without_a_file_fails_and_is_undone(
    plant: NgDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtpengine_recorder, "START_DEADLINE", 0.05)
    plant.double.no_files = True
    await ring(plant, "one")
    with pytest.raises(TakeRefused, match="is its --recording-dir shared") as refused:
        await plant.recorder.start(take_on(plant, "one"))
    assert refused.value.reason is Reason.NO_START
    assert plant.double.commands.count("stop recording") == 1
    plant.double.no_files = False
    await begin(plant, "one")


async def test_an_ended_take_without_a_file_is_lost(plant: NgDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    for path in (plant.folder / "pcaps").iterdir():
        path.unlink()
    plant.double.recording.clear()
    with pytest.raises(TakeRefused, match="has no file"):
        await plant.recorder.stop(take.recording_id)
    end = await said.end_of(take)
    assert isinstance(end, Lost)
    assert end.reason is Reason.NO_FILE


async def test_a_file_that_a_crash_left_without_metadata_is_used(plant: NgDoublePlant) -> None:
    plant.double.no_metadata = True
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.restart_recorder([replace(take, begun=SystemClock().now())])
    async with listening(plant.recorder) as later:
        await plant.hang_up("one")
        assert isinstance(await later.end_of(take), Ended)
    assert await plant.spool.audio(take.recording_id) is not None


async def test_only_one_take_of_a_call_at_a_time(plant: NgDoublePlant) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one", 1)
    with pytest.raises(TakeRefused, match="only once at a time"):
        await plant.recorder.start(take_on(plant, "one", 2))
    await plant.recorder.stop(take.recording_id)
    again = await begin(plant, "one", 2)
    await plant.recorder.stop(again.recording_id)
    assert await plant.spool.audio(again.recording_id) is not None


async def test_a_take_waits_for_the_answer(plant: NgDoublePlant, said: Listener) -> None:
    plant.double.ring("one", tags=1)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    assert isinstance(await plant.recorder.start(take), Armed)
    assert "start recording" not in plant.double.commands
    plant.double.ring("one", tags=2)
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED]
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)


async def test_a_call_that_is_never_answered_ends_the_take(plant: NgDoublePlant, said: Listener) -> None:
    plant.double.ring("one", tags=1)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    await plant.hang_up("one")
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert [type(each) for each in said.of(take.recording_id)] == [Ended]


async def test_an_answered_call_without_a_file_fails(
    plant: NgDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtpengine_recorder, "START_DEADLINE", 0.05)
    plant.double.no_files = True
    plant.double.ring("one", tags=1)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    plant.double.ring("one", tags=2)
    await said.until(lambda: bool(said.of(take.recording_id)))
    (failed,) = said.of(take.recording_id)
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.NO_START


async def test_a_release_that_can_pause_has_masks(tmp_path: Path) -> None:
    async with NgDoublePlant(tmp_path) as plant:
        assert Capability.MASK not in plant.recorder.capabilities_of(NAME)
        plant.double.pauses = True
        await plant.restart_recorder([])
        assert Capability.MASK in plant.recorder.capabilities_of(NAME)
        await ring(plant, "one")
        take = await begin(plant, "one")
        assert await plant.recorder.mask(take.recording_id) >= 0
        assert plant.double.commands.count("pause recording") == 3
        assert await plant.recorder.unmask(take.recording_id) is not None
        await plant.recorder.stop(take.recording_id)


@pytest.mark.parametrize("garbage", [b"", b"x", b"\xff" * 100, b"0 d6:result2:oke"])
async def test_garbage_is_a_lost_connection_and_no_take_ends(
    plant: NgDoublePlant, said: Listener, garbage: bytes
) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.garbage = garbage
    with capture_logs() as logs:
        await until(lambda: _is(plant.recorder.state.value == "UNREACHABLE"))  # type: ignore[attr-defined]
    assert any(line["event"] == "switch unreachable" and line["switch"] == NAME for line in logs)
    with pytest.raises(TakeRefused, match="cannot be used now"):
        await plant.recorder.stop(take.recording_id)
    plant.double.garbage = None
    await until(lambda: _is(plant.recorder.state.value == "READY"))  # type: ignore[attr-defined]
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)


async def test_a_server_that_accepts_and_says_nothing_is_unreachable(
    plant: NgDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ng_client, "REQUEST_TIMEOUT", 0.3)
    await plant.restart_recorder([])
    plant.double.silent = True
    await until(lambda: _is(plant.recorder.state.value == "UNREACHABLE"))  # type: ignore[attr-defined]


async def test_twenty_reconnections_make_one_take(plant: NgDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    for _ in range(20):
        await plant.lose_connection()
        await asyncio.sleep(0)
    await until(lambda: _is(plant.recorder.state.value == "READY"))  # type: ignore[attr-defined]
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert plant.double.commands.count("start recording") == 1
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]


async def test_the_audio_of_a_real_call(tmp_path: Path) -> None:
    """The length, the sides and the noise of a real recording of two tones."""
    tones = [alaw_tone(440), alaw_tone(1_000)]
    async with RealNgPlant(tmp_path) as plant, listening(plant.recorder) as said:
        call = plant._calls["one/ä"] = RtpCall(plant.engine, "one/ä", (tones[0], tones[1]))
        await call.offer()
        await call.answer()
        await until(lambda: plant.recorder.find_call(ACCOUNT, "one/ä"))
        take = await begin(plant, "one/ä")
        first = call.sent[0]
        await until(lambda: _is(call.sent[0] >= first + 100))
        await plant.recorder.stop(take.recording_id)
        frames = call.sent[0] - first
        end = await said.end_of(take)
        assert isinstance(end, Ended)
        assert end.cause is EndCause.STOPPED
        spooled = await plant.spool.audio(take.recording_id)
    assert spooled is not None
    heard = stereo_samples(await asyncio.to_thread(Path(spooled.tracks[0].path).read_bytes))
    # The commands take a few packets.
    assert len(heard) / RATE == pytest.approx(frames / 50, abs=0.3)
    for side, hertz in enumerate((440, 1_000)):
        assert signal_to_noise(heard[:, side], hertz) > 30


async def test_calls_go_on_while_nobody_controls_rtpengine(tmp_path: Path) -> None:
    async with RealNgPlant(tmp_path) as plant:
        await ring(plant, "one")
        take = await begin(plant, "one")
        before = plant._calls["one"].sent[0]
        await plant.disconnect()
        await until(lambda: _is(plant._calls["one"].sent[0] > before + 5))
        client = NgClient("127.0.0.1", plant.engine.port)
        assert (await client.ask("list", limit=10)).values["calls"] == ["one"]
        await plant.restart_recorder([take])


async def _is(value: bool) -> bool:
    return value
