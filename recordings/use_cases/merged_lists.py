"""Lists over several accounts: the pages and the counts of each account, merged."""

from dataclasses import replace

from recordings.model.query import Count, Page, PageRequest, Query, sort_key
from recordings.ports.recording_store import MetadataStore, RecordingStore
from recordings.use_cases.whole_count import count_list


async def page_of(store: RecordingStore, query: Query, request: PageRequest) -> Page:
    """Return one page of a query over its account and its descendants. Every account is read for one page."""
    if not query.descendants:
        return await store.page(query, request)
    pages = [await store.page(each, request) for each in _queries(query)]
    rows = sorted(
        (row for page in pages for row in page.rows),
        key=lambda row: sort_key(query.order, row),
        reverse=query.order.descending,
    )
    has_more = len(rows) > request.limit or any(page.has_more for page in pages)
    examined = sum(page.examined for page in pages)
    return Page(rows[-request.limit :] if request.backward else rows[: request.limit], has_more, examined)


async def count_of(store: MetadataStore, query: Query, limit: int) -> Count:
    """Return how many recordings a query selects in its account and its descendants, exact up to `limit`.

    The rollups give exact numbers above it, too (`whole_count.py`).
    """
    counts = [await count_list(store, each, limit) for each in _queries(query)]
    return Count(sum(count.number for count in counts), is_exact=all(count.is_exact for count in counts))


def _queries(query: Query) -> list[Query]:
    accounts = dict.fromkeys((query.account_id, *query.descendants))
    return [replace(query, account_id=account_id, descendants=()) for account_id in accounts]
