"""What we give the world: the GraphQL schema, its execution over HTTP, the web app and the command line.

The top layer: it may know the adapters and the domain, and neither knows it.
"""
