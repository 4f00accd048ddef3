"""One page of recordings; what costs a look-up beside it is looked up when it is asked for."""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, field, replace
from inspect import isawaitable

from graph.schema.resolver_context import Context
from recordings.model.query import Page, PageRequest, Query, position_of
from recordings.model.recording import Row


@dataclass(frozen=True, slots=True)
class Listing:
    """A page, and the query and request that it answers."""

    context: Context
    query: Query
    request: PageRequest
    page: Page
    cursors: bool
    """Whether its edges are to have their cursors."""
    ends: dict[str, bool] = field(default_factory=dict)
    """`hasNextPage` and `hasPreviousPage`, as far as they were looked up."""
    counted: list[int | Exception] = field(default_factory=list)
    """How many recordings the query has, or why they could not be counted, once it was tried."""

    @classmethod
    async def load(cls, context: Context, query: Query, request: PageRequest, asked: Collection[str]) -> "Listing":
        """Read the page, and what is `asked` for beside its rows: `hasNextPage`, `hasPreviousPage`, `cursor`."""
        page = await context.recordings.page(context.principal, query, request)
        listing = cls(context, query, request, page, "cursor" in asked)
        for name, find in (("hasNextPage", listing.has_next), ("hasPreviousPage", listing.has_previous)):
            if name in asked:
                found = find()
                # What is known already is not waited for: that alone would cost a fifteenth of a page.
                listing.ends[name] = await found if isawaitable(found) else found
        return listing

    @property
    def nodes(self) -> Sequence[Row]:
        """The rows of the page."""
        return self.page.rows

    @property
    def edges(self) -> list[tuple[Row, str | None]]:
        """The rows with their cursors, where those are asked for."""
        if not self.cursors:
            return [(row, None) for row in self.nodes]
        return list(zip(self.nodes, self.context.cursors.write_page(self.query.order, self.nodes), strict=True))

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first row."""
        return self._cursor(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last row."""
        return self._cursor(self.nodes[-1]) if self.nodes else None

    async def count(self) -> None:
        """Count the recordings of the query, whatever the page, for `total` to give."""
        try:
            self.counted.append(await self.context.recordings.count(self.context.principal, self.query))
        except Exception as error:  # noqa: BLE001 - raised where it is asked for, at its place in the answer
            self.counted.append(error)

    def total(self) -> int:
        """How many recordings the query has, as they were counted before."""
        counted = self.counted[0]
        if isinstance(counted, Exception):
            raise counted
        return counted

    def has_next(self) -> bool | Awaitable[bool]:
        """Whether the listing goes on after this page."""
        if not self.request.backward and self.page.has_more:
            return True
        # A page that nothing bounds at its end ends where the listing does.
        return False if self.request.before is None else self._any_after()

    def has_previous(self) -> bool | Awaitable[bool]:
        """Whether the listing has anything before this page."""
        if self.request.backward and self.page.has_more:
            return True
        return False if self.request.after is None else self._any_before()

    async def _any_after(self) -> bool:
        last = position_of(self.query.order, self.nodes[-1]) if self.nodes else self.request.after
        return await self._any(replace(self.request, limit=1, after=last, before=None, backward=False))

    async def _any_before(self) -> bool:
        first = position_of(self.query.order, self.nodes[0]) if self.nodes else self.request.before
        return await self._any(replace(self.request, limit=1, after=None, before=first, backward=True))

    async def _any(self, request: PageRequest) -> bool:
        probe = replace(request, fields=frozenset({"id"}))
        page = await self.context.recordings.page(self.context.principal, self.query, probe)
        return bool(page.rows)

    def _cursor(self, row: Row) -> str:
        return self.context.cursors.write(self.query.order, row)
