"""The recorder of Asterisk while something fails: the network, the switch, this service, or the store.

Waits are scaled down: an outage of a second stands for a minute.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.recorders import switch_base
from adapters.recorders.asterisk import ari_client, ari_connection, snoop_switch
from graph.server.system_clock import SystemClock
from recordings.model.events import Begun, Ended, Lost
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import CallChange, SwitchState, Take
from tests.contract.recorders.ari_double import PASSWORD, AriDouble
from tests.contract.recorders.ari_plants import AriDoublePlant
from tests.contract.recorders.plants import ACCOUNT
from tests.contract.recorders.test_asterisk import eventually, refused, switch_of, until_state
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[AriDoublePlant]:
    plant = AriDoublePlant(tmp_path)
    plant.parameters = "&tracks=1"
    async with plant as opened:
        yield opened


@pytest.fixture
async def said(plant: AriDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def test_outages_of_any_length_lose_and_double_no_take(plant: AriDoublePlant, said: Listener) -> None:
    for number in range(50):
        await ring(plant, f"call-{number}")
    takes = [await begin(plant, f"call-{number}", number) for number in range(50)]
    for number, seconds in enumerate((0.02, 0.2, 1.0)):
        await plant.relay.stop()
        for ended in range(10):
            await plant.hang_up(f"call-{10 * number + ended}")
        await asyncio.sleep(seconds)
        await plant.relay.start()
        for take in takes[10 * number : 10 * number + 10]:
            end = await said.end_of(take)
            assert isinstance(end, Ended)
            assert end.cause is EndCause.HANGUP
    await until_state(plant, SwitchState.READY)
    await asyncio.gather(*(plant.recorder.stop(take.recording_id) for take in takes[30:]))
    for take in takes:
        assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
        assert await plant.spool.audio(take.recording_id) is not None
    await eventually(lambda: not plant.files())
    assert sum(each.endswith("/snoop") for each in plant.double.requests) == 50


async def test_a_comparison_during_a_start_ends_nothing(plant: AriDoublePlant, said: Listener) -> None:
    """The list of channels is older than the snoop channel."""
    recorder: Any = plant.recorder
    await ring(plant, "one")
    plant.double.slow, plant.double.slow_list = 0.1, 0.3
    starting = asyncio.create_task(begin(plant, "one"))
    await eventually(lambda: plant.double.requests[-1].endswith("/snoop"))
    await recorder._compare(is_first=True)
    take = await starting
    assert [type(each) for each in said.of(take.recording_id)] == [Begun]
    await plant.recorder.stop(take.recording_id)


async def test_twenty_reconnections_make_one_take(
    plant: AriDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_base, "LONGEST_WAIT", 0.02)
    await ring(plant, "one")
    take = await begin(plant, "one")
    for number in range(20):
        plant.double.drop()
        await eventually(partial(_has_sockets, plant.double, number + 2))
    await until_state(plant, SwitchState.READY)
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]
    assert sum(each.endswith("/snoop") for each in plant.double.requests) == 1
    # Each connection asks for the events again, and compares, before it is ready.
    assert sum(each.endswith("/eventFilter") for each in plant.double.requests) >= 2


def _has_sockets(double: AriDouble, count: int) -> bool:
    return double.sockets >= count


async def test_a_network_that_goes_silent_without_an_end_is_noticed(
    plant: AriDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ari_client, "PING", 0.2)
    monkeypatch.setattr(ari_client, "CONNECT_TIMEOUT", 0.3)
    monkeypatch.setattr(ari_client, "REQUEST_TIMEOUT", 0.3)
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.drop()
    await until_state(plant, SwitchState.UNREACHABLE)
    await until_state(plant, SwitchState.READY)
    plant.double.silent = True
    await until_state(plant, SwitchState.UNREACHABLE)
    plant.double.silent = False
    await until_state(plant, SwitchState.READY)
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)


async def test_a_server_that_accepts_and_says_nothing_is_unreachable(
    plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ari_client, "CONNECT_TIMEOUT", 0.1)
    plant.double.silent = True
    plant.double.drop()
    attempts = len(plant.double.requests)
    with capture_logs() as logs:
        await eventually(lambda: len(plant.double.requests) >= attempts + 2)
        await until_state(plant, SwitchState.UNREACHABLE)
    assert any("does not answer" in line.get("error", "") for line in logs)


async def test_a_websocket_that_ends_without_an_error_is_a_loss(plant: AriDoublePlant) -> None:
    """The waits between the attempts grow, so this is no tight loop."""
    plant.double.closing = True
    plant.double.drop()
    await asyncio.sleep(0.6)
    assert 2 <= plant.double.sockets <= 9
    plant.double.closing = False
    await until_state(plant, SwitchState.READY)


async def test_events_that_come_late_are_a_loss(plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_connection, "PROBE_DEADLINE", 0.1)
    monkeypatch.setattr(ari_connection, "PROBE", 0.05)
    plant.double.drop()
    await eventually(lambda: plant.double.sockets == 2)
    await until_state(plant, SwitchState.READY)
    plant.double.delay = 0.5
    with capture_logs() as logs:
        await until_state(plant, SwitchState.UNREACHABLE)
    assert any("are late by more than 0.1 s" in line.get("error", "") for line in logs)


async def test_events_that_are_a_little_late_and_repeated_change_nothing(plant: AriDoublePlant, said: Listener) -> None:
    plant.double.delay, plant.double.repeated = 0.05, True
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.recorder.stop(take.recording_id)
    await plant.hang_up("one")
    await said.until(lambda: CallChange.ENDED in said.changes("one"))
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]


async def test_a_late_snoop_channel_is_removed(plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asterisk answers after the deadline, when the start has failed already."""
    monkeypatch.setattr(snoop_switch, "START_DEADLINE", 0.1)
    await ring(plant, "one")
    plant.double.slow = 0.4
    error = await refused(plant.recorder.start(take_on(plant, "one")))
    assert error.reason is Reason.NO_START
    plant.double.requests.clear()
    await eventually(lambda: "StasisStart" in plant.double.sent)
    await eventually(lambda: not plant.files())
    monkeypatch.setattr(snoop_switch, "START_DEADLINE", 3.0)
    plant.double.slow = 0.0
    take = await begin(plant, "one")
    await plant.recorder.stop(take.recording_id)


