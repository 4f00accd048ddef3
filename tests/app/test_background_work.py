"""The background loop: it claims what it can do, goes on after faults, and stops without losing what it claimed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from adapters.recorders.embedded import EmbeddedRecorder
from graph.server.background_work import Background, Steps, Wake
from recordings.model.errors import Conflict, InvalidState
from recordings.model.events import Begun, Ended, Event
from recordings.model.recording import EndCause, Recording, State
from recordings.ports.recorder import TakeEvent
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep
from tests.contract.metadata.samples import recording


class Work:
    """Upkeep that has things to do, and counts."""

    def __init__(self, due: int = 0) -> None:
        self.due = due
        self.running = self.most = self.done = 0
        self.faults = 0
        self.recovered = False
        self.doubted: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def recover(self) -> Sequence[Recording]:
        self.recovered = True
        return ()

    async def claim(self, limit: int) -> Sequence[Any]:
        if self.faults:
            self.faults -= 1
            message = "the store is away"
            raise ConnectionError(message)
        taken = min(self.due, limit)
        self.due -= taken
        return [object()] * taken

    def sends(self, recording: Any) -> bool:
        return False

    def doubt(self, recording_id: str) -> None:
        self.doubted.append(recording_id)

    async def step(self, recording: Any) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.running -= 1
        self.done += 1
        return recording


class Recorder:
    """A recorder that says what it is given, and ends when it is closed."""

    def __init__(self, *said: TakeEvent) -> None:
        self.said = list(said)
        self.closed = asyncio.Event()

    async def events(self) -> AsyncIterator[TakeEvent]:
        for event in self.said:
            yield event
        await self.closed.wait()

    async def close(self) -> None:
        self.closed.set()


class Listener:
    """The use case that hears of it; it fails as often as told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.heard: list[str] = []

    async def on_event(self, recording_id: str, event: Event) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(recording_id)


def background(work: Work, recorder: Recorder, listener: Listener, wake: Wake) -> Background:
    return Background(cast("Upkeep", work), cast("EmbeddedRecorder", recorder), cast("Recordings", listener), wake)


async def until(condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it asks doubles
        await asyncio.sleep(0.01)
    assert condition()


async def test_all_that_is_due_is_done_a_few_at_a_time() -> None:
    work, wake = Work(due=50), Wake()
    steps = Steps(cast("Upkeep", work), wake, at_once=3)
    running = asyncio.create_task(steps.run())
    await until(lambda: work.done == 50)
    assert work.most == 3
    steps.stop()
    await running


@dataclass(frozen=True)
class Letter:
    """Something to be sent, for some account."""

    account_id: str
    id: str = "202611-a"


class Post(Work):
    """Work of which most is to be sent to servers that never answer, each letter for another account."""

    def __init__(self, letters: int, others: int) -> None:
        super().__init__()
        self.queue: list[Any] = [Letter(str(number)) for number in range(letters)] + ["other"] * others
        self.postponed = 0
        self.sent = 0

    async def claim(self, limit: int) -> Sequence[Any]:
        taken, self.queue = self.queue[:limit], self.queue[limit:]
        return taken

    def sends(self, recording: Any) -> bool:
        return isinstance(recording, Letter)

    async def postpone(self, recording: Any) -> None:
        assert isinstance(recording, Letter)
        self.postponed += 1

    async def step(self, recording: Any) -> Any:
        if isinstance(recording, Letter):
            self.sent += 1
            await self.gate.wait()
        self.done += 1
        return recording


async def test_servers_that_do_not_answer_keep_nothing_else_waiting() -> None:
    work, wake = Post(letters=500, others=20), Wake()
    work.gate.clear()
    steps = Steps(cast("Upkeep", work), wake, at_once=3, sending=5)
    running = asyncio.create_task(steps.run())
    began = asyncio.get_running_loop().time()
    await until(lambda: work.done == 20)
    assert asyncio.get_running_loop().time() - began < 5
    assert (work.sent, work.postponed) == (5, 495)
    steps.stop()
    await running
    work.gate.set()
    await steps.finish(5)
    assert work.done == 25


async def test_the_deliveries_of_one_account_leave_places_to_others() -> None:
    work = Post(letters=0, others=0)
    work.gate.clear()
    work.queue = [Letter("large")] * 20 + [Letter("small"), Letter("tiny")]
    steps = Steps(cast("Upkeep", work), Wake(), at_once=30, sending=8)
    await steps.claim()
    await until(lambda: work.sent == 8)
    assert work.postponed == 14
    work.gate.set()
    await steps.finish(5)
    # Whoever is done makes room for the next one, of the same account, too.
    work.queue = [Letter("large")] * 6
    await steps.claim()
    await until(lambda: work.sent == 14)
    await steps.finish(5)
    assert work.done == 14


async def test_a_wake_is_heard_at_once() -> None:
    work, wake = Work(), Wake()
    steps = Steps(cast("Upkeep", work), wake)
    running = asyncio.create_task(steps.run())
    await asyncio.sleep(0.05)
    work.due = 1
    began = asyncio.get_running_loop().time()
    wake()
    await until(lambda: work.done)
    assert asyncio.get_running_loop().time() - began < 0.9
    steps.stop()
    await running


async def test_a_store_that_is_away_does_not_end_the_loop() -> None:
    work, wake = Work(due=1), Wake()
    work.faults = 2
    steps = Steps(cast("Upkeep", work), wake)
    running = asyncio.create_task(steps.run())
    await asyncio.sleep(0.01)
    wake()
    await asyncio.sleep(0.01)
    wake()
    await until(lambda: work.done)
    steps.stop()
    await running


async def test_what_runs_may_finish_and_what_does_not_is_let_go() -> None:
    work, wake = Work(due=1), Wake()
    work.gate.clear()
    steps = Steps(cast("Upkeep", work), wake)
    await steps.claim()
    await asyncio.sleep(0)
    await steps.finish(0.05)
    assert (work.done, work.running) == (0, 1)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError(), Conflict("it keeps changing")])
