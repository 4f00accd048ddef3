"""The shares of accounts in the disk of the spool."""

from collections.abc import Awaitable, Callable, Sequence


class SpoolUse:
    """The bytes of uploads on the disk, by recording and account, from their arrival until they are stored.

    It knows the uploads of this process. `ids` returns the recordings that still have files in the spool.
    """

    def __init__(self, percent: int, ids: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._percent = percent
        self._ids = ids
        self._files: dict[str, tuple[str, int]] = {}

    def note(self, recording_id: str, account_id: str, length: int) -> None:
        """Note the size of an upload."""
        self._files[recording_id] = account_id, length

    async def is_over_share(self, account_id: str, length: int, free: int) -> bool:
        """Return true if an account would use more than its share with another `length` bytes. `free` is for all."""
        if not self._exceeds(account_id, length, free):
            return False
        stored = set(await self._ids())
        self._files = {name: use for name, use in self._files.items() if name in stored}
        return self._exceeds(account_id, length, free)

    def _exceeds(self, account_id: str, length: int, free: int) -> bool:
        own = sum(size for account, size in self._files.values() if account == account_id)
        total = sum(size for _, size in self._files.values())
        return own + length > (free + total) * self._percent // 100