async def test_what_could_not_be_removed_is_removed_after_the_next_connection(
    plant: AriDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snoop_switch, "START_DEADLINE", 0.2)
    await ring(plant, "one")
    take = take_on(plant, "one")
    plant.double.lost = {"RecordingStarted"}
    plant.double.fails = {f"{take.recording_id}-1-mixed"}
    await refused(plant.recorder.start(take))
    assert plant.files()
    plant.double.fails = set()
    plant.double.drop()
    await eventually(lambda: not plant.files())


async def test_a_snoop_channel_without_a_take_is_removed_after_a_restart_of_the_service(plant: AriDoublePlant) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    # The store does not have the take: the service was killed before it was written.
    await plant.restart_recorder([])
    await eventually(lambda: not plant.double.snoops())
    assert await plant.recorder.find_call(ACCOUNT, "one") is not None
    assert not await plant.recorder.is_open(take.recording_id)


async def test_another_server_takes_over(plant: AriDoublePlant, tmp_path: Path) -> None:
    for call_id in ("stopped", "hung up", "armed"):
        await ring(plant, call_id)
    takes = [await begin(plant, "stopped", 1), await begin(plant, "hung up", 2)]
    armed = await begin(plant, "armed", 3, record_on_bridge=True)
    begun = [replace(take, begun=SystemClock().now()) for take in takes]
    await plant.disconnect()
    assert [live.state for live in plant.double.live.values()] == ["recording"] * 2
    plant.node = "f" * 32
    plant.recorder = await plant.connect([*begun, armed])
    async with listening(plant.recorder) as said:
        await plant.hang_up("hung up")
        await plant.recorder.stop(takes[0].recording_id)
        for take, cause in zip(takes, (EndCause.STOPPED, EndCause.HANGUP), strict=True):
            assert (await said.end_of(take)).cause is cause  # type: ignore[union-attr]
            assert await plant.spool.audio(take.recording_id) is not None
        plant.double.bridge("b1", "armed", "stopped")
        await said.until(lambda: any(isinstance(each, Begun) for each in said.of(armed.recording_id)))
    await plant.recorder.stop(armed.recording_id)
    await eventually(lambda: not plant.files())


