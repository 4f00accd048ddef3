"""The limits of a GraphQL request. They are checked before any work is done for it.

Every limit is on by default, and each one is a setting. The tests use the attack list of graphql-armor. Where
graphql-armor has a default that does not prevent a page of recordings, the default here is the same, except for
aliases. The settings are built from these numbers, and every command reads the settings: so this module imports nothing
that is slow to import.
"""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an installation."""

    body: int = 128 * KIB
    """Bytes of a request body."""
    batch: int = 0
    """Operations in one request, sent as a JSON array. All other limits apply to each one. 0 disables batches."""
    characters: int = 15_000
    """Characters of a document."""
    tokens: int = 1_000
    """Tokens of a document, counted before it is parsed."""
    nesting: int = 40
    """Nesting depth of brackets of any kind, counted before the document is parsed."""
    depth: int = 12
    """Nesting depth of fields. The usual introspection query is deeper. Its depth is not counted."""
    fields: int = 500
    """Fields of a document. The fields of a fragment count wherever it is spread."""
    aliases: int = 100
    """Fields with an alias, counted the same way. A stitching gateway sends one alias for each recording of a page. The
    limit on cost bounds what the aliases ask for."""
    directives: int = 50
    """Directives, counted the same way."""
    repeats: int = 300
    """Pairs of fields with the same response key at the same path. Validation compares each pair (25 µs)."""
    cost: int = 10_000
    """The maximum cost of an operation, see `graph.execution.cost`."""
    ids: int = 200
    """Values in an `ids` argument or in the default of a variable. `nodes` takes only a page of ids, see `page`."""
    page: int = 100
    """The maximum of `first`, `last` and the number of ids of `nodes`. The schema allows at most 100."""
    seconds: float = 10.0
    """The timeout of an operation."""
