"""The shares of accounts in the disk of the spool."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

MIN_COUNTED: Final = 1_024
"""How many uploads are noted before the ones that have left the spool are forgotten."""


class SpoolUse:
    """The bytes of uploads on the disk, by recording and account, from their arrival until they are stored.

    It knows the uploads of this process. `ids` returns the recordings that still have files in the spool.
    """

    def __init__(self, percent: int, ids: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._percent = percent
        self._ids = ids
        self._files: dict[str, tuple[str, int]] = {}
        self._bytes: Counter[str] = Counter()
        self._enough = MIN_COUNTED

    def note(self, recording_id: str, account_id: str, length: int) -> None:
        """Note the size of an upload."""
        self._forget(recording_id)
        self._files[recording_id] = account_id, length
        self._bytes[account_id] += length

    async def is_over_share(self, account_id: str, length: int, free: int) -> bool:
        """Return true if an account would use more than its share with another `length` bytes. `free` is for all."""
        if len(self._files) < self._enough and not self._exceeds(account_id, length, free):
            return False
        stored = set(await self._ids())
        for name in [name for name in self._files if name not in stored]:
            self._forget(name)
        # The next look at the spool is as far away as this one was long.
        self._enough = MIN_COUNTED + 2 * len(self._files)
        return self._exceeds(account_id, length, free)

    def _forget(self, recording_id: str) -> None:
        account_id, length = self._files.pop(recording_id, ("", 0))
        self._bytes[account_id] -= length
        if not self._bytes[account_id]:
            del self._bytes[account_id]

    def _exceeds(self, account_id: str, length: int, free: int) -> bool:
        return self._bytes[account_id] + length > (free + self._bytes.total()) * self._percent // 100
