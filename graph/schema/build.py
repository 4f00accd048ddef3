"""The schema, assembled from its types, with its description and its text (SDL)."""

from functools import lru_cache
from typing import Any, Final, cast

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from graph.execution.column_values import INSTANTS, TEXTS
from graph.execution.compiler import Compiler
from graph.execution.document_cache import DocumentCache
from graph.execution.executor import CompiledExecutor
from graph.execution.single_field import SingleFieldExecutor
from graph.schema.computed_columns import COLUMNS, COLUMNS_WITH, MARKED, SOURCES, STORED
from graph.schema.federation import REPRESENTATION_SCALAR, Representation
from graph.schema.field_info import Info
from graph.schema.mutations import Mutation
from graph.schema.root_query import Query
from graph.schema.row_resolver import read
from graph.schema.scalars import SCALARS
from graph.schema.subscriptions import Subscription

_COUNT_COST: Final = 100
"""The cost of `totalCount`, in fields: the store counts up to 10 000 entries of an index."""
_WRITE_COST: Final = 10
"""The cost of a mutation, in fields, for each recording that it changes."""
STATS_COST: Final = 1_000
"""The cost of figures, in fields: they may take as long as ten pages of 100 recordings."""
EVENTS_COST: Final = 200
"""The cost of a request for events, in fields."""
SUBSCRIPTION_COST: Final = 200
"""The cost of a subscription, in fields. It is paid once."""
_WAVEFORM_COST: Final = 50
"""The cost of a waveform, in fields. A page of 100 recordings may then have one waveform for each recording."""

DESCRIPTION: Final = """\
The API of a call-recording service. Clients find, play, start, stop, delete and restore the recordings of calls.

Terms:
- Switch: the telephone system that connects the calls and sends their audio to this service.
- Leg: one connection between the switch and a phone or another switch. A call between two phones has two legs. Each
  leg has its own call id; all legs of one conversation have the same interaction id.
- Account: a customer or a part of one. Accounts form a tree.
- Owner: the user of an account that a call belongs to.
- Recorder: the part of the service that is connected to a switch and records its calls.
- Credentials: the token or API key of a request. They belong to one account. They can access this account and its
  descendants, or only the recordings of one owner. All other objects look as if they did not exist.
- Scope: a permission of the credentials, such as LISTEN or DELETE.
- Trash: deleted recordings stay in the trash until their `purgeAt`. Then they are purged: permanently deleted.
- Global id and plain id: `id` is the global id, as Relay requires. `plainId` is the id that the v2 REST API uses.

Rules:
- Lists have pages of at most 100 items. Give `first` (with `after`) or `last` (with `before`).
- A condition of a filter that is null is absent. `known: false` finds recordings without a value.
- A mutation that is rejected returns its errors in `errors` of its payload.
- An idempotency key makes it safe to send a mutation again.
- The service computes the cost of a document before it executes it. `extensions.cost` in the response has the cost. A
  list whose filter no index serves costs 1 point more for each 10 rows that the store may examine for it."""


class Schema(strawberry.Schema):
    """Strawberry's schema with a description, and with documents that are parsed, validated and compiled once.

    The keyword arguments are those of `graph.execution.document_cache.DocumentCache`.
    """

    def __init__(self, **document_options: Any) -> None:
        scalars = SCALARS | {Representation: REPRESENTATION_SCALAR}
        super().__init__(
            query=Query,
            mutation=Mutation,
            subscription=Subscription,
            config=StrawberryConfig(default_resolver=read, info_class=Info, scalar_map=scalars),
            execution_context_class=CompiledExecutor,
        )
        # Strawberry has no argument for it, and its printer omits it.
        self._schema.description = DESCRIPTION
        mutations = cast("GraphQLObjectType", self._schema.mutation_type).fields
        self.documents = DocumentCache(
            schema=self._schema,
            compiler=Compiler(
                computed=COLUMNS,
                computed_with=COLUMNS_WITH,
                stored=STORED,
                scalars={"DateTime": INSTANTS, "URL": TEXTS, "Sha256": TEXTS},
                sources=SOURCES,
            ),
            weights={
                ("RecordingConnection", "totalCount"): _COUNT_COST,
                ("AccountConnection", "totalCount"): _COUNT_COST,
                ("LiveCallConnection", "totalCount"): _COUNT_COST,
                ("Media", "peaks"): _WAVEFORM_COST,
                ("Account", "recordingStats"): STATS_COST,
                ("Query", "recordingStats"): STATS_COST,
                ("Subscription", "recordingChanged"): SUBSCRIPTION_COST,
                ("Subscription", "callsChanged"): SUBSCRIPTION_COST,
                **dict.fromkeys((("Mutation", name) for name in mutations), _WRITE_COST),
            },
            **document_options,
        )
        self.single_field = SingleFieldExecutor(self._schema, self.schema_converter, MARKED)

    @property
    def core(self) -> GraphQLSchema:
        """graphql-core's schema."""
        return self._schema


@lru_cache(maxsize=4)
def schema_with(**document_options: Any) -> Schema:
    """Return the schema with these document options. It is cached, because making one takes a tenth of a second."""
    return Schema(**document_options)


schema: Final = Schema()


def sdl() -> str:
    """Return the schema as text: the content of `schema.graphql`."""
    roots = "".join(f"  {name.lower()}: {name}\n" for name in ("Query", "Mutation", "Subscription"))
    definition = f'"""\n{DESCRIPTION}\n"""\nschema {{\n{roots}}}'
    return f"{definition}\n\n{schema.as_str().strip()}\n"
