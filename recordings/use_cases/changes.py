"""Pages in the order of changes. `recordings.rules.change_feed` says what they show."""

from dataclasses import replace

from recordings.model.query import Page, PageRequest, Query
from recordings.ports.recording_store import RecordingStore, choose_fields
from recordings.rules.change_feed import final_changes, shown
from recordings.use_cases.merged_lists import page_of


async def page_of_changes(store: RecordingStore, query: Query, request: PageRequest) -> Page:
    """Return a page of a query in the order `MODIFIED`. The query must be limited to what the caller may access."""
    final = final_changes(query, await store.watermark())
    page = await page_of(store, final, replace(request, fields=choose_fields(request.fields, "state")))
    return replace(page, rows=[shown(row) for row in page.rows])
