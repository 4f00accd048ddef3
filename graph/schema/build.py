"""The schema, put together."""

from functools import lru_cache
from typing import Any, Final

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graph.execution.columns import INSTANTS, TEXTS
from graph.execution.direct import Caller
from graph.execution.documents import Documents
from graph.execution.executor import CompiledExecutor
from graph.execution.extension import ReadDocuments
from graph.execution.plan import Compiler
from graph.schema.columns import COLUMNS, COLUMNS_WITH, MARKED, SOURCES
from graph.schema.info import Info
from graph.schema.mutations import Mutation
from graph.schema.query import Query
from graph.schema.rows import read
from graph.schema.scalars import SCALARS

_COUNT: Final = 100
"""What counting costs, in fields: a listing that a filter narrows is counted row by row."""
_DRAWING: Final = 50
"""What a waveform costs, in fields, so that a page of a hundred has room for one of each recording, and for no more."""


class Schema(strawberry.Schema):
    """Strawberry's schema, with documents of its own. `choices` are those of `graph.execution.documents.Documents`.

    It leaves errors to whoever shows them: they are logged once, with their request.
    """

    def __init__(self, **choices: Any) -> None:
        super().__init__(
            query=Query,
            mutation=Mutation,
            config=StrawberryConfig(default_resolver=read, info_class=Info, scalar_map=SCALARS),
            execution_context_class=CompiledExecutor,
            extensions=[lambda: ReadDocuments(self.documents)],
        )
        self.documents = Documents(
            schema=self._schema,
            compiler=Compiler(
                computed=COLUMNS,
                computed_with=COLUMNS_WITH,
                scalars={"DateTime": INSTANTS, "URL": TEXTS, "Sha256": TEXTS},
                sources=SOURCES,
            ),
            weights={("RecordingConnection", "totalCount"): _COUNT, ("Media", "peaks"): _DRAWING},
            **choices,
        )
        self.caller = Caller(self._schema, self.schema_converter, MARKED)

    @property
    def core(self) -> GraphQLSchema:
        """graphql-core's schema below it."""
        return self._schema

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see `graph.faults`."""


@lru_cache(maxsize=4)
def schema_with(**choices: Any) -> Schema:
    """The schema with documents of these choices. Making one takes a tenth of a second, so the same is given again."""
    return Schema(**choices)


schema: Final = Schema()


def sdl() -> str:
    """The schema as text: what `schema.graphql` holds."""
    return f"{schema.as_str().strip()}\n"
