"""A limit for the queries of one account that run at the same time, so that they leave connections to the others."""

from asyncio import Semaphore
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class AccountSlots:
    """Slots for each account. An account without running queries takes no memory."""

    def __init__(self, per_account: int) -> None:
        self._per_account = per_account
        self._semaphores: dict[str, Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def slot(self, account_id: str) -> AsyncIterator[None]:
        """Wait for a slot of an account, and occupy it."""
        self._users[account_id] += 1
        try:
            async with self._semaphores.setdefault(account_id, Semaphore(self._per_account)):
                yield
        finally:
            self._users[account_id] -= 1
            if not self._users[account_id]:
                del self._users[account_id], self._semaphores[account_id]
