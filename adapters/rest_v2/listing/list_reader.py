"""Reads the matches of a listing, chunk by chunk, in bounded memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.rest_v2.listing.list_filters import Filters
from adapters.rest_v2.listing.list_query import Plan
from adapters.rest_v2.recording.visibility import FIELDS, IS_SHOWN, document_of, filtered, listed
from recordings.model.account import Principal
from recordings.model.query import MAX_PAGE, And, Page, PageRequest, Position, Query, position_of
from recordings.model.recording import Row

Documents = list[dict[str, Any]]


class Pages(Protocol):
    """The use cases of `recordings.use_cases.recordings` that listings need."""

    async def page(self, principal: Principal, query: Query, request: PageRequest) -> Page:
        """One page of a query."""

    async def count(self, principal: Principal, query: Query) -> int:
        """How many recordings a query has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is listed: for whom, of which account or owner, how, and what is kept of it."""

    principal: Principal
    account_id: str
    plan: Plan
    filters: Filters

    @property
    def query(self) -> Query:
        """As much of it as a store can answer."""
        where = And((IS_SHOWN, self.plan.written, *self.filters.conditions))
        return Query(account_id=self.account_id, owner_id=self.plan.owner, where=where, order=self.plan.order)

    def item(self, row: Row) -> dict[str, Any] | None:
        """A row as an item; `None` if the filters do not keep it."""
        if self.filters.checks and not self.filters.keeps(filtered(row, self.principal)):
            return None
        return listed(document_of(row, self.principal), row)


class Scan:
    """One reading of a listing. `count` and `next_key` are whole once `chunks` has come to its end."""

    def __init__(self, pages: Pages, listing: Listing) -> None:
        self._pages = pages
        self._listing = listing
        self.count = 0
        self.next_key: str | None = None

    async def chunks(self) -> AsyncGenerator[Documents]:
        """The matches, until the page is full or there are no more. A chunk may be empty."""
        after, more = self._listing.plan.after, True
        while more and self.next_key is None:
            page = await self._page(after)
            chunk = self._take(page)
            self.count += len(chunk)
            yield chunk
            more = page.has_more
            if more:
                after = position_of(self._listing.plan.order, page.rows[-1])

    async def total(self) -> int:
        """How many rows there are to read, at most."""
        return await self._pages.count(self._listing.principal, self._listing.query)

    async def _page(self, after: Position | None) -> Page:
        request = PageRequest(limit=self._limit(), after=after, fields=FIELDS)
        return await self._pages.page(self._listing.principal, self._listing.query, request)

    def _limit(self) -> int:
        wanted = self._listing.plan.page_size
        # What the filters drop is not known before. Otherwise one more than wanted says where the next page begins.
        return MAX_PAGE if wanted is None or self._listing.filters.checks else min(MAX_PAGE, wanted - self.count + 1)

    def _take(self, page: Page) -> Documents:
        wanted = self._listing.plan.page_size
        taken: Documents = []
        for row in page.rows:
            item = self._listing.item(row)
            if item is None:
                continue
            if wanted is not None and self.count + len(taken) >= wanted:
                self.next_key = self._listing.plan.key_of(row)
                break
            taken.append(item)
        return taken
