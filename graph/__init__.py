"""The interface to clients: the GraphQL schema, its execution over HTTP, the web app and the command line.

This is the top layer. It imports the adapters and the domain, and they do not import it.
"""
