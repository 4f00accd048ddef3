"""What we give the world: the GraphQL API, the web app and the command line. Here adapters are chosen."""
