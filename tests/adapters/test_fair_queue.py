"""The fair queue: owners take turns, requests keep their order, and no slot is lost."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from adapters.fair_queue import HALF_LIFE, FairQueue


class Requests:
    """Requests for the slots of a queue, and the order in which their owners got one."""

    def __init__(self, at_once: int = 1) -> None:
        self.now = 0.0
        self.queue = FairQueue(at_once, lambda: self.now)
        self.served: list[str] = []
        self.finish = asyncio.Event()

    async def request(self, owner: str, seconds: float = 0, *, is_long: bool = False) -> None:
        async with self.queue.slot(owner, is_long=is_long):
            self.served.append(owner)
            await self.finish.wait()
            self.now += seconds

    async def start(self, *owners: str) -> list[asyncio.Task[None]]:
        """Start a request for each owner, in this order, until each has a slot or waits."""
        tasks = [asyncio.create_task(self.request(owner)) for owner in owners]
        await asyncio.sleep(0)
        return tasks


async def test_an_owner_with_many_requests_takes_turns_with_the_others() -> None:
    requests = Requests()
    tasks = await requests.start("many", "many", "many", "many", "one", "two", "two")
    requests.finish.set()
    await asyncio.gather(*tasks)
    assert requests.served == ["many", "many", "one", "two", "many", "two", "many"]


async def test_the_number_of_slots_is_a_limit() -> None:
    requests = Requests(2)
    tasks = await requests.start("a", "a", "a", "b")
    assert requests.served == ["a", "b"]
    requests.finish.set()
    await asyncio.gather(*tasks)
    assert requests.served == ["a", "b", "a", "a"]
    # All slots are free again.
    requests.finish.clear()
    tasks = await requests.start("c", "d", "d", "c")
    assert requests.served[4:] == ["c", "d"]
    requests.finish.set()
    await asyncio.gather(*tasks)


async def test_the_owner_that_used_least_comes_first() -> None:
    requests = Requests()
    requests.finish.set()
    await requests.request("a", 30)
    await requests.request("b", 2)
    requests.finish.clear()
    tasks = await requests.start("holder", "a", "b", "c", "a", "b")
    requests.finish.set()
    await asyncio.gather(*tasks)
    assert requests.served[2:] == ["holder", "c", "b", "b", "a", "a"]


async def test_use_counts_less_with_time() -> None:
    requests = Requests()
    requests.finish.set()
    await requests.request("a", 16)
    requests.now += 4 * HALF_LIFE
    await requests.request("b", 2)
    requests.finish.clear()
    tasks = await requests.start("holder", "b", "a")
    requests.finish.set()
    await asyncio.gather(*tasks)
    assert requests.served[2:] == ["holder", "a", "b"]


async def test_long_work_of_one_owner_leaves_a_slot_to_short_work_and_one_to_others() -> None:
    requests = Requests(4)
    long = [asyncio.create_task(requests.request("a", is_long=True)) for _ in range(9)]
    await asyncio.sleep(0)
    assert requests.served == ["a", "a"]
    long += [asyncio.create_task(requests.request(owner, is_long=True)) for owner in "bc"]
    await asyncio.sleep(0)
    assert requests.served == ["a", "a", "b"]
    short = await requests.start("a", "d")
    assert requests.served == ["a", "a", "b", "a"]
    requests.finish.set()
    await asyncio.gather(*long, *short)
    # Short work comes first, and then the owner of long work that has none in progress.
    assert requests.served[4:] == ["d", "c", *"aaaaaaa"]


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
async def test_each_request_gets_a_slot_and_no_slot_is_lost(at_once: int, wanted: list[tuple[str, bool]]) -> None:
    requests = Requests(at_once)
    requests.finish.set()
    await asyncio.gather(*(requests.request(owner, is_long=is_long) for owner, is_long in wanted))
    assert sorted(requests.served) == sorted(owner for owner, _ in wanted)
    requests.finish.clear()
    again = await requests.start("x", "y", "z", "x")
    assert len(requests.served) == len(wanted) + min(at_once, 4)
    requests.finish.set()
    await asyncio.gather(*again)


async def test_a_cancelled_request_passes_its_slot_on() -> None:
    requests = Requests()
    first, second, third, fourth = await requests.start("a", "b", "c", "d")
    second.cancel()
    await asyncio.sleep(0)
    # The third gets the slot of the first, and is cancelled at the same moment.
    first.cancel()
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.wait([first, second, third])
    requests.finish.set()
    await asyncio.wait_for(fourth, 20)
    assert requests.served == ["a", "d"]
    await asyncio.gather(*await requests.start("e"))
