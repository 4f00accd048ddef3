"""The schema, put together."""

from typing import Final

import strawberry
from graphql import GraphQLError
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graph.schema.info import Info
from graph.schema.limits import DOCUMENTS, MAX_TOKENS, DocumentLimits
from graph.schema.mutations import Mutation
from graph.schema.query import Query
from graph.schema.rows import read
from graph.schema.scalars import SCALARS


class Schema(strawberry.Schema):
    """Strawberry's schema, which leaves errors to whoever shows them: they are logged once, with their request."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see `graph.faults`."""


schema: Final = Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(default_resolver=read, info_class=Info, scalar_map=SCALARS),
    extensions=[
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: AddValidationRules([DocumentLimits]),
        lambda: ParserCache(maxsize=DOCUMENTS),
        lambda: ValidationCache(maxsize=DOCUMENTS),
    ],
)


def sdl() -> str:
    """The schema as text: what `schema.graphql` holds."""
    return f"{schema.as_str().strip()}\n"
