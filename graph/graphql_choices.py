"""What an installation can set of GraphQL: each of its limits, the rate, and what is told to whom.

Part of the table of `graph.settings`. Limits have the names and the defaults of
`graph.execution.request_limits.Limits`, with `graphql_` in front.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from graph.execution.request_limits import Limits
from recordings.model.account import GRANTABLE, Scope

PREFIX: Final = "graphql_"
ANYBODY: Final = "anybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLChoices:
    """The settings of GraphQL, checked."""

    graphql_body: int
    graphql_batch: int
    graphql_characters: int
    graphql_tokens: int
    graphql_nesting: int
    graphql_depth: int
    graphql_fields: int
    graphql_aliases: int
    graphql_directives: int
    graphql_repeats: int
    graphql_cost: int
    graphql_ids: int
    graphql_page: int
    graphql_seconds: int
    graphql_burst: int
    graphql_per_second: int
    graphql_trusted: Path | None
    graphql_only_trusted: bool
    graphql_register: bool
    graphql_suggestions: bool
    graphql_introspection: str
    graphql_partial_status: bool
    graphql_compress: bool

    @property
    def graphql_limits(self) -> Limits:
        """The limits of a request."""
        return Limits(**{item.name: getattr(self, PREFIX + item.name) for item in fields(Limits)})

    @property
    def graphql_reader(self) -> Scope | None:
        """The scope that it takes to read the schema; `None` if it takes none."""
        return None if self.graphql_introspection == ANYBODY else Scope(self.graphql_introspection)


_DEFAULT: Final = Limits()
NUMBERS: Final = (
    ("body", _DEFAULT.body, "The longest body of a GraphQL request, in bytes.", 1 << 26),
    ("batch", _DEFAULT.batch, "The most operations of a batch (a JSON array of requests); 0 takes no batches.", 100),
    ("characters", _DEFAULT.characters, "The most characters of a document.", 10_000_000),
    ("tokens", _DEFAULT.tokens, "The most tokens of a document.", 1_000_000),
    ("nesting", _DEFAULT.nesting, "How deep brackets of any kind may nest in a document.", 200),
    ("depth", _DEFAULT.depth, "How deep fields may nest in a document.", 100),
    ("fields", _DEFAULT.fields, "The most fields of a document, fragments counted where they are spread.", 100_000),
    ("aliases", _DEFAULT.aliases, "The most fields with an alias.", 100_000),
    ("directives", _DEFAULT.directives, "The most directives of a document.", 100_000),
    ("repeats", _DEFAULT.repeats, "The most pairs of fields with the same name in the same place.", 1_000_000),
    ("cost", _DEFAULT.cost, "What an operation may cost in the worst case, in fields that are shown.", 1_000_000_000),
    ("ids", _DEFAULT.ids, "The most values of an `ids` argument.", 100_000),
    ("page", _DEFAULT.page, "The most recordings of a page, and the most ids that `nodes` takes.", 100),
    ("seconds", int(_DEFAULT.seconds), "How long an operation may take.", 3_600),
    ("burst", 1_000_000, "What a token may spend at once, in cost. Each process counts for itself.", 1_000_000_000),
    ("per_second", 50_000, "How much of that it gains again in a second.", 1_000_000_000),
)
"""Name without its prefix, default, description and the most that can be set; the least is 1, or the default below."""
FLAGS: Final = (
    ("only_trusted", False, "Execute the trusted documents and nothing else."),
    ("register", True, "Let clients name their documents by a hash (automatic persisted queries)."),
    ("suggestions", False, "Let errors guess at the name that was meant, which tells the schema to anybody."),
    (
        "partial_status",
        True,
        "Answer 294 in place of 200 where data are missing, to who accepts application/graphql-response+json.",
    ),
    ("compress", True, "Compress answers, for who accepts zstd or gzip."),
)
READERS: Final = (*(scope.value for scope in GRANTABLE), ANYBODY)
