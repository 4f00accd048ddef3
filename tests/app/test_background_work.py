"""The background work: it claims steps, continues after errors, and stops without losing claimed steps."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from graph.server.background_work import MAX_FAILED_CLAIMS, BackgroundWork
from graph.server.step_runner import EarlySteps, Share, StepRunner, WakeSignal
from recordings.model.errors import Conflict, InvalidState
from recordings.model.events import Begun, Ended, Event
from recordings.model.recording import EndCause, Recording, State
from recordings.model.work import Work as Kind
from recordings.ports.recorder import LocalRecorder, TakeEvent
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep
from tests.contract.metadata.samples import recording


@dataclass(frozen=True)
class Due:
    """A due step of an account."""

    kind: Kind
    account_id: str = "a"
    due_at: int | None = None
    modified: int = 0


class Work:
    """An `Upkeep` with a number of due steps. It counts finished steps."""

    def __init__(self, due: int = 0) -> None:
        self.due = due
        self.running = self.most = self.done = 0
        self.faults = 0
        self.recovered = False
        self.checked_later: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def recover(self) -> Sequence[Recording]:
        self.recovered = True
        return ()

    @property
    def claims(self) -> "Work":
        return self

    async def prepare(self) -> None:
        if self.faults:
            self.faults -= 1
            message = "the store is unreachable"
            raise ConnectionError(message)

    async def claim(self, work: Kind, limit: int, *_: Any) -> Sequence[Any]:
        taken = min(self.due, limit) if work is Kind.FINALIZE else 0
        self.due -= taken
        return [Due(Kind.FINALIZE)] * taken

    async def claim_stranded(self, _limit: int) -> Sequence[Any]:
        return ()

    def check_later(self, recording_id: str) -> None:
        self.checked_later.append(recording_id)

    async def step(self, recording: Any) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.running -= 1
        self.done += 1
        return recording


class Recorder:
    """A recorder that sends given events, and ends when it is closed."""

    def __init__(self, *take_events: TakeEvent) -> None:
        self.take_events = list(take_events)
        self.closed = asyncio.Event()

    async def events(self) -> AsyncIterator[TakeEvent]:
        for event in self.take_events:
            yield event
        await self.closed.wait()

    async def close(self) -> None:
        self.closed.set()


class Listener:
    """The use case for events. It raises the given errors first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.received: list[str] = []

    async def on_event(self, recording_id: str, event: Event) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.received.append(recording_id)


def background(work: Work, recorder: Recorder, listener: Listener, wake: WakeSignal) -> BackgroundWork:
    return BackgroundWork(cast("Upkeep", work), cast("LocalRecorder", recorder), cast("Recordings", listener), wake)


