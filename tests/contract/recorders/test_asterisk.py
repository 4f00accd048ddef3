"""What a real Asterisk did, one test for each observation. Each fails on code that trusts the response 200.

`docs/switches.md` describes the recorder. The numbers of rows are those of the observations.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from adapters.recorders.asterisk import snoop_switch
from recordings.model.events import Armed, Begun, Ended, Lost
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import Capability, SwitchRecorder, SwitchState, Take, TakeRefused
from tests.contract.recorders.ari_plants import REAL_URL, AriDoublePlant, AriPlant, RealAriPlant
from tests.contract.recorders.plants import ACCOUNT, NAME
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[AriDoublePlant]:
    async with AriDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: AriDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


def switch_of(plant: AriDoublePlant) -> SwitchRecorder:
    recorder: Any = plant.recorder
    return recorder  # type: ignore[no-any-return]


async def eventually(condition: Callable[[], Any]) -> None:
    async def check() -> bool:
        return bool(condition())

    await until(check)


async def until_state(plant: AriDoublePlant, state: SwitchState) -> None:
    await plant.until_state(switch_of(plant), state)


async def refused(start: Awaitable[object]) -> TakeRefused:
    with pytest.raises(TakeRefused) as raised:
        await start
    return raised.value


async def heard(plant: AriPlant, take: Take) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the samples of a take in the spool: a row for each moment, a column for each channel."""
    spooled = await plant.spool.audio(take.recording_id)
    assert spooled is not None
    content = await asyncio.to_thread(Path(spooled.tracks[0].path).read_bytes)
    with av.open(io.BytesIO(content), "r") as opened:
        channels = opened.streams.audio[0].channels
        parts = [frame.to_ndarray().reshape(-1, channels) for frame in opened.decode(audio=0)]
    return np.concatenate(parts).astype(float)


async def rate_of(plant: AriPlant, take: Take) -> int:
    """Return the sampling rate of a take in the spool, from the header of its file."""
    spooled = await plant.spool.audio(take.recording_id)
    assert spooled is not None
    content = await asyncio.to_thread(Path(spooled.tracks[0].path).read_bytes)
    return int.from_bytes(content[24:28], "little")


