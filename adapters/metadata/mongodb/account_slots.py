"""A limit for the queries of one account that run at the same time, so that they leave connections to the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from adapters.metadata.account_turns import TURN_SECONDS
from recordings.model.errors import TooManyQueries


class AccountSlots:
    """Slots for each account. An account without running queries takes no memory.

    A query waits up to `seconds` for its turn. Then `check` raises an error if the others wait for the store, too.
    """

    def __init__(self, per_account: int, check: Callable[[], Awaitable[object]], seconds: float = TURN_SECONDS) -> None:
        self._per_account = per_account
        self._check = check
        self._seconds = seconds
        self._semaphores: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def slot(self, account_id: str) -> AsyncIterator[None]:
        """Wait for a slot of an account, and occupy it. Raises `TooManyQueries`."""
        self._users[account_id] += 1
        semaphore = self._semaphores.setdefault(account_id, asyncio.Semaphore(self._per_account))
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await semaphore.acquire()
            except TimeoutError as error:
                await self._check()
                raise TooManyQueries from error
            try:
                yield
            finally:
                semaphore.release()
        finally:
            self._users[account_id] -= 1
            if not self._users[account_id]:
                del self._users[account_id], self._semaphores[account_id]
