"""The use cases for quotas: what an account uses, and whether it may record more."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.account import Account, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.call import Call
from recordings.model.errors import Forbidden, QueryTooBroad, QuotaExceeded
from recordings.model.instants import DAY, SECOND, Millis
from recordings.model.quota import STORED_KINDS, Quota, QuotaKind, Usage
from recordings.model.recording import Shelf
from recordings.model.stats import Figures, Period, PeriodField
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.time_buckets import EARLIEST_EDGE, LATEST_EDGE
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.recording_stats import RecordingStats

FRESH: Final[Millis] = 5 * SECOND
"""How long figures of the store are used again. Recordings that this server accepted meanwhile are added."""
_MAX_CACHED: Final = 4_096
_ALL_TIME: Final = Period(EARLIEST_EDGE, LATEST_EDGE)

LiveCalls = Callable[[], Sequence[Call]]


@dataclass(frozen=True, slots=True)
class _Measured:
    at: Millis
    bytes: int
    recordings: int
    audio_ms: int


class Quotas:
    """Checks the quotas of accounts. Accounts without quotas cost no read."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit, streams: LiveCalls = tuple) -> None:
        """`streams` returns the calls whose streams this server receives now."""
        self._audit = audit
        self._store = store
        self._clock = clock
        self._stats = RecordingStats(store, clock, audit)
        self._authorized = Authorized(store)
        self._uploads: Counter[str] = Counter()
        self._streams = streams
        self._measured: OrderedDict[str, _Measured] = OrderedDict()
        self._accepted: Counter[str] = Counter()

    async def quota(self, principal: Principal, account_id: str | None = None) -> Quota:
        """Return the quotas of an account. `Forbidden` for the credentials of one owner."""
        return (await self._account(principal, account_id)).quota

    async def usage(self, principal: Principal, account_id: str | None = None) -> Usage:
        """Return what an account uses, at most five seconds old. `Forbidden` for the credentials of one owner."""
        account = await self._account(principal, account_id)
        return await self.usage_of(account.id)

    async def usage_of(self, account_id: str) -> Usage:
        """Return what an account uses, for an operator."""
        measured = await self._figures(account_id)
        return Usage(
            bytes=measured.bytes,
            recordings_per_day=measured.recordings + self._accepted[account_id],
            decoding_seconds=measured.audio_ms // SECOND,
            streams=self._count_streams(account_id),
            uploads=self._uploads[account_id],
        )

    async def require_recording(self, account: Account) -> None:
        """Raise `QuotaExceeded` if an account may not make one more recording."""
        limits = {kind: limit for kind in STORED_KINDS if (limit := account.quota.of(kind)) is not None}
        if not limits:
            return
        usage = await self.usage_of(account.id)
        for kind, limit in limits.items():
            _check(kind, usage.of(kind), limit)
        if account.id in self._measured:
            self._accepted[account.id] += 1

    async def require_stream(self, call: Call) -> None:
        """Raise `QuotaExceeded` if an account may not open the stream of one more call."""
        account = await self._store.account(call.account_id)
        limit = None if account is None else account.quota.of(QuotaKind.STREAMS)
        if limit is not None:
            _check(QuotaKind.STREAMS, self._count_streams(call.account_id, besides=call.call_id), limit)

    def require_upload(self, account: Account) -> None:
        """Raise `QuotaExceeded` if an account may not send the upload that was just counted."""
        if (limit := account.quota.of(QuotaKind.UPLOADS)) is not None:
            _check(QuotaKind.UPLOADS, self._uploads[account.id] - 1, limit)

    @contextmanager
    def upload(self, account_id: str) -> Iterator[None]:
        """Count an upload while it is received."""
        self._uploads[account_id] += 1
        try:
            yield
        finally:
            self._uploads[account_id] -= 1
            if not self._uploads[account_id]:
                del self._uploads[account_id]

    def _count_streams(self, account_id: str, besides: str | None = None) -> int:
        return sum(call.account_id == account_id and call.call_id != besides for call in self._streams())

    async def _account(self, principal: Principal, account_id: str | None) -> Account:
        with Refusals(self._audit, principal, AuditAction.LIST, AuditObject("quotas", None, account_id)):
            require_scope(principal, Scope.READ)
            account = await self._authorized.account(principal, account_id)
            if principal.owner_id is not None:
                raise Forbidden("the credentials of one owner cannot read the quotas of the account")
        self._audit.count(principal, AuditAction.LIST, AuditObject("quotas", None, account.id))
        return account

    async def _figures(self, account_id: str) -> _Measured:
        now = self._clock.now()
        found = self._measured.get(account_id)
        if found is not None and found.at <= now < found.at + FRESH:
            return found
        self._accepted.pop(account_id, None)
        stored = await self._sum(account_id, _ALL_TIME, Shelf.LIVE, Shelf.TRASH)
        today = await self._today(account_id, now)
        measured = _Measured(now, stored.bytes, today.count, today.audio_ms)
        self._measured[account_id] = measured
        self._measured.move_to_end(account_id)
        if len(self._measured) > _MAX_CACHED:
            old, _ = self._measured.popitem(last=False)
            self._accepted.pop(old, None)
        return measured

    async def _today(self, account_id: str, now: Millis) -> Figures:
        period = Period(now // DAY * DAY, now // DAY * DAY + DAY, PeriodField.CREATED)
        try:
            # A purge makes no room for another recording on the same day.
            return await self._sum(account_id, period, *Shelf)
        except QueryTooBroad:
            # So many recordings that they are not counted one by one. Their starts are nearly the same times.
            return await self._sum(account_id, replace(period, field=PeriodField.START), *Shelf)

    async def _sum(self, account_id: str, period: Period, *shelves: Shelf) -> Figures:
        total = Figures()
        for shelf in shelves:
            part = await self._stats.total(account_id, period, shelf)
            total.count += part.count
            total.bytes += part.bytes
            total.audio_ms += part.audio_ms
        return total


def _check(kind: QuotaKind, used: int, limit: int) -> None:
    if used >= limit:
        raise QuotaExceeded(kind.value, used, limit)
