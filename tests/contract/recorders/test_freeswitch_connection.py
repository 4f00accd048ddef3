"""The connection to FreeSWITCH: losses, late events, floods, passwords, and a switch that says nothing."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from adapters.recorders import switch_base
from adapters.recorders.freeswitch import esl_connection, esl_switch
from adapters.recorders.freeswitch.esl_connection import EslConnection
from graph.server.system_clock import SystemClock
from recordings.model.events import Begun, Ended
from recordings.model.recording import EndCause
from recordings.ports.recorder import CallChange, SwitchState, TakeRefused
from tests.contract.recorders.esl_double import PASSWORD
from tests.contract.recorders.esl_plants import EslDoublePlant, wait_for_state
from tests.contract.recorders.plants import ACCOUNT
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until
from tests.servers.tcp_server import HOST


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[EslDoublePlant]:
    async with EslDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: EslDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


def switch_of(plant: EslDoublePlant) -> Any:
    return plant.recorder


async def state_of(plant: EslDoublePlant, state: SwitchState) -> None:
    await wait_for_state(switch_of(plant), state)


# Losses


async def test_fifty_takes_survive_losses_of_1_10_and_60_seconds(plant: EslDoublePlant, said: Listener) -> None:
    takes = []
    for number in range(50):
        await ring(plant, f"call-{number}")
        takes.append(await begin(plant, f"call-{number}", number))
    for seconds in (1, 10, 60):
        await plant.double.stop()
        plant.pass_time(seconds)
        for number in range(0, 30, 3):
            await plant.hang_up(f"call-{number + (1, 10, 60).index(seconds)}")
        before = plant.double.connections
        await plant.double.start()
        await until(lambda before=before: _is(plant.double.connections > before))  # type: ignore[misc]
        await until(lambda: _is(switch_of(plant).state is SwitchState.READY))
    for number in range(30, 50):
        await plant.recorder.stop(takes[number].recording_id)
    for number, take in enumerate(takes):
        end = await said.end_of(take)
        assert isinstance(end, Ended)
        assert end.cause is (EndCause.HANGUP if number < 30 else EndCause.STOPPED)
        assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]
    assert (await plant.heard(takes[49])).seconds > 71
    assert len(plant.commands("uuid_record")) == len(plant.commands("uuid_record call-")) <= 120
    await until(lambda: _is(plant.files() == plant.bugs == 0))


async def test_twenty_reconnections_make_one_take(
    plant: EslDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_base, "LONGEST_WAIT", 0.02)
    await ring(plant, "one")
    take = await begin(plant, "one")
    for number in range(20):
        await plant.lose_connection()
        await until(lambda number=number: _is(plant.double.connections > number + 1))  # type: ignore[misc]
        await state_of(plant, SwitchState.READY)
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert len(plant.commands("uuid_record one start")) == 1
    await said.until(lambda: CallChange.ENDED in said.changes("one"))
    assert said.changes("one") == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]


async def test_a_lost_network_without_a_fin_is_noticed_by_the_heartbeat(
    plant: EslDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    monkeypatch.setattr(esl_switch, "WATCH", 0.02)
    await plant.restart_recorder([replace(take, begun=SystemClock().now())])
    await hear_two_heartbeats(plant)
    plant.double.freeze()
    with capture_logs() as logs:
        await until(lambda: _is(plant.double.connections > 2))
    assert any("no heartbeat" in line.get("error", "") for line in logs)
    await state_of(plant, SwitchState.READY)
    assert await plant.recorder.is_open(take.recording_id)


async def test_the_interval_of_heartbeats_is_that_of_the_switch(
    plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FreeSWITCH does not state it. A long one is no loss of the connection."""
    # Whole seconds: their differences are exact.
    clock = [float(int(time.monotonic()))]
    monkeypatch.setattr(esl_switch, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    plant.double.beat()
    await until(lambda: _is(switch_of(plant)._beat == clock[0]))
    clock[0] += 120
    plant.double.beat()
    await until(lambda: _is(switch_of(plant)._heartbeat == 120))
    assert plant.double.connections == 1


async def hear_two_heartbeats(plant: EslDoublePlant) -> None:
    plant.double.beat()
    await until(lambda: _is(switch_of(plant)._beat is not None))
    plant.double.beat()
    await until(lambda: _is(switch_of(plant)._heartbeat is not None))


async def test_the_connection_has_tcp_keepalive(plant: EslDoublePlant) -> None:
    connection: EslConnection = switch_of(plant)._connection
    opened = connection._writer.get_extra_info("socket")
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60


async def test_a_command_without_a_reply_ends_the_connection(
    plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esl_connection, "COMMAND_DEADLINE", 0.1)
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.freeze()
    with pytest.raises(TakeRefused, match="no reply"):
        await plant.recorder.stop(take.recording_id)
    await state_of(plant, SwitchState.READY)
    await until(lambda: _closed(plant, take.recording_id))


async def test_late_events_lead_to_a_new_connection(plant: EslDoublePlant) -> None:
    plant.double.late = 9
    await ring(plant, "one")
    plant.double.late = 12
    with capture_logs() as logs:
        plant.double.calls.ring("two")
        await until(lambda: _is(plant.double.connections > 1))
        await state_of(plant, SwitchState.READY)
    assert any(" s late" in line.get("error", "") for line in logs)
    assert await plant.recorder.find_call(ACCOUNT, "two") is not None


async def test_another_clock_of_the_switch_is_no_delay(plant: EslDoublePlant, said: Listener) -> None:
    plant.double.calls._skipped += 3_600
    await plant.restart_recorder([])
    async with listening(plant.recorder) as later:
        call = await ring(plant, "one")
        take = await begin(plant, "one")
        await plant.recorder.stop(take.recording_id)
        await later.end_of(take)
        assert call.started > SystemClock().now() + 3_000_000
        begun, ended = later.of(take.recording_id)
        assert begun.at <= ended.at <= SystemClock().now()
    assert plant.double.connections == 2


# Starting up


async def test_the_switch_is_not_ready_before_everything_is_known(
    plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant.disconnect()
    for number in range(120):
        plant.double.calls.ring(f"call-{number}")
    plant.double.slow["api show"] = 0.2
    switch = switch_of(plant)
    running = plant._running = asyncio.create_task(switch.run([]))
    await until(lambda: _is(len(plant.commands("show")) > 1))
    assert switch.state is SwitchState.CONNECTING
    with pytest.raises(TakeRefused, match="cannot be used now"):
        await switch.start(take_on(plant, "call-0"))
    await state_of(plant, SwitchState.READY)
    assert await switch.count_calls(ACCOUNT) == 120
    position = [each.split()[0] for each in plant.double.commands if not each.startswith("api uuid")]
    assert position[-5:] == ["event", "api", "api", "api", "api"]
    assert not running.done()


async def test_a_call_is_reported_when_it_can_be_recorded(plant: EslDoublePlant) -> None:
    await plant.disconnect()
    plant.double.calls.ring("before")
    plant.double.slow["api uuid_buglist"] = 0.1
    switch = switch_of(plant)
    async with listening(switch) as said:
        plant._running = asyncio.create_task(switch.run([]))
        await until(lambda: switch.find_call(ACCOUNT, "before"))
        assert switch.state.value == "CONNECTING"
        assert said.changes("before") == []
        await said.until(lambda: CallChange.ANSWERED in said.changes("before"))
        assert switch.state.value == "READY"
        assert said.changes("before") == [CallChange.ARRIVED, CallChange.ANSWERED]
        await begin(plant, "before")


async def test_a_new_connection_subscribes_again(plant: EslDoublePlant) -> None:
    await plant.lose_connection()
    await until(lambda: _is(plant.double.connections > 1))
    await state_of(plant, SwitchState.READY)
    await ring(plant, "one")
    assert sum(each.startswith("event plain") for each in plant.double.commands) == 2


@pytest.mark.parametrize("how", ["silent", "garbage", "header", "closed"])
async def test_a_peer_that_is_no_switch_is_unreachable(
    plant: EslDoublePlant, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esl_connection, "CONNECT_DEADLINE", 0.2)
    if how == "silent":
        plant.double.is_silent = True
    else:
        wrong = {"garbage": b"SSH-2.0-OpenSSH\n\n", "header": b"Content-Type: auth/req", "closed": b""}
        plant.double.tampered = lambda _data: wrong[how]
    await plant.lose_connection()
    await state_of(plant, SwitchState.UNREACHABLE)
    plant.double.is_silent, plant.double.tampered = False, lambda data: data
    await state_of(plant, SwitchState.READY)


async def test_a_close_inside_a_header_block_is_a_loss(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    for client in plant.double.clients:
        client.send(b"Content-Length: 2000\nContent-Type: text/event-pl")
    await plant.lose_connection()
    await state_of(plant, SwitchState.UNREACHABLE)
    await state_of(plant, SwitchState.READY)
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)


async def test_attempts_to_connect_come_one_at_a_time(plant: EslDoublePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esl_connection, "CONNECT_DEADLINE", 0.05)
    open_at_once: list[int] = []

    def note(low: float, _high: float) -> float:
        open_at_once.append(len(plant.double.clients))
        return low

    monkeypatch.setattr(random, "uniform", note)
    plant.double.is_silent = True
    await plant.lose_connection()
    await until(lambda: _is(len(open_at_once) > 4))
    assert max(open_at_once) <= 1
    assert plant.double.connections <= len(open_at_once) + 2


# Secrets


async def test_a_wrong_password_is_one_clear_state_and_in_no_log(plant: EslDoublePlant) -> None:
    plant.double.password = "another"
    with capture_logs() as logs:
        await plant.lose_connection()
        await state_of(plant, SwitchState.REJECTED)
        before = plant.double.connections
        await asyncio.sleep(0.2)
    assert plant.double.connections == before
    (line,) = [each for each in logs if each["event"] == "switch rejects the password"]
    assert (line["log_level"], line["error"]) == ("error", "the password is wrong")
    assert not any(PASSWORD in str(each) or quote(PASSWORD) in str(each) for each in logs)
    assert PASSWORD not in f"{switch_of(plant).url}"


async def test_an_access_list_that_forbids_the_server_is_named(plant: EslDoublePlant) -> None:
    plant.double.refuses = True
    with capture_logs() as logs:
        await plant.lose_connection()
        await state_of(plant, SwitchState.REJECTED)
    assert any("apply-inbound-acl" in each.get("error", "") for each in logs)


async def test_a_user_logs_in_with_its_name(plant: EslDoublePlant) -> None:
    connection = await EslConnection.open(HOST, plant.double.port, "me@x", PASSWORD)
    connection.close()


async def test_a_password_cannot_end_the_command(plant: EslDoublePlant) -> None:
    with pytest.raises(switch_base.SwitchRejected, match="control characters"):
        await EslConnection.open(HOST, plant.double.port, "", "a\n\napi shutdown")


# Lies and floods


async def test_a_list_without_recordings_loses_no_audio(
    plant: EslDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.lies = True
    await plant.lose_connection()
    assert isinstance(await said.end_of(take), Ended)
    assert (await plant.heard(take)).seconds > 0.4
    # The end is reported before the switch's file is deleted.
    await until(lambda: _is(plant.bugs == plant.files() == 0))


async def test_a_flood_of_events_with_a_stalled_store_loses_no_take(plant: EslDoublePlant) -> None:
    """Nothing reads the events of the recorder: the store is stalled."""
    await ring(plant, "one")
    take = await begin(plant, "one")
    channel = plant.double.calls.channels["one"]
    alien = replace(channel, uuid="alien", variables={"recordings_account": "c" * 32})
    event = plant.double.encode("CHANNEL_ANSWER", alien, {})
    (client,) = plant.double.clients
    for number in range(20_000):
        client.send(event)
        if number == 10_000:
            plant.double.calls.hang_up("one")
        if number % 1_000 == 0:
            await client.writer.drain()
    await until(lambda: _gone(plant, "one"))
    await until(lambda: _closed(plant, take.recording_id))
    switch = switch_of(plant)
    assert switch.state is SwitchState.READY
    assert switch._events._queue.qsize() < 10
    async with listening(plant.recorder) as later:
        assert isinstance(await later.end_of(take), Ended)


async def _is(value: bool) -> bool:
    return value


async def _gone(plant: EslDoublePlant, call_id: str) -> bool:
    return await plant.recorder.find_call(ACCOUNT, call_id) is None


async def _closed(plant: EslDoublePlant, recording_id: str) -> bool:
    return not await plant.recorder.is_open(recording_id)
