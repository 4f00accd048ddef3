"""One page of the accounts below an account, or of its live calls."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from graph.execution.compiler import PlanInput
from graph.schema.field_info import Info
from graph.schema.page_arguments import PageArguments
from graph.schema.prefetch import is_included
from graph.schema.projection import cached, names_at
from recordings.model.account import Account
from recordings.model.call import position_of_call
from recordings.model.item_list import Slice
from recordings.model.query import PageRequest, Position
from recordings.rules.cursor import Cursors, TimeList

Read = Callable[[PageRequest], Awaitable[Slice[Any]]]


def _position_of_account(account: Account) -> Position:
    return Position(account.created, account.id)


_POSITIONS: Final[dict[TimeList, Callable[[Any], Position]]] = {
    TimeList.ACCOUNTS: _position_of_account,
    TimeList.CALLS: position_of_call,
}
_CONNECTIONS: Final = {TimeList.ACCOUNTS: "AccountConnection", TimeList.CALLS: "LiveCallConnection"}


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page, with the functions that read other pages of the list and count it."""

    cursors: Cursors
    kind: TimeList
    request: PageRequest
    read: Read
    count: Callable[[], Awaitable[int]]
    found: Slice[Any]
    ends: dict[str, bool] = field(default_factory=dict)
    """The values of `hasNextPage` and `hasPreviousPage` that the client selected."""

    counted: list[int | Exception] = field(default_factory=list)
    """The number of items of the list, or the error of counting them. Empty until `find_total` is called."""

    @property
    def nodes(self) -> list[Any]:
        """The items of the page."""
        return list(self.found.items)

    @property
    def edges(self) -> list[tuple[Any, str]]:
        """The items with their cursors."""
        return [(item, self._cursor(item)) for item in self.found.items]

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first item, or `None` on an empty page."""
        return self._cursor(self.found.items[0]) if self.found.items else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last item, or `None` on an empty page."""
        return self._cursor(self.found.items[-1]) if self.found.items else None

    async def find_total(self) -> None:
        """Count the items of the list, for `total`."""
        try:
            self.counted.append(await self.count())
        except Exception as error:  # noqa: BLE001 - `total` raises it, so that the error has the path of the field
            self.counted.append(error)

    def total(self) -> int:
        """Return the number that `find_total` found. Raise the error if counting failed."""
        counted = self.counted[0]
        if isinstance(counted, Exception):
            raise counted
        return counted

    async def find_ends(self, selected: Collection[str]) -> None:
        """Find those of `hasNextPage` and `hasPreviousPage` that are selected."""
        if "hasNextPage" in selected:
            self.ends["hasNextPage"] = await self._goes_on(backward=False)
        if "hasPreviousPage" in selected:
            self.ends["hasPreviousPage"] = await self._goes_on(backward=True)

    async def _goes_on(self, *, backward: bool) -> bool:
        """Return whether the list has items before the page (`backward`) or after it."""
        request, items = self.request, self.found.items
        if backward is request.backward and self.found.has_more:
            return True
        here, beyond = (request.after, request.before) if backward else (request.before, request.after)
        if here is None:
            # Without this bound, a page that is not full ends where the list ends.
            return False
        edge = self._position(items[0 if backward else -1]) if items else beyond
        probe = PageRequest(limit=1, before=edge, backward=True) if backward else PageRequest(limit=1, after=edge)
        return bool((await self.read(probe)).items)

    def _position(self, item: Any) -> Position:
        return _POSITIONS[self.kind](item)

    def _cursor(self, item: Any) -> str:
        return self.cursors.encode(self.kind, self._position(item))


def _selected(info: Info) -> frozenset[str]:
    return names_at(info, (), ("pageInfo",))


async def load_page(
    info: Info, kind: TimeList, arguments: PageArguments, read: Read, count: Callable[[], Awaitable[int]]
) -> PlanInput:
    """Read a page of a list."""
    context = info.context
    request = arguments.page_request(context.cursors, kind, None, context.max_page)
    page = ItemPage(context.cursors, kind, request, read, count, await read(request))
    selected = cached(info, _selected)
    await page.find_ends(selected)
    if "totalCount" in selected and is_included(info, _CONNECTIONS[kind], "totalCount"):
        await page.find_total()
    return PlanInput(page)