def frequency(samples: "np.ndarray[Any, np.dtype[np.float64]]", rate: int) -> float:
    """Return the strongest frequency in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


async def test_row_01_a_take_has_the_length_and_the_tones_of_its_call(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    live = next(iter(plant.double.live.values()))
    await asyncio.sleep(0.6)
    await plant.recorder.stop(take.recording_id)
    samples = await heard(plant, take)
    # Asterisk writes whole frames of 20 ms.
    assert len(samples) / 8_000 == pytest.approx(sum(each[0] for each in live.pieces), abs=0.03)
    assert frequency(samples[:, 0], 8_000) == pytest.approx(1_000, abs=10)
    assert not plant.files()


@pytest.mark.parametrize("kind", [AriDoublePlant, *([RealAriPlant] if REAL_URL else [])])
async def test_the_audio_of_both_sides_with_a_pause_a_mask_and_a_lost_connection(
    tmp_path: Path, kind: type[AriPlant]
) -> None:
    async with kind(tmp_path) as plant:
        await ring(plant, "one")
        await asyncio.sleep(0.3)
        take = await begin(plant, "one")
        await asyncio.sleep(0.5)
        await plant.recorder.pause(take.recording_id)
        await asyncio.sleep(0.5)
        paused = (await plant.recorder.resume(take.recording_id) or 0) / 1_000
        await plant.lose_connection()
        await asyncio.sleep(0.2)
        await plant.until_state(plant.recorder, SwitchState.READY)  # type: ignore[arg-type]
        await plant.recorder.mask(take.recording_id)
        await asyncio.sleep(0.5)
        masked = (await plant.recorder.unmask(take.recording_id) or 0) / 1_000
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        await plant.recorder.stop(take.recording_id)
        samples, rate = await heard(plant, take), await rate_of(plant, take)
        assert not plant.files()
    # The party of this channel was dialled, so it is the callee.
    voice = samples[:, 1]
    rest = asyncio.get_running_loop().time() - begun
    assert paused >= 0.5
    assert 0.9 + masked < len(voice) / rate < 1.2 + masked + rest
    # The first audio of a real call may come a little later than the answer.
    assert masked - 0.1 < np.sum(voice == 0) / rate < masked + 0.5
    assert frequency(voice[-rate // 4 :], rate) == pytest.approx(440, abs=10)


async def test_row_02_takes_go_on_without_the_event_websocket(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.drop()
    await eventually(lambda: plant.double.sockets == 2)
    await until_state(plant, SwitchState.READY)
    assert len(plant.double.live) == 2
    await plant.recorder.stop(take.recording_id)
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]


async def test_row_03_an_end_whose_event_was_lost_is_found(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.lost = {"RecordingFinished", "ChannelDestroyed", "StasisEnd"}
    for live in tuple(plant.double.live.values()):
        plant.double._finish(live)
    plant.double.drop()
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    # The call is live, and its snoop channels are gone.
    assert await plant.recorder.find_call(ACCOUNT, "one") is not None
    await eventually(lambda: not plant.files())


async def test_row_04_a_start_after_the_application_was_destroyed_works(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    await plant.relay.stop()
    await plant.hang_up("one")
    await eventually(lambda: not plant.double.apps)
    await plant.ring("two")
    await plant.relay.start()
    await until(lambda: plant.recorder.find_call(ACCOUNT, "two"))
    take = await begin(plant, "two")
    await plant.recorder.stop(take.recording_id)


async def test_row_05_no_call_enters_the_application(plant: AriDoublePlant) -> None:
    """A call in Stasis would depend on this service: its dialplan continues only if Stasis fails."""
    await ring(plant, "one")
    take = await begin(plant, "one")
    assert not plant.double.channels["one"].app
    assert {each.app for each in plant.double.snoops()} == set(plant.double.apps)
    await plant.recorder.stop(take.recording_id)
    await plant.disconnect()
    assert "one" in plant.double.channels


async def test_row_06_and_07_a_call_of_another_dialplan_is_recorded_by_snoop_channels(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    with pytest.raises(AssertionError, match=r"409 .*Channel not in Stasis application"):
        await plant.request("POST", "/channels/one/record", name="direct", format="wav")
    plant.double.requests.clear()
    take = await begin(plant, "one")
    assert "POST /ari/channels/one/record" not in plant.double.requests
    assert plant.double.requests.count("POST /ari/channels/one/snoop") == 2
    await plant.recorder.stop(take.recording_id)


async def test_row_08_the_response_200_is_no_proof_of_a_snoop_channel(
    plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snoop_switch, "START_DEADLINE", 0.2)
    plant.double.vanishing = True
    await ring(plant, "one")
    error = await refused(plant.recorder.start(take_on(plant, "one")))
    assert error.reason is Reason.NO_START
    await eventually(lambda: not plant.files())
    plant.double.vanishing = False
    take = await begin(plant, "one")
    await plant.recorder.stop(take.recording_id)


@pytest.mark.parametrize("missing", ["StasisStart", "RecordingStarted"])
async def test_row_08_each_of_the_two_events_is_needed(
    plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(snoop_switch, "START_DEADLINE", 0.2)
    await ring(plant, "one")
    plant.double.lost = {missing}
    error = await refused(plant.recorder.start(take_on(plant, "one")))
    assert (error.reason, str(error)) == (Reason.NO_START, "Asterisk did not begin to record in 0.2 s")
    assert not plant.files()
    assert not await plant.recorder.is_open(take_on(plant, "one").recording_id)


async def test_row_09_a_snoop_channel_of_an_interrupted_start_is_replaced(plant: AriDoublePlant) -> None:
    """Its id is taken, so a second request for it fails with 500."""
    await ring(plant, "one")
    take = take_on(plant, "one")
    app = next(iter(plant.double.apps))
    plant.double.lost = {"StasisStart"}
    name = f"rec-{take.recording_id}-1-left"
    await plant.request("POST", "/channels/one/snoop", app=app, snoopId=name, spy="in")
    plant.double.lost = set()
    assert isinstance(await plant.recorder.start(take), Begun)
    assert len(plant.double.snoops()) == 2
    await plant.recorder.stop(take.recording_id)
    assert not plant.files()


async def test_row_10_the_file_of_an_interrupted_start_is_replaced(plant: AriDoublePlant) -> None:
    """Its name is taken, so a second request for it fails with 409."""
    await ring(plant, "one")
    take = take_on(plant, "one")
    plant.double.stored[f"rec-{take.recording_id}-1-left"] = "wav", b"interrupted"
    assert isinstance(await plant.recorder.start(take), Begun)
    await asyncio.sleep(0.1)
    await plant.recorder.stop(take.recording_id)
    assert frequency((await heard(plant, take))[:, 0], 8_000) > 0


async def test_row_11_two_takes_of_a_call_begin_at_once(plant: AriDoublePlant) -> None:
    """A second recording on one snoop channel would wait for the end of the first."""
    await ring(plant, "one")
    takes = [await begin(plant, "one", number) for number in (1, 2)]
    assert [live.state for live in plant.double.live.values()] == ["recording"] * 4
    for take in takes:
        await plant.recorder.stop(take.recording_id)


async def test_row_12_many_starts_and_stops_in_one_call_leave_nothing(tmp_path: Path) -> None:
    plant = AriDoublePlant(tmp_path)
    plant.parameters = "&tracks=1"

    async def cycle(number: int) -> None:
        take = take_on(plant, "one", number)
        await plant.recorder.start(take)
        await plant.recorder.stop(take.recording_id)

    async with plant, listening(plant.recorder) as said:
        await ring(plant, "one")
        before = set(plant.double.channels)
        for first in range(0, 200, 20):
            await asyncio.gather(*(cycle(number) for number in range(first, first + 20)))
        assert set(plant.double.channels) == before
        assert not plant.double.bridges
        assert not plant.files()
        assert sum(isinstance(getattr(each, "event", None), Ended) for each in said.events) == 200


async def test_row_13_a_hang_up_leaves_nothing(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.hang_up("one")
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.HANGUP
    await eventually(lambda: not plant.files())
    assert not plant.double.channels


async def test_row_14_pauses_and_masks_have_no_event_and_are_kept_apart(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    left = plant.double.live[f"rec-{take.recording_id}-1-left"]
    await asyncio.sleep(0.2)
    paused_at = await plant.recorder.pause(take.recording_id)
    assert await plant.recorder.pause(take.recording_id) == paused_at
    assert [each.state for each in plant.double.live.values()] == ["paused"] * 2
    await asyncio.sleep(0.3)
    assert (await plant.recorder.resume(take.recording_id) or 0) >= 290
    masked_at = await plant.recorder.mask(take.recording_id)
    # The pause is not in the audio.
    assert masked_at < paused_at + 200
    await asyncio.sleep(0.2)
    assert [each.muted for each in plant.double.live.values()] == [True] * 2
    assert (await plant.recorder.unmask(take.recording_id) or 0) >= 190
    await plant.recorder.stop(take.recording_id)
    samples = await heard(plant, take)
    assert len(samples) / 8_000 == pytest.approx(sum(seconds for seconds, _ in left.pieces), abs=0.06)
    assert sum(seconds for seconds, silent in left.pieces if silent) > 0.19
    silence = np.sum(np.all(samples == 0, axis=1)) / 8_000
    assert silence == pytest.approx(sum(seconds for seconds, silent in left.pieces if silent), abs=0.05)


async def test_a_failed_pause_leaves_both_sides_recording(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.fails = {"right/pause"}
    await refused(plant.recorder.pause(take.recording_id))
    plant.double.fails = set()
    assert [each.state for each in plant.double.live.values()] == ["recording"] * 2
    await plant.recorder.stop(take.recording_id)


class SecondServer(AriPlant):
    """Another server of the installation, with the same switch."""

    node = "f" * 32

    def __init__(self, root: Path, first: AriDoublePlant) -> None:
        super().__init__(root)
        self.port = first.port

    async def close(self) -> None:
        await self._session.close()


async def test_row_16_two_servers_have_applications_of_their_own(plant: AriDoublePlant, tmp_path: Path) -> None:
    await ring(plant, "one")
    async with SecondServer(tmp_path / "second", plant) as other:
        assert len(plant.double.apps) == 2
        await until(lambda: other.recorder.find_call(ACCOUNT, "one"))
        takes = await begin(plant, "one", 1), await begin(other, "one", 2)
        for take, server in zip(takes, (plant, other), strict=True):
            await server.recorder.stop(take.recording_id)
            assert await server.spool.audio(take.recording_id) is not None


async def test_subscriptions_are_made_again_after_a_connection_was_lost(plant: AriDoublePlant, said: Listener) -> None:
    """Asterisk forgets them, although it keeps the application for the snoop channels in it."""
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.drop()
    await eventually(lambda: plant.double.sockets == 2)
    await until_state(plant, SwitchState.READY)
    plant.double.ring("two")
    await said.until(lambda: bool(said.changes("two")))
    await plant.recorder.stop(take.recording_id)


async def test_row_16_a_replaced_websocket_is_a_lost_connection(plant: AriDoublePlant, said: Listener) -> None:
    """It stays open and gets no events any more."""
    await ring(plant, "one")
    take = await begin(plant, "one")
    app = next(iter(plant.double.apps))
    await plant._session.ws_connect("/ari/events", params={"app": app})
    await eventually(lambda: plant.double.sockets >= 3)
    await until_state(plant, SwitchState.READY)
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)


@pytest.mark.parametrize(("state", "left"), [("Ring", 440), ("Down", 1_000)])
async def test_row_17_the_caller_is_on_the_left(plant: AriDoublePlant, state: str, left: int) -> None:
    """Each side has a snoop channel and a file. The double's `in` has 440 Hz: the party of the channel."""
    plant.double.ring("one", state=state)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = await begin(plant, "one")
    await asyncio.sleep(0.3)
    await plant.recorder.stop(take.recording_id)
    samples = await heard(plant, take)
    assert samples.shape[1] == 2
    assert frequency(samples[:, 0], 8_000) == pytest.approx(left, abs=10)
    assert frequency(samples[:, 1], 8_000) == pytest.approx(1_440 - left, abs=10)


