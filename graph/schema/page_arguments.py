"""The arguments `first`, `after`, `last` and `before`, which select one page of a list."""

from dataclasses import dataclass
from typing import Annotated, Any

import strawberry

from graph.schema.partial_input import value_or_none
from recordings.model.errors import InvalidInput
from recordings.model.query import MAX_PAGE, Order, PageRequest, Position
from recordings.rules.cursor import Cursors, TimeList

_ALLOWED = f"an integer from 1 to {MAX_PAGE}"
"""The allowed page sizes, unless the installation has a lower limit."""
_CURSOR = (
    "The cursor stays valid even if that item was deleted. It is only valid in the list and with the `orderBy` that "
    "it comes from."
)

First = Annotated[
    int | None,
    strawberry.argument(
        description="The number of items to return, counted from the start of the list or from `after`: "
        f"{_ALLOWED}, or 0 for `totalCount` alone. Give exactly one of `first` and `last`."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(description=f"Return only items after the item with this cursor. {_CURSOR}"),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="The number of items to return, counted back from the end of the list or from `before`: "
        f"{_ALLOWED}. Give exactly one of `first` and `last`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(description=f"Return only items before the item with this cursor. {_CURSOR}"),
]


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The four arguments of a request."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None

    @classmethod
    def of(cls, first: Any, after: Any, last: Any, before: Any) -> "PageArguments":
        """Return the arguments of a resolver, which are `UNSET` if the client left them out."""
        return cls(value_or_none(first), value_or_none(after), value_or_none(last), value_or_none(before))

    def page_request(
        self, cursors: Cursors, order: Order | TimeList, fields: frozenset[str] | None, max_page: int = MAX_PAGE
    ) -> PageRequest:
        """Return the request for this page, with at most `max_page` items.

        Raises:
            InvalidInput: both or neither of `first` and `last` were given, or the number is out of bounds.
            InvalidCursor: a cursor is invalid, or belongs to another order.
        """
        return PageRequest(
            limit=self._limit(max_page),
            after=_position(cursors, order, self.after, "after"),
            before=_position(cursors, order, self.before, "before"),
            backward=self.last is not None,
            fields=fields,
        )

    def _limit(self, max_page: int) -> int:
        if self.first is not None and self.last is not None:
            raise InvalidInput.of(("last",), "oneOf", self.last, "left out if first is given")
        allowed = f"an integer from 1 to {max_page}"
        name, limit, least = ("first", self.first, 0) if self.last is None else ("last", self.last, 1)
        if limit is None:
            raise InvalidInput.of((name,), "required", None, f"{allowed} (or give last)")
        if not least <= limit <= max_page:
            rule = "minimum" if limit < least else "maximum"
            raise InvalidInput.of((name,), rule, limit, allowed if least else f"{allowed}, or 0 for the count alone")
        return limit


def _position(cursors: Cursors, order: Order | TimeList, text: str | None, name: str) -> Position | None:
    return None if text is None else cursors.read(order, text, (name,))
