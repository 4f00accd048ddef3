"""Tokens of ours that were ended before their time."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from adapters.identity.hashed_credentials import TTL
from adapters.identity.tokens import LEEWAY, Token
from recordings.model.instants import LATEST, SECOND
from recordings.ports.account_stores import AccountStore

_MARGIN: Final = 60 * SECOND + LEEWAY * SECOND
"""How much longer than the token an end is kept: a store forgets by a clock of its own."""
_KEPT: Final = 4_096


class Revocations:
    """Ends tokens, and tells of one whether it was: from the store, or from what that said less than `TTL` ago.

    Only tokens whose signature holds are asked for, so nobody can fill this with what they made up.
    """

    def __init__(self, store: AccountStore, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def end(self, token: Token) -> None:
        """End a token. It is kept before this returns, and known here from then on."""
        await self._store.revoke_token(token.id, min(token.until + _MARGIN, LATEST))
        self._remember(token.id, ended=True)

    async def ended(self, token: Token) -> bool:
        """Whether a token was ended, here or (a few seconds ago at least) by another process."""
        known = self._known.get(token.id)
        if known is not None and (known[1] or known[0] > self._seconds()):
            return known[1]
        ended = await self._store.is_token_revoked(token.id)
        # It may have been ended here while the store was asked, and what is ended stays so.
        now_known = self._known.get(token.id)
        ended = ended or (now_known is not None and now_known[1])
        self._remember(token.id, ended=ended)
        return ended

    def _remember(self, token_id: str, *, ended: bool) -> None:
        self._known[token_id] = (self._seconds() + TTL, ended)
        self._known.move_to_end(token_id)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
