"""What a request may ask for, before any work is done for it.

Every limit is on from the start and each can be set. Where graphql-armor, the list of attacks that the tests go by, has
a default and it does not hinder a page of recordings, ours is that. The settings are made of these numbers, and the
command line reads those: nothing that is slow to import is imported here.
"""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an installation."""

    body: int = 128 * KIB
    """Bytes of a request's body."""
    batch: int = 0
    """Operations of a request, as an array of them, each held to all that follows; 0 takes no arrays."""
    characters: int = 15_000
    """Characters of a document."""
    tokens: int = 1_000
    """Tokens of a document, counted before it is parsed."""
    nesting: int = 40
    """How deep brackets of any kind may nest, seen before it is parsed."""
    depth: int = 12
    """How deep fields may nest; introspection's own query is deeper and not counted."""
    fields: int = 500
    """Fields of a document, with every fragment counted where it is spread."""
    aliases: int = 15
    """Fields with an alias, counted the same way."""
    directives: int = 50
    """Directives, counted the same way."""
    repeats: int = 300
    """Pairs of fields with the same response key in the same place: validation compares each pair (25 µs)."""
    cost: int = 10_000
    """The cost of an operation in the worst case, see `graph.execution.cost`."""
    ids: int = 200
    """Values in an `ids` argument, or in a variable's default. `nodes` takes a page of them, in its own words."""
    page: int = 100
    """How many recordings `first` or `last` may ask for, and how many ids `nodes`: 100 at most, as the schema says."""
    seconds: float = 10.0
    """How long an operation may take."""
