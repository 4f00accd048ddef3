"""Exports: all rows of an account in chunks, oldest first, or the changes since a cursor.

An export is read a chunk at a time, so the memory does not depend on the number of rows. If no index serves the
filter, the export reads its range of the sort key from one end to the other and tests the filter on each row. So no
filter makes one read slow.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import QueryTooBroad, TooManyQueries
from recordings.model.fields import PARTS, RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import (
    EVERYTHING,
    And,
    Condition,
    HasMedia,
    HasMetadata,
    Held,
    Not,
    Or,
    Order,
    OrderField,
    PageRequest,
    Position,
    Query,
    Range,
    matches,
    position_of,
)
from recordings.model.recording import Shelf, State
from recordings.ports.audit import Audit, Refusals, list_object
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.change_feed import CHECKED, final_changes, is_change, shown
from recordings.use_cases.authorized import Authorized

CHUNK: Final = 1_000
BY_START: Final = Order(OrderField.START, descending=False)
BY_CHANGE: Final = Order(OrderField.MODIFIED, descending=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export.

    `order` is `BY_START` for the recordings that are not deleted, or `BY_CHANGE` for the changes of all recordings,
    with tombstones. The export continues after the position `after`. `fields` are the fields of the rows.
    """

    account_id: str
    order: Order
    where: Condition
    after: Position | None
    fields: frozenset[str]


Chunk = Sequence[RecordingRow]


class Exports:
    """Exports recordings for a principal."""

    def __init__(self, store: MetadataStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit
        self._authorized = Authorized(store)

    async def open(self, principal: Principal, request: ExportRequest) -> AsyncGenerator[Chunk]:
        """Return the chunks of an export. A chunk may be empty. An export of changes ends at its beginning's watermark.

        Raises:
            Forbidden: the principal does not have the scope READ.
            NotFound: it may not access the account.
            InvalidInput: the filter is not allowed.
        """
        is_changes = request.order == BY_CHANGE
        shelf = None if is_changes else Shelf.LIVE
        wanted = Query(account_id=request.account_id, shelf=shelf, where=request.where, order=request.order)
        target = list_object(request.account_id)
        with Refusals(self._audit, principal, AuditAction.EXPORT, target):
            require_scope(principal, Scope.READ)
            query = await self._authorized.narrow(principal, wanted)
        watermark = await self._store.watermark() if is_changes else None
        entry_id = await self._audit.record(principal, AuditAction.EXPORT, target, fields=sorted(request.fields))
        return self._counted(entry_id, principal, target, self._chunks(query, request, watermark))

    async def _counted(
        self, entry_id: str, principal: Principal, target: AuditObject, chunks: AsyncGenerator[Chunk]
    ) -> AsyncGenerator[Chunk]:
        """Return the chunks, and complete the entry of the trail with the number of rows."""
        rows, is_complete = 0, False
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    yield chunk
                    rows += len(chunk)
                is_complete = True
            finally:
                self._audit.complete(entry_id, principal, target, rows=rows, complete=is_complete)

    async def _chunks(self, query: Query, request: ExportRequest, watermark: Millis | None) -> AsyncGenerator[Chunk]:
        fields = request.fields | _fields_of(request.where) | CHECKED
        ranged = replace(query, where=_range_of(query))
        if watermark is not None:
            query, ranged = final_changes(query, watermark), final_changes(ranged, watermark)
        after, has_more, has_index = request.after, True, True
        while has_more:
            try:
                page = await self._store.page(
                    query if has_index else ranged, PageRequest(limit=CHUNK, after=after, fields=fields)
                )
            except QueryTooBroad:
                if not has_index:
                    raise
                # No index serves the filter, so it is tested here on all rows of the range.
                has_index = False
                continue
            except TooManyQueries:
                # An export lasts until its client leaves, so it waits for another turn.
                continue
            yield [shown(row) for row in page.rows if _is_selected(row, request)]
            has_more = page.has_more
            if has_more:
                after = position_of(query.order, page.rows[-1])


def _is_selected(row: RecordingRow, request: ExportRequest) -> bool:
    if request.order == BY_CHANGE and not is_change(row):
        return False
    return row["state"] == State.PURGED or matches(request.where, row)


def _range_of(query: Query) -> Condition:
    """Return the one range of the sort key that contains every row of the filter. It needs no other condition."""
    items = query.where.items if isinstance(query.where, And) else (query.where,)
    ranges = [item for item in items if isinstance(item, Range) and item.field == query.order.field]
    minimum = max((item.minimum for item in ranges if item.minimum is not None), default=None)
    below = min((item.below for item in ranges if item.below is not None), default=None)
    return Range(query.order.field.value, minimum, below) if ranges else EVERYTHING


def _fields_of(condition: Condition) -> frozenset[str]:
    """Return the fields of a row that a condition needs."""
    match condition:
        case And(items) | Or(items):
            return frozenset().union(*map(_fields_of, items))
        case Not(item):
            return _fields_of(item)
        case HasMedia():
            return frozenset({"media"})
        case Held():
            return frozenset({"hold"})
        case HasMetadata():
            return frozenset({"user_metadata"})
        case _:
            part = PARTS.get(condition.field)
            return frozenset({condition.field if part is None else part.field})
