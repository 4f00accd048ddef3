"""The schema, put together."""

from functools import lru_cache
from typing import Any, Final

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graph.execution.column_values import INSTANTS, TEXTS
from graph.execution.compiler import Compiler
from graph.execution.document_cache import Documents
from graph.execution.executor import CompiledExecutor
from graph.execution.single_field import Caller
from graph.execution.strawberry_extension import ReadDocuments
from graph.schema.computed_columns import COLUMNS, COLUMNS_WITH, MARKED, SOURCES
from graph.schema.field_info import Info
from graph.schema.mutations import Mutation
from graph.schema.root_query import Query
from graph.schema.row_resolver import read
from graph.schema.scalars import SCALARS

_COUNT: Final = 100
"""What counting costs, in fields: a listing that a filter narrows is counted row by row."""
_DRAWING: Final = 50
"""What a waveform costs, in fields, so that a page of a hundred has room for one of each recording, and for no more."""


class Schema(strawberry.Schema):
    """Strawberry's schema with our own document cache. `choices`: see `graph.execution.document_cache.Documents`.

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
        """Nothing: see `graph.execution.error_format`."""


@lru_cache(maxsize=4)
def schema_with(**choices: Any) -> Schema:
    """The schema with documents of these choices. Making one takes a tenth of a second, so the same is given again."""
    return Schema(**choices)


schema: Final = Schema()


def sdl() -> str:
    """The schema as text: what `schema.graphql` holds."""
    return f"{schema.as_str().strip()}\n"
