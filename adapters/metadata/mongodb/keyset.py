"""Pages of a collection that is sorted by a time and by `_id`: see `recordings.model.item_list`."""

from collections.abc import Callable
from typing import Any

from pymongo import ASCENDING, DESCENDING

from adapters.metadata.mongodb.driver import Document
from recordings.model.query import PageRequest


def bounds(
    request: PageRequest, key: str, identity: Callable[[str], Any] = str, *, descending: bool = False
) -> Document:
    """Return the filter for the documents of a page. `identity` makes the `_id` of a position's id."""
    terms: list[Document] = []
    for position, sign in (
        (request.after, "$lt" if descending else "$gt"),
        (request.before, "$gt" if descending else "$lt"),
    ):
        if position is not None:
            beside = {key: position.key, "_id": {sign: identity(position.id)}}
            # The first term bounds the index scan; `$or` alone would not.
            terms += [{key: {f"{sign}e": position.key}}, {"$or": [{key: {sign: position.key}}, beside]}]
    return {"$and": terms} if terms else {}


def order(request: PageRequest, key: str, *, descending: bool = False) -> list[tuple[str, int]]:
    """Return the order in which the documents of a page are read. A backward page is read in reverse."""
    direction = DESCENDING if descending is not request.backward else ASCENDING
    return [(key, direction), ("_id", direction)]
