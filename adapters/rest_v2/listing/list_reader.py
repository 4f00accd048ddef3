"""Reads the matching recordings of a list in chunks, with limited memory."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.rest_v2.listing.list_filters import Filters
from adapters.rest_v2.listing.list_query import ListQuery
from adapters.rest_v2.recording.visibility import FIELDS, IS_SHOWN, ITEM_FIELDS, STATES, filter_document
from recordings.model.account import Principal
from recordings.model.errors import QueryTooBroad
from recordings.model.fields import RecordingRow
from recordings.model.query import (
    MAX_PAGE,
    And,
    Condition,
    Page,
    PageRequest,
    Position,
    Query,
    is_storable,
    position_of,
    selects,
    sort_key,
)
from recordings.use_cases.recordings import Recordings

Documents = list[Any]
"""The items of a list: documents, or objects with the same JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """A list: its principal, its account, its query and its filters. `item` makes a row an item."""

    principal: Principal
    account_id: str
    list_query: ListQuery
    filters: Filters
    item: Callable[[RecordingRow], Any]

    @property
    def store_query(self) -> Query:
        """The part of the request that the store can answer."""
        return self.query_of(And((IS_SHOWN, self.list_query.ended, *self.filters.conditions)))

    def query_of(self, where: Condition) -> Query:
        """Return the query of the list with another condition."""
        return Query(
            account_id=self.account_id, owner_id=self.list_query.owner, where=where, order=self.list_query.order
        )

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a row that an item and the filters need."""
        return FIELDS if self.filters.checks else ITEM_FIELDS


class ListReader:
    """Reads one list. `count` and `next_key` are complete when `chunks` is exhausted."""

    def __init__(self, recordings: Recordings, request: ListRequest) -> None:
        self._recordings = recordings
        self._request = request
        self.count = 0
        self.next_key: str | None = None
        self.is_complete = False
        """Whether no chunk follows."""
        self._has_index = True
        self._hidden = 0
        """How many rows were read that v2 does not show."""

    async def chunks(self) -> AsyncGenerator[Documents]:
        """Yield the matches until the page is full or no more exist. A chunk may be empty."""
        ids = self._request.filters.ids
        if ids is not None and len(ids) <= MAX_PAGE:
            chunk = self._take(await self._rows_of(ids))
            self.count += len(chunk)
            yield chunk
            return
        after, more = self._request.list_query.after, True
        while more and self.next_key is None:
            page = await self._page(after)
            chunk = self._take(page.rows)
            self.count += len(chunk)
            more = page.has_more
            self.is_complete = not more or self.next_key is not None
            yield chunk
            if more:
                after = position_of(self._request.list_query.order, page.rows[-1])

    async def total(self, limit: int) -> int:
        """Return the number of rows of the time range, at most one more than `limit`. With filters, at least so many.

        No index counts the rows of every filter. A filtered list is not too long if it is not known to be.
        """
        request = self._request
        query = request.store_query if request.filters.checks else request.query_of(request.list_query.ended)
        return (await self._recordings.count(request.principal, query, limit)).number

    async def _page(self, after: Position | None) -> Page:
        page_request = PageRequest(limit=self._limit(), after=after, fields=self._request.fields)
        # To select the states, the store looks for the end of a bounded walk first. Few rows have another state, so
        # they are usually left out here.
        tests_states = bool(self._request.filters.conditions) or self._hidden > self.count
        if self._has_index and tests_states:
            try:
                return await self._recordings.page(self._request.principal, self._request.store_query, page_request)
            except QueryTooBroad:
                # No index serves the filters, so they are tested here on all rows of the time range.
                self._has_index = False
        where = self._request.list_query.ended
        return await self._recordings.page(self._request.principal, self._request.query_of(where), page_request)

    def _limit(self) -> int:
        page_size = self._request.list_query.page_size
        if page_size is None or self._request.filters.checks:
            # It is unknown how many rows the filters exclude.
            return MAX_PAGE
        # One row more than the page needs: the next page begins with it. Twice as many if some are not shown.
        return min(MAX_PAGE, (page_size - self.count + 1) * (2 if self._hidden else 1))

    async def _rows_of(self, ids: Collection[str]) -> list[RecordingRow]:
        """Return the rows with these ids that the list has, in its order. A look-up is faster than a search."""
        request = self._request
        found = await self._recordings.find_many(request.principal, [each for each in ids if is_storable(each)], FIELDS)
        query, order = request.store_query, request.list_query.order
        rows = [row for row in found if row is not None and selects(query, row)]
        rows.sort(key=lambda row: sort_key(order, row), reverse=order.descending)
        after = request.list_query.after
        if after is None:
            return rows
        start = (after.key is not None, after.key, after.id)
        return [row for row in rows if (sort_key(order, row) < start) is order.descending]

    def _take(self, rows: Sequence[RecordingRow]) -> Documents:
        request = self._request
        filters, item = request.filters, request.item
        room = None if request.list_query.page_size is None else request.list_query.page_size - self.count
        taken: Documents = []
        for row in rows:
            if row["state"] not in STATES:
                self._hidden += 1
            elif filters.checks and not filters.matches(filter_document(row, request.principal)):
                pass
            elif len(taken) == room:
                self.next_key = request.list_query.key_of(row)
                break
            else:
                taken.append(item(row))
        return taken
