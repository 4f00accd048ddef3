"""Turns at something: in order, between those who wait, and never lost."""

import asyncio

from adapters.audio.fair_queue import FairQueue


class Line:
    """People who take turns at one thing, and how it went."""

    def __init__(self, at_once: int = 1) -> None:
        self.turns = FairQueue(at_once)
        self.had: list[str] = []
        self.go = asyncio.Event()

    async def come(self, whose: str) -> None:
        async with self.turns.turn(whose):
            self.had.append(whose)
            await self.go.wait()

    async def stand(self, *them: str) -> list[asyncio.Task[None]]:
        """Have them come, in this order, until all stand where they stand."""
        tasks = [asyncio.create_task(self.come(whose)) for whose in them]
        await asyncio.sleep(0)
        return tasks


async def test_whoever_has_many_waiting_has_one_turn_as_everybody_has() -> None:
    line = Line()
    tasks = await line.stand("many", "many", "many", "many", "one", "two", "two")
    line.go.set()
    await asyncio.gather(*tasks)
    assert line.had == ["many", "many", "one", "two", "many", "two", "many"]


async def test_so_many_at_once_and_no_more() -> None:
    line = Line(2)
    tasks = await line.stand("a", "a", "a", "b")
    assert line.had == ["a", "a"]
    line.go.set()
    await asyncio.gather(*tasks)
    assert line.had == ["a", "a", "a", "b"]
    # All are free again.
    line.go.clear()
    tasks = await line.stand("c", "c", "c")
    assert line.had[4:] == ["c", "c"]
    line.go.set()
    await asyncio.gather(*tasks)


async def test_a_turn_is_not_lost_with_whoever_does_not_want_it_any_more() -> None:
    line = Line()
    first, second, third, fourth = await line.stand("a", "b", "c", "d")
    second.cancel()
    await asyncio.sleep(0)
    # It is the third's turn when the first goes, and it goes at the same moment.
    first.cancel()
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.wait([first, second, third])
    line.go.set()
    await asyncio.wait_for(fourth, 20)
    assert line.had == ["a", "d"]
    await asyncio.gather(*await line.stand("e"))
