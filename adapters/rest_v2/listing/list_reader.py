"""Reads the matching recordings of a list in chunks, with limited memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from adapters.rest_v2.listing.list_filters import Filters
from adapters.rest_v2.listing.list_query import ListQuery
from adapters.rest_v2.recording.visibility import FIELDS, IS_SHOWN, document_of, filter_document, list_item
from recordings.model.account import Principal
from recordings.model.fields import RecordingRow
from recordings.model.query import MAX_PAGE, And, Page, PageRequest, Position, Query, position_of
from recordings.use_cases.recordings import Recordings

Documents = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """A list: its principal, its account, its query and its filters."""

    principal: Principal
    account_id: str
    list_query: ListQuery
    filters: Filters

    @property
    def store_query(self) -> Query:
        """The part of the request that the store can answer."""
        where = And((IS_SHOWN, self.list_query.ended, *self.filters.conditions))
        return Query(
            account_id=self.account_id, owner_id=self.list_query.owner, where=where, order=self.list_query.order
        )

    def item(self, row: RecordingRow) -> dict[str, Any] | None:
        """Return a row as an item, or `None` if the filters exclude it."""
        if self.filters.checks and not self.filters.matches(filter_document(row, self.principal)):
            return None
        return list_item(document_of(row, self.principal), row)


class ListReader:
    """Reads one list. `count` and `next_key` are complete when `chunks` is exhausted."""

    def __init__(self, recordings: Recordings, request: ListRequest) -> None:
        self._recordings = recordings
        self._request = request
        self.count = 0
        self.next_key: str | None = None

    async def chunks(self) -> AsyncGenerator[Documents]:
        """Yield the matches until the page is full or no more exist. A chunk may be empty."""
        after, more = self._request.list_query.after, True
        while more and self.next_key is None:
            page = await self._page(after)
            chunk = self._take(page)
            self.count += len(chunk)
            yield chunk
            more = page.has_more
            if more:
                after = position_of(self._request.list_query.order, page.rows[-1])

    async def total(self) -> int:
        """Return the number of rows that the store's part of the query matches."""
        return await self._recordings.count(self._request.principal, self._request.store_query)

    async def _page(self, after: Position | None) -> Page:
        page_request = PageRequest(limit=self._limit(), after=after, fields=FIELDS)
        return await self._recordings.page(self._request.principal, self._request.store_query, page_request)

    def _limit(self) -> int:
        page_size = self._request.list_query.page_size
        if page_size is None or self._request.filters.checks:
            # It is unknown how many rows the filters exclude.
            return MAX_PAGE
        # One row more than the page needs: the next page begins with it.
        return min(MAX_PAGE, page_size - self.count + 1)

    def _take(self, page: Page) -> Documents:
        page_size = self._request.list_query.page_size
        taken: Documents = []
        for row in page.rows:
            item = self._request.item(row)
            if item is None:
                continue
            if page_size is not None and self.count + len(taken) >= page_size:
                self.next_key = self._request.list_query.key_of(row)
                break
            taken.append(item)
        return taken
