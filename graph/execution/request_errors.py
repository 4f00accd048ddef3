"""The errors that reject a request or a document before, or instead of, its execution."""

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, GraphQLError


class HttpError(Exception):
    """An error with an HTTP status of its own.

    `error` is the GraphQL error in the response body; `headers` are added to the response.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.error: dict[str, Any] = {"message": message, "extensions": {"code": code}}

    def formatted(self, request_id: str) -> dict[str, Any]:
        """Return the error as the response shows it. The request id helps to find the request in the log."""
        return {**self.error, "extensions": {**self.error.get("extensions", {}), "requestId": request_id}}

    @classmethod
    def of(cls, status: int, error: dict[str, Any], headers: Mapping[str, str] | None = None) -> "HttpError":
        """Return an HTTP error with this GraphQL error as its body."""
        created = cls(status, "", str(error["message"]), headers)
        created.error = error
        return created


class SubscriptionError(HttpError):
    """A subscription in a request that accepts one response only."""

    def __init__(self) -> None:
        message = "a subscription has more than one result: send it over a WebSocket, or accept text/event-stream"
        super().__init__(406, "NOT_ACCEPTABLE", message)


class RefusedDocumentError(Exception):
    """A document that is not executed, with its GraphQL errors; `node` is set if the document could be parsed."""

    def __init__(self, errors: list[GraphQLError], node: DocumentNode | None = None) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.node = node


class LimitError(GraphQLError):
    """A document that exceeds a limit. The message says which limit, the actual value and the maximum."""

    def __init__(self, name: str, actual: object, maximum: object) -> None:
        message = f"the document has {actual} {name}; at most {maximum} are allowed"
        super().__init__(message, extensions={"code": "LIMIT_EXCEEDED", "limit": name})
