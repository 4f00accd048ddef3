"""`first`, `after`, `last` and `before`: which page of a listing."""

from dataclasses import dataclass
from typing import Annotated

import strawberry

from recordings.model.errors import InvalidInput
from recordings.model.query import MAX_PAGE, Order, PageRequest, Position
from recordings.rules.cursor import Cursors

_ALLOWED = f"an integer from 1 to {MAX_PAGE}"
"""What is allowed unless an installation allows less."""
_AROUND = "It may have gone meanwhile: the place remains. A cursor belongs to the `orderBy` that it was given with."

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"How many recordings, from the beginning or from `after` on: {_ALLOWED}. Exactly one of `first` "
        "and `last` must be given."
    ),
]
After = Annotated[
    str | None, strawberry.argument(description=f"Only what comes after the recording with this cursor. {_AROUND}")
]
Last = Annotated[
    int | None,
    strawberry.argument(description=f"How many recordings, from the end or from `before` backwards: {_ALLOWED}."),
]
Before = Annotated[
    str | None, strawberry.argument(description=f"Only what comes before the recording with this cursor. {_AROUND}")
]


@dataclass(frozen=True, slots=True)
class Paging:
    """The four arguments, as they were given."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None

    def request(self, cursors: Cursors, order: Order, fields: frozenset[str], most: int = MAX_PAGE) -> PageRequest:
        """The page that is asked for, of `most` recordings at most.

        Raises:
            InvalidInput: not exactly one of `first` and `last`, or out of bounds.
            InvalidCursor: a cursor is not ours, or belongs to another order.
        """
        return PageRequest(
            limit=self._limit(most),
            after=_position(cursors, order, self.after, "after"),
            before=_position(cursors, order, self.before, "before"),
            backward=self.last is not None,
            fields=fields,
        )

    def _limit(self, most: int) -> int:
        allowed = f"an integer from 1 to {most}"
        if self.first is not None and self.last is not None:
            raise InvalidInput.of(("last",), "oneOf", self.last, "left out where first is given")
        name, limit = ("first", self.first) if self.last is None else ("last", self.last)
        if limit is None:
            raise InvalidInput.of((name,), "required", None, f"{allowed} (or give last)")
        if not 1 <= limit <= most:
            raise InvalidInput.of((name,), "minimum" if limit < 1 else "maximum", limit, allowed)
        return limit


def _position(cursors: Cursors, order: Order, text: str | None, name: str) -> Position | None:
    return None if text is None else cursors.read(order, text, (name,))
