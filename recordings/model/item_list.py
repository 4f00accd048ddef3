"""Pages of a list that is sorted by a time and an id: the accounts below an account, and live calls.

A `PageRequest` selects the page, as in a list of recordings. The key of its positions is the time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from recordings.model.query import PageRequest, Position

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Slice(Generic[Item]):
    """The items of a page, in the order of the list. `has_more` is true if more follow in the request's direction."""

    items: Sequence[Item]
    has_more: bool


def one_more(request: PageRequest) -> PageRequest:
    """Return the request for an additional item. If the list has it, more items follow after the page."""
    return replace(request, limit=request.limit + 1)


def cut(found: Sequence[Item], request: PageRequest) -> Slice[Item]:
    """Return the page of a request. `found` is the result of `one_more(request)`."""
    has_more = len(found) > request.limit
    if not has_more:
        return Slice(found, has_more)
    return Slice(found[1:] if request.backward else found[: request.limit], has_more)


def take_page(
    items: Iterable[Item], request: PageRequest, position_of: Callable[[Item], Position], *, descending: bool
) -> list[Item]:
    """Return the items of a page from a whole list, in any order."""

    def rank(position: Position) -> tuple[int, str]:
        return int(position.key or 0), position.id

    ordered = sorted(items, key=lambda item: rank(position_of(item)), reverse=descending)
    first, last = (request.before, request.after) if descending else (request.after, request.before)
    inside = [
        item
        for item in ordered
        if (first is None or rank(position_of(item)) > rank(first))
        and (last is None or rank(position_of(item)) < rank(last))
    ]
    return inside[-request.limit :] if request.backward else inside[: request.limit]
