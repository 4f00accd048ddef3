"""The number of recordings in a whole list, or in a range of `start`, from the rollups."""

from dataclasses import replace
from typing import Final

from recordings.model.instants import Millis
from recordings.model.query import EVERYTHING, MAX_COUNTED, Count, Order, OrderField, PageRequest, Query, Range
from recordings.model.recording import Shelf
from recordings.model.rollup import CUBES, Level, RowSelection
from recordings.model.stats import PeriodField
from recordings.ports.recording_store import MetadataStore
from recordings.rules.rollup_cells import Cover, joined

FEW: Final = 1_000
"""Up to so many recordings, counting the entries of an index takes less time than reading the rollups."""
MAX_DAYS: Final = 750
"""Maximum number of days of a list that the rollups count. With more, it takes longer than three pages of 100 rows."""
_CUBE: Final = "direction"
_SHELF: Final = CUBES[_CUBE].index("shelf")


async def count_list(store: MetadataStore, query: Query, limit: int) -> Count:
    """Return how many recordings of one account a query selects, exact up to `limit` or if the rollups have it."""
    if not _has_rollups(query) or limit <= FEW:
        return await store.count(query, limit)
    few = await store.count(query, FEW)
    if few.is_exact:
        return few
    number = await _from_rollups(store, query)
    return await store.count(query, limit) if number is None else Count(number)


def _has_rollups(query: Query) -> bool:
    is_range = isinstance(query.where, Range) and query.where.field == OrderField.START
    return (
        query.owner_id is None and query.shelf in {Shelf.LIVE, Shelf.TRASH} and (query.where == EVERYTHING or is_range)
    )


async def _from_rollups(store: MetadataStore, query: Query) -> int | None:
    """Return the sum of the slots and of the recordings outside of them; `None` if these are too many to read."""
    assert query.shelf is not None  # noqa: S101 - for the type checker
    shelf = query.shelf.value
    first, last = [await _start_of(store, query, descending=descending) for descending in (False, True)]
    if first is None or last is None:
        return 0
    end = last + 1
    if end - first > MAX_DAYS * Level.DAY.length:
        return None
    days = Level.DAY.start(first), Level.DAY.start(end) + Level.DAY.length
    cover = Cover((first, end), first, end, await store.marked_slots([query.account_id], *days))
    ranges, number = list(cover.ranges), 0
    async for batch in store.parts([query.account_id], _CUBE, cover.runs, bins=False):
        for slot, part in batch:
            if part.cells is None:
                ranges.append((slot.at, slot.at + slot.level.length))
            else:
                number += sum(values[0] for key, values in part.cells if key[_SHELF] == shelf)
    outside = RowSelection(
        account_id=query.account_id,
        shelves=(shelf,),
        field=PeriodField.START,
        ranges=joined(ranges),
        where=EVERYTHING,
    )
    more = await store.examined(outside, MAX_COUNTED + 1) if ranges else 0
    return None if more > MAX_COUNTED else number + more


async def _start_of(store: MetadataStore, query: Query, *, descending: bool) -> Millis | None:
    """Return the start of the first or the last recording of a query."""
    ordered = replace(query, order=Order(OrderField.START, descending))
    page = await store.page(ordered, PageRequest(limit=1, fields=frozenset({"start"})))
    return page.rows[0]["start"] if page.rows else None