async def test_one_track_has_both_parties_in_one_channel(tmp_path: Path) -> None:
    plant = AriDoublePlant(tmp_path)
    plant.parameters = "&tracks=1"
    async with plant:
        await ring(plant, "one")
        take = await begin(plant, "one")
        assert [each.spy for each in plant.double.snoops()] == ["both"]
        await asyncio.sleep(0.2)
        await plant.recorder.stop(take.recording_id)
        assert (await heard(plant, take)).shape[1] == 1


@pytest.mark.parametrize(("rate", "expected"), [(8, 8_000), (16, 16_000), (48, 16_000)])
async def test_wideband_calls_are_recorded_as_wideband(plant: AriDoublePlant, rate: int, expected: int) -> None:
    plant.double.rate = rate
    await ring(plant, "one")
    take = await begin(plant, "one")
    await asyncio.sleep(0.2)
    await plant.recorder.stop(take.recording_id)
    samples = await heard(plant, take)
    assert frequency(samples[:, 1], expected) == pytest.approx(440, abs=10)


async def test_every_capability_is_supported(plant: AriDoublePlant) -> None:
    assert plant.recorder.capabilities_of(NAME) == frozenset(Capability)


async def test_repeated_events_change_nothing(plant: AriDoublePlant, said: Listener) -> None:
    """With `subscribeAll`, Asterisk sends some events twice."""
    plant.double.repeated = True
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.hang_up("one")
    await said.end_of(take)
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert [each.value for each in said.changes("one")] == ["ARRIVED", "ANSWERED", "ENDED"]


