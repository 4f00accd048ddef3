"""Pages of short lists: users, API keys, ingest addresses and webhooks. A page is cut from the whole list.

A `Connection` of users is called `UserConnection` in the schema, and so on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from graph.schema.field_info import Info
from graph.schema.node_types import PageInfo
from graph.schema.page_arguments import PageArguments
from recordings.model.item_list import take_page
from recordings.model.query import Position
from recordings.rules.cursor import TimeList

Item = TypeVar("Item")


def _page_info(page: strawberry.Parent[Any]) -> Any:
    return page


@strawberry.type(name="Edge", description="An item in a page, with its cursor.")
class Edge(Generic[Item]):
    cursor: str = strawberry.field(description="The position of the item, for `after` and `before`.")
    node: Item = strawberry.field(description="The item.")


@strawberry.type(name="Connection", description="A page of items, oldest first.")
class Connection(Generic[Item]):
    edges: list[Edge[Item]] = strawberry.field(description="The items of the page with their cursors.")
    nodes: list[Item] = strawberry.field(description="The items of the page.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description="The position of the page in the list.")
    total_count: int = strawberry.field(description="The number of all items of the account.")


@dataclass(frozen=True, slots=True)
class ListPage:
    """The source of a `Connection`, and of its `PageInfo`."""

    edges: list[dict[str, Any]]
    total_count: int
    ends: Mapping[str, bool]

    @property
    def nodes(self) -> list[Any]:
        """The items."""
        return [edge["node"] for edge in self.edges]

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first item, or `None` on an empty page."""
        return self.edges[0]["cursor"] if self.edges else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last item, or `None` on an empty page."""
        return self.edges[-1]["cursor"] if self.edges else None


def cut_page(
    info: Info,
    kind: TimeList,
    arguments: PageArguments,
    found: Sequence[Item],
    position: Callable[[Item], Position],
    source: Callable[[Item], Any],
) -> ListPage:
    """Return a page of a whole list. `source` makes the source of an item."""
    cursors = info.context.cursors
    request = arguments.page_request(cursors, kind, None, info.context.max_page)
    page = take_page(found, request, position, descending=False) if request.limit else []
    edges = [{"node": source(item), "cursor": cursors.encode(kind, position(item))} for item in page]
    ends = {
        "hasNextPage": bool(page) and page[-1] != found[-1],
        "hasPreviousPage": bool(page) and page[0] != found[0],
    }
    return ListPage(edges, len(found), ends)
