"""New documents are read in turns, and reading leaves time for everything else."""

import asyncio

import pytest

from graph.execution.reading_turns import BURST, SHARE, ReadingTurns


class Time:
    """A clock that moves when something reads or sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept = 0.0
        yielding = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.now += seconds
            self.slept += seconds
            await yielding(0)

        monkeypatch.setattr("asyncio.sleep", sleep)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


async def test_a_burst_is_read_at_once_and_then_a_quarter_of_the_time(time: Time) -> None:
    turns = ReadingTurns(time)

    def read() -> None:
        time.now += 0.05

    for _ in range(round(BURST / 0.05)):
        turns.note_other_work()
        await turns.read("one", read)
    assert time.slept == 0
    began = time.now
    for _ in range(100):
        turns.note_other_work()
        await turns.read("one", read)
    assert 100 * 0.05 / (time.now - began) == pytest.approx(SHARE, abs=0.01)


async def test_without_other_work_there_is_no_pause(time: Time) -> None:
    turns = ReadingTurns(time)

    def read() -> None:
        time.now += 0.05

    for _ in range(100):
        await turns.read("one", read)
    assert time.slept == 0


async def test_callers_take_turns_and_errors_end_one(time: Time) -> None:
    turns, order = ReadingTurns(time), list[str]()

    def read(name: str) -> None:
        time.now += 0.02
        order.append(name)
        if name == "flood":
            raise ValueError(name)

    floods = [asyncio.create_task(turns.read("flood", lambda: read("flood"))) for _ in range(40)]
    await asyncio.sleep(0)
    await turns.read("other", lambda: read("other"))
    assert order.index("other") <= 3
    results = await asyncio.gather(*floods, return_exceptions=True)
    assert all(isinstance(each, ValueError) for each in results)
    assert len(order) == 41


async def test_a_cancelled_caller_leaves_the_queue(time: Time) -> None:
    turns = ReadingTurns(time)
    waiting = [asyncio.create_task(turns.read(name, lambda: None)) for name in "abc"]
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await turns.read("d", lambda: 4) == 4
