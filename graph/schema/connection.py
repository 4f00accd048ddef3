"""The Relay connection of recordings, and the field that gives it."""

from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET

from graph.execution.row_result import Plain
from graph.schema.field_info import Info
from graph.schema.filter_input import RecordingFilter, to_condition, wanted_owner
from graph.schema.list_order import NEWEST_FIRST, RecordingOrder, to_order
from graph.schema.page_arguments import After, Before, First, Last, Paging
from graph.schema.prefetch import prepare_page, shows
from graph.schema.projection import names_at, once, row_fields
from graph.schema.recording_page import Listing
from graph.schema.recording_type import Recording
from graph.schema.resolver_context import Context
from graph.schema.unset import given
from recordings.model.account import Account
from recordings.model.query import Query
from recordings.model.recording import Shelf


def _has_next(listing: strawberry.Parent[Listing]) -> bool:
    return listing.ends["hasNextPage"]


def _has_previous(listing: strawberry.Parent[Listing]) -> bool:
    return listing.ends["hasPreviousPage"]


@strawberry.type(
    description="Where a page lies in its listing. Both answers are exact, in either direction: for the side that a "
    "cursor bounds, one row is looked up when it is asked for."
)
class PageInfo:
    has_next_page: bool = strawberry.field(
        resolver=_has_next, description="Whether the listing goes on after this page."
    )
    has_previous_page: bool = strawberry.field(
        resolver=_has_previous, description="Whether the listing has anything before this page."
    )
    start_cursor: str | None = strawberry.field(description="The cursor of the first recording of the page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last recording of the page.")


def _cursor(edge: strawberry.Parent[Any]) -> str:
    return cast("str", edge[1])


def _node(edge: strawberry.Parent[Any]) -> Recording:
    # GraphQL's recording is read from the row.
    return cast("Recording", edge[0])


@strawberry.type(description="A recording in a page.")
class RecordingEdge:
    cursor: str = strawberry.field(resolver=_cursor, description="Its place in this order, for `after` and `before`.")
    node: Recording = strawberry.field(resolver=_node, description="The recording.")


def _edges(listing: strawberry.Parent[Listing]) -> Any:
    return Plain(listing.edges)


def _nodes(listing: strawberry.Parent[Listing]) -> Any:
    return Plain(listing.nodes)


def _page_info(listing: strawberry.Parent[Listing]) -> Any:
    return listing


async def _total_count(listing: strawberry.Parent[Listing]) -> int:
    if not listing.counted:
        await listing.count()
    return listing.total()


@strawberry.type(description="A page of recordings.")
class RecordingConnection:
    edges: list[RecordingEdge] = strawberry.field(resolver=_edges, description="The recordings with their cursors.")
    nodes: list[Recording] = strawberry.field(resolver=_nodes, description="The recordings.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description="Where the page lies in the listing.")
    total_count: int = strawberry.field(
        resolver=_total_count, description="How many recordings the filter takes, in all; counted only when selected."
    )


Filter = Annotated[
    RecordingFilter | None, strawberry.argument(description="Which recordings to take; all of them when left out.")
]
OrderBy = Annotated[
    RecordingOrder | None, strawberry.argument(description="What to sort by; the newest come first when left out.")
]
Trashed = Annotated[
    bool | None, strawberry.argument(description="Whether to list the trash in place of what was not deleted.")
]


def _selected(info: Info) -> tuple[frozenset[str], frozenset[str]]:
    beside = names_at(info, (), ("edges",), ("pageInfo",))
    return row_fields(info, ("nodes",), ("edges", "node")), beside


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
) -> RecordingConnection:
    """A page of the recordings of an account, by default of the credentials' own."""
    context = info.context
    query = _query(context, account, given(filter), order_by, Shelf.TRASH if trashed else Shelf.LIVE)
    fields, asked = once(info, _selected)
    paging = Paging(given(first), given(after), given(last), given(before))
    page = paging.request(context.cursors, query.order, fields, context.max_page)
    listing = await Listing.load(context, query, page, asked)
    await prepare_page(info, listing.nodes)
    if "totalCount" in asked and shows(info, "RecordingConnection", "totalCount"):
        await listing.count()
    # The connection is read from it.
    return cast("RecordingConnection", Plain(listing))


def _query(
    context: Context,
    account: Account | None,
    filter: RecordingFilter | None,
    order_by: RecordingOrder | None,
    shelf: Shelf,
) -> Query:
    where = to_condition(filter)
    return Query(
        account_id=context.principal.account_id if account is None else account.id,
        # Whoever is bound to an owner is narrowed to it anyway; the filter on another one then takes nothing.
        owner_id=wanted_owner(where) if context.principal.owner_id is None else None,
        shelf=shelf,
        where=where,
        order=to_order(order_by),
    )
