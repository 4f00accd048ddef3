"""Revoked tokens of this service."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from adapters.identity.tokens import LEEWAY, Token
from recordings.model.instants import LATEST, SECOND
from recordings.ports.account_stores import AccountStore
from recordings.use_cases.access_control import TTL

_MARGIN: Final = 60 * SECOND + LEEWAY * SECOND
"""The time that a revocation outlives its token. The store deletes revocations by its own clock."""
_MAX_CACHED: Final = 4_096


class Revocations:
    """Revokes tokens, and finds out whether a token is revoked. Each result is cached for `TTL` seconds.

    Callers pass only tokens with a valid signature, so invented tokens cannot fill the cache.
    """

    def __init__(self, store: AccountStore, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._cache: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def revoke(self, token: Token) -> None:
        """Revoke a token. On return the revocation is stored, and this process rejects the token."""
        await self._store.revoke_token(token.id, min(token.expires + _MARGIN, LATEST))
        self._remember(token.id, revoked=True)

    async def is_revoked(self, token: Token) -> bool:
        """Return true if a token is revoked. A revocation by another process counts after at most `TTL` seconds."""
        entry = self._cache.get(token.id)
        if entry is not None and (entry[1] or entry[0] > self._seconds()):
            return entry[1]
        revoked = await self._store.is_token_revoked(token.id)
        # This process may have revoked the token during the query. A revoked token stays revoked.
        newer = self._cache.get(token.id)
        revoked = revoked or (newer is not None and newer[1])
        self._remember(token.id, revoked=revoked)
        return revoked

    def _remember(self, token_id: str, *, revoked: bool) -> None:
        self._cache[token_id] = (self._seconds() + TTL, revoked)
        self._cache.move_to_end(token_id)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
