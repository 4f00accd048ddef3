"""The use cases. GraphQL, REST v2 and the command line all call these."""