async def until(condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - test doubles have no event to wait for
        await asyncio.sleep(0.01)
    assert condition()


async def test_all_due_steps_run_a_few_at_a_time() -> None:
    work, wake = Work(due=50), WakeSignal()
    steps = StepRunner(cast("Upkeep", work), wake, {Kind.FINALIZE: Share(3)})
    running = asyncio.create_task(steps.run())
    await until(lambda: work.done == 50)
    assert work.most == 3
    steps.stop()
    await running


async def test_a_reserved_slot_starts_a_step_without_a_claim() -> None:
    work, early = Work(), EarlySteps()
    work.gate.clear()
    steps = StepRunner(cast("Upkeep", work), WakeSignal(), {Kind.FINALIZE: Share(3, 2)}, early)
    assert early.reserve("a") is None, "before the server has recovered"
    running = asyncio.create_task(steps.run())
    await until(lambda: early.runner is not None)
    await asyncio.sleep(0)
    first, second, other = (early.reserve(account) for account in ("a", "a", "b"))
    assert first is not None
    assert second is not None
    assert other is not None
    assert early.reserve("a") is None, "the account has its share"
    assert early.reserve("c") is None, "there is no slot"
    other.free()
    second.free_unclear("id")
    assert work.checked_later == ["id"]
    first.start(cast("Recording", Due(Kind.FINALIZE)))
    assert steps.running == (1, 0)
    work.gate.set()
    await until(lambda: work.done == 1)
    steps.stop()
    assert early.reserve("a") is None, "the server stops"
    await running


async def test_an_early_step_does_not_pass_due_ones() -> None:
    work, early = Work(due=9), EarlySteps()
    work.gate.clear()
    steps = StepRunner(cast("Upkeep", work), WakeSignal(), {Kind.FINALIZE: Share(8, 7)}, early)
    running = asyncio.create_task(steps.run())
    await until(lambda: work.running == 8)
    assert early.reserve("b") is None
    work.gate.set()
    await until(lambda: work.done == 9 and early.reserve("b") is not None)
    steps.stop()
    await running


class KindsOfWork(Work):
    """Work of several kinds and accounts, claimed as from a store. The steps of a kind in `held` wait for the gate."""

    def __init__(self, *due: Due, held: Kind) -> None:
        super().__init__()
        self.gate.clear()
        self.queue = list(due)
        self.held = held
        self.steps: list[Due] = []

    async def claim(self, work: Kind, limit: int, turn: Any, running: Any = None, most: int = 0) -> Sequence[Any]:
        counts, claimed = Counter(running), list[Due]()
        for due in [each for each in self.queue if each.kind is work]:
            if len(claimed) < limit and counts[due.account_id] < most:
                counts[due.account_id] += 1
                claimed.append(due)
                self.queue.remove(due)
        return claimed

    async def step(self, recording: Any) -> Any:
        self.steps.append(recording)
        if recording.kind is self.held:
            await self.gate.wait()
        self.done += 1
        return recording


@pytest.mark.parametrize("held", [Kind.DELIVER, Kind.PURGE, Kind.EXPIRE])
async def test_no_kind_of_work_delays_another_one(held: Kind) -> None:
    others = [Due(kind, str(number)) for kind in Kind if kind is not held for number in range(20)]
    work, wake = KindsOfWork(*[Due(held)] * 500, *others, held=held), WakeSignal()
    steps = StepRunner(cast("Upkeep", work), wake)
    running = asyncio.create_task(steps.run())
    await until(lambda: work.done == len(others))
    steps.stop()
    await running
    assert 1 <= sum(each.kind is held for each in work.steps) <= 18
    work.gate.set()
    await steps.finish(5)


async def test_one_account_leaves_slots_to_others() -> None:
    due = [Due(Kind.DELIVER, "large")] * 20 + [Due(Kind.DELIVER, "small"), Due(Kind.DELIVER, "tiny")]
    work = KindsOfWork(*due, held=Kind.DELIVER)
    steps = StepRunner(cast("Upkeep", work), WakeSignal(), {Kind.DELIVER: Share(8, 6)})
    await steps.claim()
    await until(lambda: len(work.steps) == 8)
    assert [each.account_id for each in work.steps] == ["large"] * 6 + ["small", "tiny"]
    work.gate.set()
    await steps.finish(5)
    # A finished step frees a slot, also for the same account.
    await steps.claim()
    await until(lambda: work.done == 14)
    await steps.finish(5)


async def test_old_work_is_claimed_when_several_of_its_steps_have_ended() -> None:
    work = KindsOfWork(*[Due(Kind.PURGE, str(number)) for number in range(40)], held=Kind.PURGE)
    steps = StepRunner(cast("Upkeep", work), WakeSignal(), {Kind.PURGE: Share(8, is_old=True)})
    await steps.claim()
    await until(lambda: len(work.steps) == 8)
    await steps.claim()
    assert len(work.queue) == 32
    work.gate.set()
    await steps.finish(5)
    await steps.claim()
    await until(lambda: work.done == 16)
    # A server that stops claims no old work.
    steps.stop()
    await steps.claim()
    assert (work.done, len(work.queue)) == (16, 24)


async def test_a_wake_signal_ends_the_wait_immediately() -> None:
    work, wake = Work(), WakeSignal()
    steps = StepRunner(cast("Upkeep", work), wake)
    running = asyncio.create_task(steps.run())
    await asyncio.sleep(0.05)
    work.due = 1
    began = asyncio.get_running_loop().time()
    wake()
    await until(lambda: work.done)
    assert asyncio.get_running_loop().time() - began < 0.9
    steps.stop()
    await running


async def test_an_unreachable_store_does_not_end_the_loop() -> None:
    work, wake = Work(due=1), WakeSignal()
    work.faults = 2
    steps = StepRunner(cast("Upkeep", work), wake)
    running = asyncio.create_task(steps.run())
    await asyncio.sleep(0.01)
    wake()
    await asyncio.sleep(0.01)
    wake()
    await until(lambda: work.done)
    steps.stop()
    await running


async def test_steps_that_do_not_finish_in_time_are_cancelled() -> None:
    work, wake = Work(due=1), WakeSignal()
    work.gate.clear()
    steps = StepRunner(cast("Upkeep", work), wake)
    await steps.claim()
    await asyncio.sleep(0)
    await steps.finish(0.05)
    assert (work.done, work.running) == (0, 1)


@pytest.mark.parametrize("failure", [ConnectionError("unreachable"), TimeoutError(), Conflict("it keeps changing")])
async def test_recorder_events_are_retried_until_the_store_is_back(failure: Exception) -> None:
    take_events = [TakeEvent(name, Ended(at=1, cause=EndCause.HANGUP)) for name in ("one", "two")]
    listener, recorder = Listener(failure, failure), Recorder(*take_events)
    work_of_server = background(Work(), recorder, listener, WakeSignal())
    await work_of_server.start()
    await until(lambda: listener.received == ["one", "two"])
    await work_of_server.stop(5)


async def test_a_rejected_event_is_skipped() -> None:
    take_events = [TakeEvent(name, Ended(at=1, cause=EndCause.HANGUP)) for name in ("one", "two")]
    listener, recorder = Listener(InvalidState("no")), Recorder(*take_events)
    work_of_server = background(Work(), recorder, listener, WakeSignal())
    await work_of_server.start()
    await until(lambda: listener.received == ["two"])
    await work_of_server.stop(5)


@pytest.mark.parametrize(("state", "stopped"), [(State.FAILED, ["one"]), (State.RECORDING, [])])
async def test_a_take_that_begins_too_late_is_stopped(state: State, stopped: list[str]) -> None:
    stop_calls: list[str] = []

    class RecorderWithStop(Recorder):
        async def stop(self, recording_id: str) -> None:
            stop_calls.append(recording_id)

    class ListenerWithState(Listener):
        async def on_event(self, recording_id: str, event: Event) -> Any:
            self.received.append(recording_id)
            return replace(recording(id=recording_id), state=state) if recording_id == "one" else None

    listener, recorder = (
        ListenerWithState(),
        RecorderWithStop(*(TakeEvent(name, Begun(at=1)) for name in ("one", "unknown", "two"))),
    )
    work = Work()
    work_of_server = background(work, recorder, listener, WakeSignal())
    await work_of_server.start()
    await until(lambda: listener.received == ["one", "unknown", "two"])
    await work_of_server.stop(5)
    assert stop_calls == work.checked_later == stopped


async def test_lost_recordings_of_this_spool_are_resumed_periodically(monkeypatch: pytest.MonkeyPatch) -> None:
    class AdoptingWork(Work):
        calls = 0

        async def adopt(self) -> Sequence[Recording]:
            self.calls += 1
            if self.calls == 1:
                message = "the store is unreachable"
                raise ConnectionError(message)
            self.due += 1
            return [recording()]

    monkeypatch.setattr("graph.server.background_work._ADOPT_SECONDS", 0.01)
    work = AdoptingWork()
    work_of_server = background(work, Recorder(), Listener(), WakeSignal())
    await work_of_server.start()
    await until(lambda: work.done)
    await work_of_server.check()
    await work_of_server.stop(5)


async def test_check_raises_unless_the_work_runs() -> None:
    work_of_server = background(Work(), Recorder(), Listener(), WakeSignal())
    with pytest.raises(RuntimeError, match="not running"):
        await work_of_server.check()
    await work_of_server.start()
    await work_of_server.check()
    await work_of_server.stop(5)
    with pytest.raises(RuntimeError, match="steps"):
        await work_of_server.check()


async def test_stop_closes_the_recorder_and_runs_the_steps_that_become_due() -> None:
    work, recorder, listener = Work(), Recorder(), Listener()
    work_of_server = background(work, recorder, listener, WakeSignal())
    await work_of_server.start()
    assert work.recovered
    work.due = 2
    await work_of_server.stop(5)
    assert recorder.closed.is_set()
    assert work.done == 2


async def test_an_unreachable_store_at_the_end_does_not_cancel_running_steps() -> None:
    work, recorder = Work(due=1), Recorder()
    work.gate.clear()
    work_of_server = background(work, recorder, Listener(), WakeSignal())
    await work_of_server.start()
    await until(lambda: work.running)
    work.faults = 1
    stopping = asyncio.create_task(work_of_server.stop(20))
    await until(lambda: not work.faults)
    work.gate.set()
    await stopping
    assert work.done == 1


async def test_claims_that_keep_failing_end_the_readiness_until_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.server.step_runner._POLL_SECONDS", 0.01)
    work, wake = Work(), WakeSignal()
    running = background(work, Recorder(), Listener(), wake)
    await running.start()
    await running.check()
    work.faults = 1_000
    await until(lambda: running._steps.failed_claims >= MAX_FAILED_CLAIMS)
    with pytest.raises(RuntimeError, match=r"claims of due work failed"):
        await running.check()
    work.faults = 0
    wake()
    await until(lambda: not running._steps.failed_claims)
    await running.check()
    await running.stop(5)


async def test_an_event_that_is_not_saved_for_long_ends_the_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.server.background_work.MAX_UNSAVED_SECONDS", 0.05)
    event = TakeEvent("202611-a", Ended(at=1, cause=EndCause.HANGUP))
    running = background(Work(), Recorder(event), Listener(*[ValueError()] * 5), WakeSignal())
    await running.start()
    await until(lambda: running._events.failing_seconds > 0.05)
    with pytest.raises(RuntimeError, match="events of recorders cannot be saved"):
        await running.check()
    await running.stop(5)
