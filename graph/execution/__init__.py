"""GraphQL over HTTP: from a request to its response, at the cost of plain JSON.

- `endpoint` is the ASGI application. `run_operation` runs one operation.
- `document_cache` parses and validates each document once. `token_limits` and `ast_limits` reject it before that.
- `compiler` and `executor` complete pages of rows with compiled plans; `single_field` is the shortest path to them.

This package does not know the schema: `graph.schema` describes it, and `graph.graphql_app` combines both.
"""
