"""Pages in the order of changes. `recordings.rules.change_feed` has the rules."""

from dataclasses import replace

from recordings.model.query import Page, PageRequest, Query, position_of
from recordings.ports.recording_store import RecordingStore, choose_fields
from recordings.rules.change_feed import CHECKED, final_changes, is_change, shown
from recordings.use_cases.merged_lists import page_of


async def page_of_changes(store: RecordingStore, query: Query, request: PageRequest) -> Page:
    """Return a page of a query in the order `MODIFIED`. The query must be limited to what the caller may access.

    A page with uploads that are not complete is shorter. It is empty only at the end of the list.
    """
    final = final_changes(query, await store.watermark())
    request = replace(request, fields=choose_fields(request.fields, *CHECKED))
    while True:
        page = await page_of(store, final, request)
        rows = [shown(row) for row in page.rows if is_change(row)]
        if rows or not page.has_more:
            return replace(page, rows=rows)
        if request.backward:
            request = replace(request, before=position_of(query.order, page.rows[0]))
        else:
            request = replace(request, after=position_of(query.order, page.rows[-1]))
