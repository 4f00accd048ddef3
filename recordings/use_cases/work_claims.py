"""Claims of due work, in which each kind of work has a share and the accounts take turns."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.instants import DAY, MINUTE
from recordings.model.recording import Recording
from recordings.model.work import Work
from recordings.ports.clock import Clock
from recordings.ports.recording_store import Claim, RecordingStore

LEASE: Final = 30 * MINUTE
"""The time for a step. After that, another process may start it again. This process never starts a step twice."""
NODE_GONE_AFTER: Final = DAY
"""After a node's work is overdue for this long, other nodes treat that node as gone."""


@dataclass(slots=True)
class Turn:
    """Whose turn it is for one kind of work: `after` is the account that had the last turn."""

    after: str = ""


class WorkClaims:
    """Leases due recordings to one node."""

    def __init__(self, store: RecordingStore, clock: Clock, node: str) -> None:
        self._store = store
        self._clock = clock
        self._node = node

    async def claim_all(self, limit: int) -> Sequence[Recording]:
        """Lease up to `limit` due recordings, of all kinds of work. The oldest come first."""
        return await self._store.claim_due(self._claim(limit))

    async def claim(
        self, work: Work, limit: int, turn: Turn, running: Mapping[str, int], most_of_account: int
    ) -> Sequence[Recording]:
        """Lease up to `limit` due recordings that need this kind of work. The accounts take turns.

        `running` has the number of running steps of each account, and one account may have `most_of_account`.
        """
        claim = replace(
            self._claim(limit), work=work, after=turn.after, running=running, most_of_account=most_of_account
        )
        claimed = await self._store.claim_due(claim)
        # A claim examines a limited number of accounts. If it finds nothing, the next one begins elsewhere.
        turn.after = claimed[-1].account_id if claimed else secrets.token_hex(16)
        return claimed

    async def claim_stranded(self, limit: int) -> Sequence[Recording]:
        """Lease up to `limit` recordings whose own node has not come back."""
        return await self._store.claim_due(replace(self._claim(limit), node=None))

    def _claim(self, limit: int) -> Claim:
        now = self._clock.now()
        return Claim(
            now=now,
            until=now + LEASE,
            holder=self._node,
            node=self._node,
            limit=limit,
            overdue_before=now - NODE_GONE_AFTER,
        )
