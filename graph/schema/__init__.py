"""The GraphQL schema: types, queries, mutations. `schema` executes, `sdl()` prints what `schema.graphql` holds."""

# Before any type that has one of them: strawberry would make an enumeration of its own, without our words.
from graph.schema import enums as _described  # noqa: F401
from graph.schema.build import schema, sdl

__all__ = ["schema", "sdl"]
