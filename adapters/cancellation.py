"""Cancel tasks so that they really end."""

import asyncio
from typing import Any, Final

AGAIN_SECONDS: Final = 3.0
"""After this long, a task that goes on is cancelled again."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when all have ended. Their errors are ignored.

    `asyncio.wait_for` of Python 3.11, which MongoDB's driver uses, swallows a cancellation that comes at the same time
    as its result. The task then goes on as if nothing had happened.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