async def test_a_restart_of_the_switch_ends_its_takes(plant: AriDoublePlant, said: Listener) -> None:
    for call_id in ("with a file", "without"):
        await ring(plant, call_id)
    kept, gone = await begin(plant, "with a file", 1), await begin(plant, "without", 2)
    await asyncio.sleep(0.1)
    plant.double.crash()
    del plant.double.stored[f"rec-{gone.recording_id}-1-mixed"]
    end, lost = await said.end_of(kept), await said.end_of(gone)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.DISCONNECTED
    spooled = await plant.spool.audio(kept.recording_id)
    assert spooled is not None
    # The lengths in the header of the file were never written. Ours are right.
    content = await asyncio.to_thread(Path(spooled.tracks[0].path).read_bytes)
    assert int.from_bytes(content[40:44], "little") == len(content) - 44 > 1_000
    assert isinstance(lost, Lost)
    assert lost.reason is Reason.SWITCH_RESTARTED
    assert not plant.double.snoops()


async def test_a_flood_of_events_with_a_stalled_store_delays_no_end_and_is_bounded(plant: AriDoublePlant) -> None:
    """Nothing reads the events of this recorder. Asterisk sends thousands of calls, and events that nobody needs."""
    recorder: Any = plant.recorder
    recorder._events._max_waiting = 100
    await ring(plant, "one")
    take = await begin(plant, "one")
    # Without the filter, as in releases that do not know it.
    plant.double._filters.clear()
    for number in range(1_000):
        chan = plant.double.ring(f"flood-{number}")
        for _ in range(8):
            plant.double.emit("ChannelVarset", channel=chan.json(), variable="x", value="y")
        plant.double.hang_up(chan.id)
        if number % 50 == 0:
            await asyncio.sleep(0)
    await plant.hang_up("one")
    await eventually(lambda: not recorder._takes)
    await eventually(lambda: not recorder._calls)
    assert recorder._events._queue.qsize() <= 200
    async with listening(recorder) as said:
        assert isinstance(await said.end_of(take), Ended)
    assert plant.double.sockets == 1


@pytest.mark.parametrize(
    "garbage", ["", "[]", "{", '{"type": 1}', '{"type": "ChannelCreated", "channel": 7}', "\ud7ff"]
)
async def test_messages_that_are_no_events_are_ignored(plant: AriDoublePlant, said: Listener, garbage: str) -> None:
    socket = next(iter(plant.double.apps.values()))
    assert socket is not None
    await socket.send_str(garbage)
    await ring(plant, "one")
    assert plant.double.sockets == 1


async def test_a_wrong_password_is_one_clear_state_and_in_no_log(plant: AriDoublePlant) -> None:
    plant.double.password = "another"
    with capture_logs() as logs:
        plant.double.drop()
        await until_state(plant, SwitchState.REJECTED)
        # The next attempt follows after up to 15 seconds.
        assert plant.double.sockets == 1
    assert any(line["event"] == "switch rejects the password" for line in logs)
    secrets = (PASSWORD, "p%40ss", "Basic ")
    assert not any(secret in repr(logs) or secret in repr(vars(switch_of(plant))) for secret in secrets[:2])
    await refused(plant.recorder.start(take_on(plant, "one")))


async def test_a_read_only_user_is_rejected(plant: AriDoublePlant) -> None:
    plant.double.read_only = True
    with capture_logs() as logs:
        plant.double.drop()
        await until_state(plant, SwitchState.REJECTED)
    assert any("must not be read-only" in line.get("error", "") for line in logs)


@pytest.mark.parametrize("ahead", [86_400.0, -86_400.0])
async def test_the_clock_of_the_switch_decides_nothing(plant: AriDoublePlant, said: Listener, ahead: float) -> None:
    plant.double.ahead = ahead
    before = SystemClock().now()
    plant.double.ring("one")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "one"))
    call = await plant.recorder.find_call(ACCOUNT, "one")
    assert call is not None
    assert call.started <= SystemClock().now()
    take: Take = await begin(plant, "one")
    # A take of the present is not one of an earlier run of the switch.
    plant.double.drop()
    await eventually(lambda: plant.double.sockets == 2)
    await until_state(plant, SwitchState.READY)
    await plant.recorder.stop(take.recording_id)
    begun, end = said.of(take.recording_id)
    assert before <= begun.at <= end.at <= SystemClock().now()
    assert end.cause is EndCause.STOPPED
