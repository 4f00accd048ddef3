"""What is said about a limit that a request is beyond."""

from graphql import GraphQLError


class LimitError(GraphQLError):
    """A limit that a request is beyond; says which, how far and what is allowed."""

    def __init__(self, name: str, given: object, allowed: object) -> None:
        message = f"the document has {given} {name}; at most {allowed} are allowed"
        super().__init__(message, extensions={"code": "LIMIT_EXCEEDED", "limit": name})