async def test_a_stop_of_another_client_ends_the_take_with_its_file(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.request("POST", f"/recordings/live/rec-{take.recording_id}-1-left/stop")
    assert isinstance(await said.end_of(take), Ended)
    assert await plant.recorder.find_call(ACCOUNT, "one") is not None
    await eventually(lambda: not plant.files())


async def test_a_cancelled_recording_is_lost_although_asterisk_says_done(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    for side in ("left", "right"):
        await plant.request("DELETE", f"/recordings/live/rec-{take.recording_id}-1-{side}")
    end = await said.end_of(take)
    assert isinstance(end, Lost)
    assert end.reason is Reason.NO_FILE
    await eventually(lambda: not plant.files())


async def test_a_side_without_a_file_is_silent(plant: AriDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await asyncio.sleep(0.3)
    await plant.request("DELETE", f"/recordings/live/rec-{take.recording_id}-1-right")
    await said.end_of(take)
    samples = await heard(plant, take)
    assert np.any(samples[:, 0])
    assert not np.any(samples[:, 1])


async def test_a_take_waits_for_the_answer(plant: AriDoublePlant, said: Listener) -> None:
    plant.double.ring("one", state="Ring")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    assert isinstance(await plant.recorder.start(take), Armed)
    assert not plant.double.snoops()
    plant.double.answer("one")
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)


async def test_a_take_waits_for_the_bridge(plant: AriDoublePlant, said: Listener) -> None:
    for call_id in ("one", "two"):
        await ring(plant, call_id)
    take = take_on(plant, "one", record_on_bridge=True)
    assert isinstance(await plant.recorder.start(take), Armed)
    plant.double.bridge("b1", "one")
    plant.double.bridge("b1", "two")
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))
    # The other leg is connected, too.
    assert isinstance(await plant.recorder.start(take_on(plant, "two", 2, record_on_bridge=True)), Begun)


