"""The resolver of the `recordings` fields: it returns a page of the recordings of an account."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import strawberry
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.field_info import Info
from graph.schema.filter_input import RecordingFilter, required_owner, to_condition
from graph.schema.list_order import NEWEST_FIRST, RecordingOrder, to_order
from graph.schema.page_arguments import After, Before, First, Last, PageArguments
from graph.schema.partial_input import value_or_none
from graph.schema.prefetch import is_included, prefetch_for_page
from graph.schema.projection import SIMPLE, cached, names_at, row_fields
from graph.schema.recording_page import RecordingPage
from graph.schema.resolver_context import Context
from recordings.model.account import Account
from recordings.model.errors import InvalidInput
from recordings.model.query import MAX_DESCENDANTS, Query
from recordings.model.recording import Shelf

Filter = Annotated[
    RecordingFilter | None, strawberry.argument(description="Return only recordings that match. Default: all.")
]
OrderBy = Annotated[RecordingOrder | None, strawberry.argument(description="The order. Default: newest first.")]
Trashed = Annotated[
    bool | None,
    strawberry.argument(description="Whether to list the trash: the deleted recordings that can still be restored."),
]
IncludeDeleted = Annotated[
    bool | None,
    strawberry.argument(
        description="Whether to list deleted recordings, too: those in the trash, and those that were purged. A purged "
        "recording has the state `PURGED`, its ids and its times; it matches every filter. This needs "
        "`orderBy: {field: MODIFIED}`."
    ),
]

Descendants = Annotated[
    bool | None,
    strawberry.argument(
        description=f"Whether to list the recordings of all accounts below, too: at most {MAX_DESCENDANTS} accounts. "
        "Each of them is read for a page, so this costs 100 points more."
    ),
]


_COUNTS: Final = ("totalCount", "totalCountIsExact")
_ROWS: Final = (("nodes",), ("edges", "node"))


@dataclass(frozen=True, slots=True)
class _Selection:
    """What a document selects: fields of the rows, fields beside them, and whether a store can encode the rows."""

    rows: frozenset[str]
    beside: frozenset[str]
    raw: bool


def _selection(info: Info) -> _Selection:
    beside = names_at(info, (), ("edges",), ("pageInfo",))
    shown = names_at(info, *_ROWS)
    return _Selection(row_fields(info, *_ROWS), beside, shown <= SIMPLE)


async def resolve_recordings(  # noqa: PLR0913, PLR0917 - the arguments of the field
    account: strawberry.Parent[Account | None],
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    filter: Filter = UNSET,
    order_by: OrderBy = NEWEST_FIRST,
    trashed: Trashed = False,
    include_deleted: IncludeDeleted = False,
    descendants: Descendants = False,
) -> Any:
    """Return a page of the recordings of an account. Default: the account of the credentials.

    `RecordingConnection` reads its fields from the `RecordingPage` that this returns.
    """
    context = info.context
    shelf = _shelf(trashed=bool(trashed), include_deleted=bool(include_deleted))
    query = _query(context, account, value_or_none(filter), order_by, shelf)
    if descendants:
        below = await context.recordings.lists.descendants(context.principal, query.account_id)
        query = replace(query, descendants=below)
    selection = cached(info, _selection)
    selected = selection.beside
    arguments = PageArguments.of(first, after, last, before)
    request = arguments.page_request(context.cursors, query.order, selection.rows, context.max_page)
    if selection.raw:
        request = replace(request, raw=True)
    page = await RecordingPage.load(context, query, request, selected)
    await prefetch_for_page(info, page.nodes)
    if any(name in selected and is_included(info, "RecordingConnection", name) for name in _COUNTS):
        await page.count()
    return PlanInput(page)


def _shelf(*, trashed: bool, include_deleted: bool) -> Shelf | None:
    if trashed and include_deleted:
        raise InvalidInput.of(("trashed",), "oneOf", "true", "left out if includeDeleted is true")
    if include_deleted:
        return None
    return Shelf.TRASH if trashed else Shelf.LIVE


def _query(
    context: Context,
    account: Account | None,
    filter: RecordingFilter | None,
    order_by: RecordingOrder | None,
    shelf: Shelf | None,
) -> Query:
    where = to_condition(filter)
    return Query(
        account_id=context.principal.account_id if account is None else account.id,
        # The use case limits a caller with an owner to that owner. A filter on another owner then matches nothing.
        owner_id=required_owner(where) if context.principal.owner_id is None else None,
        shelf=shelf,
        where=where,
        order=to_order(order_by),
    )
