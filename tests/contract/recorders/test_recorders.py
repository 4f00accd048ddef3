"""The contract of every recorder: calls, takes, events and hand-over of the audio."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.recorders.recorder_registry import RecorderRegistry
from graph.server.system_clock import SystemClock
from recordings.model.call import Call
from recordings.model.events import Armed, Begun, Ended, Lost
from recordings.model.options import RecordingOptions
from recordings.model.query import PageRequest
from recordings.model.recording import EndCause, Reason
from recordings.ports.recorder import CallChange, CallEvent, Capability, LocalRecorder, Take, TakeEvent, TakeRefused
from tests.contract.recorders.plants import ACCOUNT, EmbeddedPlant, Plant, SwitchPlant

PAGE = PageRequest(limit=10)
DEADLINE = 20


class Listener:
    """Collects the events of a recorder."""

    def __init__(self) -> None:
        self.events: list[TakeEvent | CallEvent] = []
        self._changed = asyncio.Event()

    async def listen(self, recorder: LocalRecorder) -> None:
        async for event in recorder.events():
            self.events.append(event)
            self._changed.set()

    def of(self, recording_id: str) -> list[Any]:
        """Return the events of a take."""
        return [each.event for each in self.events if isinstance(each, TakeEvent) and each.recording_id == recording_id]

    def changes(self, call_id: str) -> list[CallChange]:
        found = (each for each in self.events if isinstance(each, CallEvent))
        return [each.change for each in found if each.call.call_id == call_id]

    async def until(self, found: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not found():
                self._changed.clear()
                await self._changed.wait()

    async def end_of(self, take: Take) -> Ended | Lost:
        """Wait for the end of a take."""
        await self.until(lambda: any(isinstance(each, Ended | Lost) for each in self.of(take.recording_id)))
        ends = [each for each in self.of(take.recording_id) if isinstance(each, Ended | Lost)]
        assert len(ends) == 1
        return ends[0]


@pytest.fixture
async def said(plant: Plant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


@asynccontextmanager
async def listening(recorder: LocalRecorder) -> AsyncIterator[Listener]:
    listener = Listener()
    task = asyncio.create_task(listener.listen(recorder))
    yield listener
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110 - calls appear by polling
            await asyncio.sleep(0.01)


async def ring(plant: Plant, call_id: str) -> Call:
    """Begin a call, and return it as soon as the recorder knows it."""
    await plant.ring(call_id)
    await until(lambda: plant.recorder.find_call(ACCOUNT, call_id))
    found = await plant.recorder.find_call(ACCOUNT, call_id)
    assert found is not None
    return found


def take_on(plant: Plant, call_id: str, number: int = 1, **options: Any) -> Take:
    return Take(f"202611-{number:032x}", ACCOUNT, call_id, RecordingOptions(**options), recorder=plant.name)


async def begin(plant: Plant, call_id: str, number: int = 1, **options: Any) -> Take:
    take = take_on(plant, call_id, number, **options)
    assert isinstance(await plant.recorder.start(take), Begun | Armed)
    await plant.audio(call_id)
    return take


async def test_a_call_names_its_recorder_and_is_listed_in_its_account(plant: Plant, said: Listener) -> None:
    calls = [await ring(plant, call_id) for call_id in ("one", "two")]
    assert {call.recorder for call in calls} == {plant.name}
    listed = await plant.recorder.calls(ACCOUNT, PAGE)
    assert {call.call_id for call in listed} == {"one", "two"}
    assert [call.started for call in listed] == sorted((call.started for call in listed), reverse=True)
    assert await plant.recorder.count_calls(ACCOUNT) == 2
    assert await plant.recorder.count_calls("b" * 32) == 0
    assert await plant.recorder.find_call("b" * 32, "one") is None
    await plant.hang_up("one")
    await said.until(lambda: CallChange.ENDED in said.changes("one"))
    assert said.changes("one")[0] is CallChange.ARRIVED
    assert [call.call_id for call in plant.recorder.live_calls()] == ["two"]


async def test_a_stopped_take_has_its_audio_in_the_spool(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await said.until(lambda: any(isinstance(each, Begun) for each in said.of(take.recording_id)))
    assert await plant.recorder.is_open(take.recording_id)
    await plant.recorder.stop(take.recording_id)
    assert await plant.spool.audio(take.recording_id) is not None
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.STOPPED
    assert not await plant.recorder.is_open(take.recording_id)
    await plant.recorder.stop(take.recording_id)


async def test_a_repeated_start_records_once(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = take_on(plant, "one")
    results = await asyncio.gather(*(plant.recorder.start(take) for _ in range(20)))
    assert len(set(results)) == 1
    await plant.audio("one")
    await plant.recorder.stop(take.recording_id)
    await said.end_of(take)
    assert [type(each) for each in said.of(take.recording_id)] == [Begun, Ended]


async def test_a_start_on_an_unknown_call_is_refused(plant: Plant) -> None:
    await ring(plant, "one")
    with pytest.raises(TakeRefused):
        await plant.recorder.start(take_on(plant, "none"))
    assert not await plant.recorder.is_open(take_on(plant, "none").recording_id)


async def test_a_hang_up_ends_the_take(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.hang_up("one")
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.HANGUP
    assert await plant.spool.audio(take.recording_id) is not None


async def test_the_time_limit_ends_the_take(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one", time_limit=1)
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.TIME_LIMIT


async def test_pause_and_mask_work_or_are_refused_as_the_capabilities_say(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    has = plant.recorder.capabilities_of(plant.name)
    assert not plant.recorder.capabilities_of("another")
    actions = {
        Capability.PAUSE: (plant.recorder.pause, plant.recorder.resume),
        Capability.MASK: (plant.recorder.mask, plant.recorder.unmask),
    }
    for capability, (on, off) in actions.items():
        if capability in has:
            assert await on(take.recording_id) >= 0
            await off(take.recording_id)
        else:
            for action in (on, off):
                with pytest.raises(TakeRefused):
                    await action(take.recording_id)
    for on, off in actions.values():
        for action in (on, off):
            with pytest.raises(TakeRefused):
                await action("202611-" + "f" * 32)
    await plant.recorder.stop(take.recording_id)


async def test_many_takes_at_once_end_once_each(plant: Plant, said: Listener) -> None:
    takes = []
    for number in range(20):
        await ring(plant, f"call-{number}")
        takes.append(await begin(plant, f"call-{number}", number))
    for number in range(0, 20, 2):
        await plant.hang_up(f"call-{number}")
    await asyncio.gather(*(plant.recorder.stop(each.recording_id) for each in takes))
    ends = [await said.end_of(take) for take in takes]
    assert all(isinstance(end, Ended) for end in ends)


async def test_closing_ends_the_events_and_only_takes_that_cannot_continue(plant: Plant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    listener = asyncio.create_task(plant.recorder.close())
    await listener
    ends = [each for each in said.of(take.recording_id) if isinstance(each, Ended)]
    if Capability.CONTINUES in plant.recorder.capabilities_of(plant.name):
        assert not ends
    else:
        assert (await said.end_of(take)).cause is EndCause.SHUTDOWN  # type: ignore[union-attr]


async def test_a_lost_connection_loses_and_doubles_no_take(plant: Plant, said: Listener) -> None:
    if not isinstance(plant, SwitchPlant):
        return
    takes = []
    for number in range(10):
        await ring(plant, f"call-{number}")
        takes.append(await begin(plant, f"call-{number}", number))
    for number in range(0, 10, 2):
        await plant.lose_connection()
        await plant.hang_up(f"call-{number}")
    assert [(await said.end_of(each)).cause for each in takes[::2]] == [EndCause.HANGUP] * 5  # type: ignore[union-attr]
    await until(lambda: plant.recorder.find_call(ACCOUNT, "call-1"))
    for each in takes[1::2]:
        await until(lambda each=each: _stopped(plant, each))  # type: ignore[misc]
    for each in takes:
        assert [type(event) for event in said.of(each.recording_id)] == [Begun, Ended]
        assert await plant.spool.audio(each.recording_id) is not None
    await until(lambda: _is(plant.files() == 0))


async def test_another_process_continues_the_takes(plant: Plant) -> None:
    if not isinstance(plant, SwitchPlant):
        return
    for call_id in ("goes-on", "ends"):
        await ring(plant, call_id)
    going, ended = await begin(plant, "goes-on", 1), await begin(plant, "ends", 2)
    unknown = Take("202611-" + "3" * 32, ACCOUNT, "unknown", RecordingOptions(), recorder=plant.name)
    lost = replace(unknown, begun=SystemClock().now())
    begun = [replace(each, begun=SystemClock().now()) for each in (going, ended)]
    await plant.restart_recorder([*begun, lost])
    async with listening(plant.recorder) as said:
        await plant.hang_up("ends")
        assert (await said.end_of(ended)).cause is EndCause.HANGUP  # type: ignore[union-attr]
        assert (await said.end_of(lost)) == Lost(
            at=said.of(lost.recording_id)[0].at,
            reason=Reason.NO_FILE,
            detail=f"the switch {plant.name} has no file of this take",
        )
        await ring(plant, "goes-on")
        await until(lambda: _stopped(plant, going))
        assert isinstance(await said.end_of(going), Ended)
    for each in (going, ended):
        assert await plant.spool.audio(each.recording_id) is not None
    assert await plant.spool.audio(lost.recording_id) is None


async def test_the_registry_records_calls_of_every_recorder(plant: Plant, tmp_path: Path) -> None:
    async with EmbeddedPlant(tmp_path / "embedded") as embedded:
        switches: Any = [plant.recorder] if isinstance(plant, SwitchPlant) else []
        registry = RecorderRegistry(embedded.recorder, switches)
        plants = [embedded, *([plant] if switches else [])]
        async with listening(registry) as said:
            for number, each in enumerate(plants):
                await ring(each, f"call-{number}")
                await begin(each, f"call-{number}", number)
                take = take_on(each, f"call-{number}", number)
                assert (await registry.find_call(ACCOUNT, take.call_id) or embedded).recorder == each.name
                assert isinstance(await registry.start(take), Begun)
                assert await registry.is_open(take.recording_id)
                assert registry.capabilities_of(each.name) == each.recorder.capabilities_of(each.name)
            assert len(await registry.calls(ACCOUNT, PAGE)) == await registry.count_calls(ACCOUNT) == len(plants)
            for number, each in enumerate(plants):
                take = take_on(each, f"call-{number}", number)
                await registry.stop(take.recording_id)
                assert isinstance(await said.end_of(take), Ended)
            unknown = Take("202611-" + "9" * 32, ACCOUNT, "call-0", RecordingOptions(), recorder="pbx9")
            with pytest.raises(TakeRefused, match="pbx9"):
                await registry.start(unknown)
            assert not registry.capabilities_of("pbx9")


async def _stopped(plant: Plant, take: Take) -> bool:
    """Stop a take. A switch that is not connected refuses that."""
    try:
        await plant.recorder.stop(take.recording_id)
    except TakeRefused:
        return False
    return not await plant.recorder.is_open(take.recording_id)


async def _is(value: bool) -> bool:
    return value
