"""Reading the audit trail of an account. It needs the scope ADMIN, because it shows what other people did."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import (
    AuditAction,
    AuditEntry,
    AuditFilter,
    AuditObject,
    ChainName,
    StoredEntry,
    end_of,
)
from recordings.model.errors import Forbidden, InvalidInput
from recordings.model.query import MAX_DESCENDANTS, MAX_PAGE, Position
from recordings.ports.audit import Audit, Refusals
from recordings.ports.audit_store import TrailPage
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.audit_chain import read_entry
from recordings.use_cases.authorized import Authorized

_COMPLETED: Final = {AuditAction.PLAY, AuditAction.DOWNLOAD, AuditAction.EXPORT}
Running = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Returns the ranges and seconds of the running plays of this process, by the id of their entry."""


@dataclass(frozen=True, slots=True)
class TrailItem:
    """An entry, with its position. A play has its ranges and seconds, and an export its number of rows."""

    entry: AuditEntry
    stored: StoredEntry

    @property
    def position(self) -> Position:
        """The position in a list."""
        return Position(self.stored.at, self.stored.id)


@dataclass(frozen=True, slots=True)
class TrailSlice:
    """A page of the trail, newest first. `rest` is the position after which older entries follow."""

    items: Sequence[TrailItem]
    rest: Position | None


class AuditLog:
    """Lists entries of the audit trail."""

    def __init__(self, store: MetadataStore, audit: Audit, running: Running = dict) -> None:
        self._store = store
        self._audit = audit
        self._running = running
        self._authorized = Authorized(store)

    async def page(
        self,
        principal: Principal,
        filter: AuditFilter,
        limit: int,
        after: Position | None = None,
        *,
        descendants: bool = False,
    ) -> TrailSlice:
        """Return entries of an account, and with `descendants` those of the accounts below it. Newest first.

        A page can have fewer entries than the limit although older ones follow: see `TrailPage`.

        Raises:
            Forbidden: the principal does not have the scope ADMIN, or is limited to an owner.
            NotFound: it may not access the account.
            InvalidInput: the limit is out of bounds, or there are too many accounts.
        """
        target = AuditObject("trail", None, filter.account_id)
        with Refusals(self._audit, principal, AuditAction.READ_TRAIL, target):
            require_scope(principal, Scope.ADMIN)
            if principal.owner_id is not None:
                raise Forbidden("the credentials of one owner cannot read the audit trail")
            await self._authorized.account_id(principal, filter.account_id)
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInput.of(("first",), "maximum", limit, f"an integer from 1 to {MAX_PAGE}")
        await self._audit.flush()
        pages = [await self._store.trail_page(filter, limit, after)]
        if descendants:
            below = await self._store.accounts_below(filter.account_id, MAX_DESCENDANTS + 1)
            if len(below) > MAX_DESCENDANTS:
                allowed = f"an account with at most {MAX_DESCENDANTS} accounts below it"
                raise InvalidInput.of(("descendants",), "maxItems", f"more than {MAX_DESCENDANTS} accounts", allowed)
            for account in below:
                pages.append(await self._store.trail_page(replace(filter, account_id=account.id), limit, after))  # noqa: PERF401
        found = merged(pages, limit)
        items = await self._complete(found.entries)
        self._audit.count(principal, AuditAction.READ_TRAIL, target, rows=len(items))
        return TrailSlice(items, found.rest)

    async def operator_page(self, filter: AuditFilter, limit: int, after: Position | None = None) -> TrailSlice:
        """Return entries of an account, or of the installation, for the operator."""
        found = await self._store.trail_page(filter, limit, after)
        return TrailSlice(await self._complete(found.entries), found.rest)

    async def chains_of(self, filter: AuditFilter) -> AsyncIterator[TrailItem]:
        """Return all entries of an account in a period, chain by chain, for the operator."""
        after = ChainName(filter.account_id, "")
        names = [name for name in await self._store.chains(after) if name.account_id == filter.account_id]
        for name in names:
            last = 0
            while entries := await self._store.chain_entries(name, last):
                last = entries[-1].seq
                for each in entries:
                    late = filter.before is not None and each.at >= filter.before
                    if each.body and not late and each.at >= (filter.since or 0):
                        yield TrailItem(read_entry(each), each)

    async def _complete(self, entries: Sequence[StoredEntry]) -> list[TrailItem]:
        """Add what the entries of ended plays and exports say."""
        items = [TrailItem(read_entry(each), each) for each in entries]
        ids = [end_of(each.entry.id) for each in items if each.entry.action in _COMPLETED]
        ends = {each.id: read_entry(each) for each in await self._store.entries_by_id(ids)} if ids else {}
        running = self._running()
        return [_with_end(each, ends.get(end_of(each.entry.id)), running.get(each.entry.id)) for each in items]


def _with_end(item: TrailItem, end: AuditEntry | None, running: Mapping[str, Any] | None) -> TrailItem:
    more = running if end is None else end.details
    if more is None:
        return item
    details = {**item.entry.details, **more, "ended": None if end is None else end.at}
    return replace(item, entry=replace(item.entry, details=details))


def merged(pages: Sequence[TrailPage], limit: int) -> TrailPage:
    """Return one page of the trails of several accounts. No page is read further than the shortest one."""
    entries = sorted((each for page in pages for each in page.entries), key=_rank, reverse=True)
    # Beyond the end of a page that stopped early, other entries of its account may follow.
    horizon = max((_key(page.rest) for page in pages if page.rest is not None), default=None)
    shown = [each for each in entries if horizon is None or _rank(each) >= horizon][:limit]
    if len(shown) == limit and (len(entries) > limit or horizon is not None):
        return TrailPage(shown, Position(shown[-1].at, shown[-1].id))
    return TrailPage(shown, None if horizon is None else Position(*horizon))


def _rank(entry: StoredEntry) -> tuple[int, str]:
    return entry.at, entry.id


def _key(position: Position) -> tuple[int, str]:
    return int(position.key or 0), position.id
