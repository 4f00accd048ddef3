"""Strawberry's own HTTP view over the same schema: the oracle for the endpoint.

It has the same documents, limits, plans and error format as the endpoint. Only HTTP and the start of an execution are
Strawberry's.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from cross_web import HTTPException
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose
from strawberry.asgi import GraphQL
from strawberry.extensions import SchemaExtension
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionContext, ExecutionResult

from graph import graphiql
from graph.execution.document_cache import DocumentCache
from graph.execution.request_errors import HttpError, RefusedDocumentError
from graph.execution.response import encode
from graph.graphql_app import ContextFactory, GraphQLServices, GraphQLSettings, request_id_of, to_http_error
from graph.schema.build import Schema
from graph.schema.error_format import BAD_REQUEST, allowed_values, format_error
from graph.schema.resolver_context import Context


class ReadDocuments(SchemaExtension):
    """Takes documents from the cache, in place of Strawberry's parser and validation."""

    def __init__(self, documents: DocumentCache) -> None:
        super().__init__()
        self._documents = documents
        self._errors: list[GraphQLError] = []

    def on_parse(self) -> Iterator[None]:
        """Find the document."""
        context = self.execution_context
        if context.query:
            try:
                context.graphql_document = self._documents.find(context.query).node
            except RefusedDocumentError as refused:
                if refused.node is None:
                    raise refused.errors[0] from refused
                context.graphql_document = refused.node
                self._errors = refused.errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Report the errors that the cache found."""
        self.execution_context.pre_execution_errors = self._errors
        yield


class StrawberrySchema(Schema):
    """The schema with Strawberry's execution."""

    def __init__(self, **document_options: Any) -> None:
        super().__init__(**document_options)
        self.extensions = (lambda: ReadDocuments(self.documents),)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Do nothing: `format_error` logs each error once."""


class BodyTooLargeError(Exception):
    """A body is longer than the limit."""


class StrawberryView(GraphQL[Context, None]):
    """Answers `POST` and, for queries, `GET`. Returns GraphiQL to a browser that sends no query."""

    def __init__(self, services: GraphQLServices, settings: GraphQLSettings, schema: StrawberrySchema) -> None:
        super().__init__(schema, graphql_ide=None)
        self._context_of = ContextFactory(services, settings).of_request
        self._settings = settings
        self._allowed = allowed_values(schema._schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Websockets are refused, because there are no subscriptions."""
        if scope["type"] == "http":
            request = Request(scope, _limited(receive, self._settings.limits.body))
            response = await self._respond(request)
            await response(scope, receive, send)
        else:
            await WebSocketClose()(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if self._settings.graphiql and _is_browser(request):
            return graphiql.page()
        try:
            return await self.run(request)
        except HTTPException as error:
            headers = {"allow": "GET, POST"} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else None
            problem = HttpError(error.status_code, BAD_REQUEST, error.reason, headers)
        except BodyTooLargeError:
            problem = HttpError(413, "PAYLOAD_TOO_LARGE", "the body is too long")
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - as the endpoint
            problem = to_http_error(error, request_id_of(request))
        body = encode({"errors": [problem.formatted(request_id_of(request))]})
        return Response(body, problem.status, problem.headers, "application/json")

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return the context. Strawberry calls this before it reads the body."""
        assert isinstance(request, Request)
        return await self._context_of(request)

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """Return the content of a response: data and errors, in the endpoint's error format."""
        # An operation that was never executed has no `data`, not even null.
        executed = result.data is not None or any(error.path for error in result.errors or ())
        response: GraphQLHTTPResponse = {"data": result.data} if executed else {}
        if result.errors:
            request_id = request_id_of(request)
            response["errors"] = [format_error(error, request_id, self._allowed) for error in result.errors]
        return response

    def should_render_graphql_ide(self, request: Any) -> bool:
        """Return false: a request without a query is an error here."""
        return False

    def encode_json(self, data: object) -> bytes:
        """Encode JSON as the endpoint does."""
        return encode(data)

    def parse_json(self, data: str | bytes) -> Any:
        """Parse a JSON object."""
        try:
            parsed = msgspec.json.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise HTTPException(400, f"the request is not JSON: {error}") from error
        if not isinstance(parsed, dict | None):
            raise HTTPException(400, "the request must be one JSON object")
        return parsed


def _is_browser(request: Request) -> bool:
    wants_page = request.method == "GET" and "query" not in request.query_params
    return wants_page and "text/html" in request.headers.get("accept", "")


def _limited(receive: Receive, max_bytes: int) -> Receive:
    length = 0

    async def limited() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > max_bytes:
            raise BodyTooLargeError
        return message

    return limited