async def test_what_the_recorder_says_is_kept_until_the_store_is_back(failure: Exception) -> None:
    said = [TakeEvent(name, Ended(at=1, cause=EndCause.HANGUP)) for name in ("one", "two")]
    listener, recorder = Listener(failure, failure), Recorder(*said)
    house = background(Work(), recorder, listener, Wake())
    await house.start()
    await until(lambda: listener.heard == ["one", "two"])
    await house.stop(5)


async def test_what_does_not_fit_is_passed_over() -> None:
    said = [TakeEvent(name, Ended(at=1, cause=EndCause.HANGUP)) for name in ("one", "two")]
    listener, recorder = Listener(InvalidState("no")), Recorder(*said)
    house = background(Work(), recorder, listener, Wake())
    await house.start()
    await until(lambda: listener.heard == ["two"])
    await house.stop(5)


@pytest.mark.parametrize(("state", "stopped"), [(State.FAILED, ["one"]), (State.RECORDING, [])])
async def test_a_take_that_begins_when_nobody_waits_for_it_any_more_is_closed(state: State, stopped: list[str]) -> None:
    asked: list[str] = []

    class Late(Recorder):
        async def stop(self, recording_id: str) -> None:
            asked.append(recording_id)

    class Knowing(Listener):
        async def on_event(self, recording_id: str, event: Event) -> Any:
            self.heard.append(recording_id)
            return replace(recording(id=recording_id), state=state) if recording_id == "one" else None

    listener, recorder = Knowing(), Late(*(TakeEvent(name, Begun(at=1)) for name in ("one", "unknown", "two")))
    work = Work()
    house = background(work, recorder, listener, Wake())
    await house.start()
    await until(lambda: listener.heard == ["one", "unknown", "two"])
    await house.stop(5)
    assert asked == work.doubted == stopped


async def test_what_others_took_for_lost_is_taken_up_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found(Work):
        looks = 0

        async def adopt(self) -> Sequence[Recording]:
            self.looks += 1
            if self.looks == 1:
                message = "the store is away"
                raise ConnectionError(message)
            self.due += 1
            return [recording()]

    monkeypatch.setattr("graph.server.background_work._ADOPT_SECONDS", 0.01)
    work = Found()
    house = background(work, Recorder(), Listener(), Wake())
    await house.start()
    await until(lambda: work.done)
    await house.check()
    await house.stop(5)


async def test_it_says_whether_it_runs() -> None:
    house = background(Work(), Recorder(), Listener(), Wake())
    with pytest.raises(RuntimeError, match="not running"):
        await house.check()
    await house.start()
    await house.check()
    await house.stop(5)
    with pytest.raises(RuntimeError, match="steps"):
        await house.check()


async def test_a_stop_closes_the_recorder_and_does_what_that_made_due() -> None:
    work, recorder, listener = Work(), Recorder(), Listener()
    house = background(work, recorder, listener, Wake())
    await house.start()
    assert work.recovered
    work.due = 2
    await house.stop(5)
    assert recorder.closed.is_set()
    assert work.done == 2


async def test_a_store_that_is_away_at_the_end_cuts_nothing_off_that_runs() -> None:
    work, recorder = Work(due=1), Recorder()
    work.gate.clear()
    house = background(work, recorder, Listener(), Wake())
    await house.start()
    await until(lambda: work.running)
    work.faults = 1
    stopping = asyncio.create_task(house.stop(20))
    await until(lambda: not work.faults)
    work.gate.set()
    await stopping
    assert work.done == 1


class Jammed(Post):
    """Work that cannot be given back."""

    async def postpone(self, recording: Any) -> None:
        await super().postpone(recording)
        message = "the store is away"
        raise ConnectionError(message)


async def test_what_cannot_be_given_back_keeps_nothing_else_waiting() -> None:
    work = Jammed(letters=0, others=0)
    work.gate.clear()
    work.queue = [Letter(str(number)) for number in range(4)] + ["other"]
    steps = Steps(cast("Upkeep", work), Wake(), at_once=5, sending=2)
    await steps.claim()
    await until(lambda: work.done == 1)
    assert (work.sent, work.postponed) == (2, 2)
    work.gate.set()
    await steps.finish(5)
    assert work.done == 3
