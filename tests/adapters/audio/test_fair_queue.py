"""The fair queue: owners take turns, requests keep their order, and no slot is lost."""

import asyncio

from adapters.audio.fair_queue import FairQueue


class Requests:
    """Requests for the slots of a queue, and the order in which their owners got one."""

    def __init__(self, at_once: int = 1) -> None:
        self.queue = FairQueue(at_once)
        self.served: list[str] = []
        self.finish = asyncio.Event()

    async def request(self, owner: str) -> None:
        async with self.queue.slot(owner):
            self.served.append(owner)
            await self.finish.wait()

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
    assert requests.served == ["a", "a"]
    requests.finish.set()
    await asyncio.gather(*tasks)
    assert requests.served == ["a", "a", "a", "b"]
    # All slots are free again.
    requests.finish.clear()
    tasks = await requests.start("c", "c", "c")
    assert requests.served[4:] == ["c", "c"]
    requests.finish.set()
    await asyncio.gather(*tasks)


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
