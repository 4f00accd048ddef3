"""The GraphQL schema: its types, its queries and its mutations. `graph.schema.build` assembles them."""
