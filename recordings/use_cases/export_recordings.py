"""Exports: all rows of an account in chunks, oldest first, or the changes since a cursor.

An export reads its range of the index from one end to the other, a chunk at a time, and applies the filter to each row.
So no filter makes one read slow, and the memory does not depend on the number of rows. The range is bounded by the
filter's conditions on the sort key.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.fields import PARTS, RecordingRow
from recordings.model.query import (
    And,
    Condition,
    HasMedia,
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
from recordings.ports.audit import Audit
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.change_feed import final_changes, shown
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
        require_scope(principal, Scope.READ)
        is_changes = request.order == BY_CHANGE
        shelf = None if is_changes else Shelf.LIVE
        wanted = Query(account_id=request.account_id, shelf=shelf, where=request.where, order=request.order)
        query = await self._authorized.narrow(principal, wanted)
        query = replace(query, where=_range_of(query))
        if is_changes:
            query = final_changes(query, await self._store.watermark())
        self._audit.record(principal, "export", None, account=request.account_id)
        return self._chunks(query, request)

    async def _chunks(self, query: Query, request: ExportRequest) -> AsyncGenerator[Chunk]:
        fields = request.fields | _fields_of(request.where) | {"state"}
        after, has_more = request.after, True
        while has_more:
            page = await self._store.page(query, PageRequest(limit=CHUNK, after=after, fields=fields))
            yield [shown(row) for row in page.rows if row["state"] == State.PURGED or matches(request.where, row)]
            has_more = page.has_more
            if has_more:
                after = position_of(query.order, page.rows[-1])


def _range_of(query: Query) -> Condition:
    """Return the conditions on the sort key that every row must meet."""
    items = query.where.items if isinstance(query.where, And) else (query.where,)
    return And(tuple(item for item in items if isinstance(item, Range) and item.field == query.order.field))


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
        case _:
            part = PARTS.get(condition.field)
            return frozenset({condition.field if part is None else part.field})