async def test_a_call_that_is_never_answered_ends_an_armed_take(plant: AriDoublePlant, said: Listener) -> None:
    """Only `ChannelDestroyed` comes."""
    plant.double.ring("one", state="Ring")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    plant.double.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert [type(each) for each in said.of(take.recording_id)] == [Ended]


async def test_an_armed_take_of_a_call_that_was_answered_in_a_gap_begins(plant: AriDoublePlant, said: Listener) -> None:
    plant.double.ring("one", state="Ring")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    take = take_on(plant, "one", record_on_answer=True)
    await plant.recorder.start(take)
    plant.double.lost = {"ChannelStateChange"}
    plant.double.answer("one")
    plant.double.drop()
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))


async def test_a_hang_up_during_the_start_leaves_nothing(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    plant.double.slow = 0.1
    starting = asyncio.create_task(refused(plant.recorder.start(take_on(plant, "one"))))
    await eventually(lambda: any("snoop" in each for each in plant.double.requests))
    await plant.hang_up("one")
    await starting
    await eventually(lambda: not plant.files())


async def test_a_take_follows_a_blind_transfer(plant: AriDoublePlant, said: Listener) -> None:
    """The agent's leg leaves. The take continues on the customer's leg, with the customer on the same side."""
    plant.double.ring("agent", state="Down")
    plant.double.ring("customer", state="Ring")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "agent"))
    take = await begin(plant, "agent")
    await asyncio.sleep(0.2)
    plant.double.transfer_blind("agent", "customer")
    await eventually(lambda: len(plant.double.snoops()) == 2 and plant.double.snoops()[0].spied == "customer")
    await eventually(lambda: len(plant.double.live) == 2)
    await asyncio.sleep(0.2)
    assert await plant.recorder.is_open(take.recording_id)
    plant.double.hang_up("customer")
    await said.end_of(take)
    samples = await heard(plant, take)
    # The customer's voice is `out` on the agent's leg, and `in` on his own.
    first, second = samples[:1_200, 0], samples[-1_200:, 0]
    assert frequency(first, 8_000) == pytest.approx(1_000, abs=10)
    assert frequency(second, 8_000) == pytest.approx(440, abs=10)
    assert len(samples) / 8_000 >= 0.36
    await eventually(lambda: not plant.files())


async def test_a_take_follows_an_attended_transfer_paused(plant: AriDoublePlant, said: Listener) -> None:
    for leg in ("customer", "first", "second", "target"):
        plant.double.ring(leg)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "target"))
    take = await begin(plant, "second")
    await plant.recorder.pause(take.recording_id)
    plant.double.transfer_attended("first", "second", "customer", "target")
    await eventually(lambda: [each.channel.spied for each in plant.double.live.values()] == ["target"] * 2)
    await eventually(lambda: [each.state for each in plant.double.live.values()] == ["paused"] * 2)
    await plant.recorder.resume(take.recording_id)
    await plant.recorder.stop(take.recording_id)
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert not plant.files()


async def test_a_paused_take_that_cannot_be_paused_again_does_not_follow(plant: AriDoublePlant, said: Listener) -> None:
    """Otherwise the new part would record what must be left out."""
    for leg in ("agent", "customer"):
        plant.double.ring(leg)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "customer"))
    take = await begin(plant, "agent")
    await plant.recorder.mask(take.recording_id)
    plant.double.fails = {"2-right/mute"}
    plant.double.transfer_blind("agent", "customer")
    assert isinstance(await said.end_of(take), Ended)
    await eventually(lambda: not plant.files())


async def test_a_take_that_must_not_follow_ends_with_its_leg(plant: AriDoublePlant, said: Listener) -> None:
    for leg in ("agent", "customer"):
        plant.double.ring(leg)
    await until(lambda: plant.recorder.find_call(ACCOUNT, "customer"))
    take = await begin(plant, "agent", should_follow_transfer=False)
    plant.double.transfer_blind("agent", "customer")
    assert isinstance(await said.end_of(take), Ended)
    assert not plant.double.snoops()
