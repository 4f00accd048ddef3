"""The common part of the recorders of switches, without a protocol."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.recorders import event_queue, switch_calls
from adapters.recorders.event_queue import EventQueue
from graph.server.system_clock import SystemClock
from recordings.model.events import Begun, Ended, Lost
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import CallChange, CallEvent
from tests.contract.recorders.plants import ACCOUNT, MemoryPlant, MemorySwitch
from tests.contract.recorders.test_recorders import begin, listening, ring, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[MemoryPlant]:
    async with MemoryPlant(tmp_path) as opened:
        yield opened


def switch_of(plant: MemoryPlant) -> MemorySwitch:
    assert isinstance(plant.recorder, MemorySwitch)
    return plant.recorder


async def test_a_take_of_an_earlier_run_of_the_switch_is_lost_or_has_its_file(plant: MemoryPlant) -> None:
    for call_id in ("with a file", "without"):
        await ring(plant, call_id)
    async with listening(plant.recorder) as said:
        kept, gone = await begin(plant, "with a file", 1), await begin(plant, "without", 2)
        await asyncio.sleep(0.002)
        switch_of(plant)._switch_started = SystemClock().now()
        plant.pbx.stop(kept.recording_id)
        del plant.pbx.recording[gone.recording_id]
        plant.pbx.calls.clear()
        plant.pbx.changed.set()
        end = await said.end_of(kept)
        assert isinstance(end, Ended)
        assert end.cause is EndCause.DISCONNECTED
        lost = await said.end_of(gone)
    assert isinstance(lost, Lost)
    assert lost.reason is Reason.SWITCH_RESTARTED
    assert await plant.spool.audio(kept.recording_id) is not None


async def test_calls_that_arrive_while_the_store_is_stalled_are_reported_later(
    plant: MemoryPlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_queue, "MAX_WAITING", 10)
    switch = switch_of(plant)
    switch._events = EventQueue(10)
    for number in range(1_000):
        await ring(plant, f"call-{number}")
        if number % 2 == 0:
            await plant.hang_up(f"call-{number}")
            await until(lambda number=number: _ended(plant, f"call-{number}"))  # type: ignore[misc]
    assert switch._events._queue.qsize() <= 15
    async with listening(switch) as said:
        await said.until(lambda: CallChange.ARRIVED in said.changes("call-999"))
        arrived = {each.call.call_id for each in said.events if isinstance(each, CallEvent)}
    assert arrived >= {f"call-{number}" for number in range(1, 1_000, 2)}
    assert len(arrived) < 515


async def test_a_switch_shows_a_limited_number_of_calls(plant: MemoryPlant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_calls, "MAX_CALLS", 2)
    for number in range(5):
        await plant.ring(f"call-{number}")
    await until(lambda: plant.recorder.count_calls(ACCOUNT))
    assert await plant.recorder.count_calls(ACCOUNT) == 2


async def _ended(plant: MemoryPlant, call_id: str) -> bool:
    return await plant.recorder.find_call(ACCOUNT, call_id) is None


async def test_a_begun_take_is_reported_once(plant: MemoryPlant) -> None:
    await ring(plant, "one")
    async with listening(plant.recorder) as said:
        take = await begin(plant, "one")
        for _ in range(3):
            await plant.lose_connection()
            await asyncio.sleep(0.01)
        await until(lambda: _is_ready(plant))
        await plant.hang_up("one")
        await said.end_of(take)
        assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]


async def _is_ready(plant: MemoryPlant) -> bool:
    return switch_of(plant).state.value == "READY"
