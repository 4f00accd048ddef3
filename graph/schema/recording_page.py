"""One page of recordings, and the values of its connection that need a further query to the store."""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Final

from graph.execution.raw_columns import RawEdges
from graph.schema.resolver_context import Context
from recordings.model.errors import QueryTooBroad
from recordings.model.fields import RecordingRow
from recordings.model.query import Count, Page, PageRequest, Query, position_of
from recordings.model.raw_rows import RawRows

_NEXT: Final = frozenset({"hasNextPage", "hasPreviousPage"})


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """A page, with the query and the page request that it is the result of."""

    context: Context
    query: Query
    request: PageRequest
    page: Page
    with_cursors: bool
    """Whether the client selected the cursors of the edges."""
    ends: dict[str, bool] = field(default_factory=dict)
    """The values of `hasNextPage` and `hasPreviousPage` that the client selected."""
    counted: list[Count | Exception] = field(default_factory=list)
    """The number of recordings of the query, or the error of counting them. Empty until `count` is called."""

    @classmethod
    async def load(
        cls, context: Context, query: Query, request: PageRequest, selected: Collection[str]
    ) -> "RecordingPage":
        """Read the page, and those of `hasNextPage`, `hasPreviousPage` and `cursor` that are selected."""
        page = await _read(context, query, request, selected)
        loaded = cls(context, query, request, page, "cursor" in selected)
        for name, find in (("hasNextPage", loaded.has_next), ("hasPreviousPage", loaded.has_previous)):
            if name in selected:
                found = find()
                # A known value is not awaited: that alone would take a fifteenth of the time of a page.
                loaded.ends[name] = await found if isawaitable(found) else found
        return loaded

    @property
    def nodes(self) -> Sequence[RecordingRow]:
        """The rows of the page."""
        return self.page.rows

    @property
    def edges(self) -> Sequence[tuple[RecordingRow, str | None]]:
        """The rows with their cursors. The cursors are `None` if the client did not select them."""
        rows, cursors = self.nodes, self._cursors()
        return RawEdges(rows, cursors) if isinstance(rows, RawRows) else list(zip(rows, cursors, strict=True))

    def _cursors(self) -> Sequence[str | None]:
        if not self.with_cursors:
            return [None] * len(self.nodes)
        return self.context.cursors.write_page(self.query.order, self.nodes)

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first row, or `None` on an empty page."""
        return self._cursor(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last row, or `None` on an empty page."""
        return self._cursor(self.nodes[-1]) if self.nodes else None

    async def count(self) -> None:
        """Count all recordings of the query, for `total`."""
        try:
            self.counted.append(await self.context.recordings.count(self.context.principal, self.query))
        except Exception as error:  # noqa: BLE001 - `total` raises it, so that the error has the path of the field
            self.counted.append(error)

    def total(self) -> int:
        """Return the number that `count` found. Raise the error if counting failed."""
        return self._count().number

    def total_is_exact(self) -> bool:
        """Return whether that number is exact."""
        return self._count().is_exact

    def _count(self) -> Count:
        counted = self.counted[0]
        if isinstance(counted, Exception):
            raise counted
        return counted

    def has_next(self) -> bool | Awaitable[bool]:
        """Return whether the list has recordings after this page."""
        if not self.request.backward and self.page.has_more:
            return True
        # Without `before`, a page that is not full ends where the list ends.
        return False if self.request.before is None else self._any_after()

    def has_previous(self) -> bool | Awaitable[bool]:
        """Return whether the list has recordings before this page."""
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
        return bool((await _load(self.context, self.query, probe)).rows)

    def _cursor(self, row: RecordingRow) -> str:
        return self.context.cursors.write(self.query.order, row)


async def _read(context: Context, query: Query, request: PageRequest, selected: Collection[str]) -> Page:
    if request.limit:
        return await _load(context, query, request)
    # `first: 0` returns a count alone.
    if _NEXT.isdisjoint(selected):
        return Page([], has_more=False)
    probe = replace(request, limit=1, fields=frozenset({"id"}))
    return Page([], has_more=bool((await _load(context, query, probe)).rows))


async def _load(context: Context, query: Query, request: PageRequest) -> Page:
    """Return a page, and add the rows that the store examined to the cost of the response."""
    try:
        page = await context.recordings.page(context.principal, query, request)
    except QueryTooBroad as error:
        context.examined.add(error.examined)
        raise
    if page.examined:
        context.examined.add(page.examined)
    return page
