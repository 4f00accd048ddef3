"""The GraphQL schema: types, queries, mutations. `schema` executes, `sdl()` prints what `schema.graphql` holds."""

from graph.schema.build import schema, sdl

__all__ = ["schema", "sdl"]
