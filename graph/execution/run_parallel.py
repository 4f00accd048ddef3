"""Actions of one request that run at the same time."""

from asyncio import Semaphore, gather
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
AT_A_TIME: Final = 8
"""How many actions of one request run at the same time. So one request does not occupy the whole store."""


async def run_parallel(actions: Sequence[Callable[[], Awaitable[T]]]) -> list[T | BaseException]:
    """Run all actions, a few at a time. Return their results or exceptions in their order."""
    turns = Semaphore(AT_A_TIME)

    async def run(action: Callable[[], Awaitable[T]]) -> T:
        async with turns:
            return await action()

    return await gather(*map(run, actions), return_exceptions=True)
