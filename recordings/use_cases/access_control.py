"""Checks that credentials are still valid: their account, their user, their API key, and the time of their token."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from recordings.model.account import AccessState, Principal
from recordings.model.errors import Unauthenticated
from recordings.ports.account_stores import AccessStore

TTL: Final = 2.5
"""Seconds that a lookup is cached. A change applies on every server after this time.

With the interval at which open streams are checked, this is less than five seconds.
"""
_MAX_CACHED: Final = 4_096


class AccessControl:
    """Rejects credentials of disabled and deleted accounts and users, of revoked keys, and of ended tokens."""

    def __init__(self, store: AccessStore, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._cache: OrderedDict[tuple[str, frozenset[str], str | None], tuple[float, AccessState]] = OrderedDict()

    async def check(self, principal: Principal) -> None:
        """Raise `Unauthenticated` if the principal's credentials are no longer valid."""
        if not await self.is_valid(principal):
            message = "these credentials are not valid: unknown, expired or revoked"
            raise Unauthenticated(message)

    async def is_valid(self, principal: Principal) -> bool:
        """Return true if the principal's credentials are still valid."""
        state = await self._state(principal)
        return state.is_valid and (principal.issued is None or principal.issued >= state.not_before)

    async def _state(self, principal: Principal) -> AccessState:
        key = (principal.account_id, principal.people, principal.key_id)
        now = self._seconds()
        entry = self._cache.get(key)
        if entry is None or entry[0] <= now:
            entry = (now + TTL, await self._store.access_state(*key))
            self._cache[key] = entry
            self._cache.move_to_end(key)
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return entry[1]
