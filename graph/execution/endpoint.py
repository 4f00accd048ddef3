"""The ASGI application at `/graphql`: GraphQL over HTTP.

Each operation has one response and a timeout; nothing is streamed. The operations of a batch run one after the other,
if batches are enabled, and their responses are one array in `application/json`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from adapters.http.error_body import RETRY
from graph.execution.content_negotiation import (
    JSON,
    RESPONSE,
    check_body_headers,
    check_forgery,
    response_type,
    stream_type,
)
from graph.execution.persisted_queries import no_query
from graph.execution.request_errors import HttpError, RefusedDocumentError, SubscriptionError
from graph.execution.request_params import RequestParams, from_body, from_url
from graph.execution.response import GraphQLResponse
from graph.execution.run_operation import OperationResult, OperationRunner

PARTIAL: Final = 294
"""The draft's status for a response with `data` (complete, partial or null) and `errors`.

Only for clients that accept `application/graphql-response+json`: other clients take a status other than 200 for a
failed request.
"""


class StreamNeededError(Exception):
    """A request that accepts a stream, too, has a subscription. `params` are its parameters."""

    def __init__(self, params: RequestParams) -> None:
        super().__init__()
        self.params = params


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """Answers GraphQL requests.

    - `context`: returns the context of the resolvers. It raises if the caller is not authenticated.
    - `payer`: returns the key of the token bucket that pays for a request, given its context.
    - `request_id`: returns the id of a request, which errors show.
    - `format_error`: returns an error of an execution as the response shows it, given the request id.
    - `to_http_error`: returns the error that a client gets for an unexpected exception, given the request id.
    - `page`: returns GraphiQL's page, or `None` if it is disabled.
    - `partial_status`: use status 294. `compress`: compress responses.
    """

    operations: OperationRunner
    context: Callable[[Request], Awaitable[Any]]
    payer: Callable[[Any], Hashable]
    request_id: Callable[[Request], str]
    format_error: Callable[[GraphQLError, str], dict[str, Any]]
    to_http_error: Callable[[Exception, str], HttpError]
    page: Callable[[], Response] | None = None
    partial_status: bool = True
    compress: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope)
        is_browser = _is_browser(request)
        if is_browser and self.page is not None:
            await self.page()(scope, receive, send)
            return
        answer = self._refuse_browser(request) if is_browser else self._answer(request, receive)
        response = await self._or_error(request, answer)
        await response.send(send, request.headers.get("accept-encoding") if self.compress else None)

    async def _or_error(self, request: Request, answer: Awaitable[GraphQLResponse]) -> GraphQLResponse:
        """Return this response, or the response to the exception that it raises."""
        try:
            return await answer
        except HttpError as error:
            return self._error(error, request)
        except (ClientDisconnect, StreamNeededError):
            raise
        except Exception as error:  # noqa: BLE001 - `to_http_error` logs it and hides its details
            return self._error(self.to_http_error(error, self.request_id(request)), request)

    def _error(self, error: HttpError, request: Request) -> GraphQLResponse:
        try:
            media_type = response_type(request.headers.get("accept"))
        except HttpError:
            media_type = JSON
        return GraphQLResponse.of_error(error, media_type, self.request_id(request))

    async def _refuse_browser(self, request: Request) -> GraphQLResponse:
        """Refuse a request for GraphiQL's page, which is disabled. Unauthenticated callers get 401."""
        await self.context(request)
        raise no_query()

    async def _answer(self, request: Request, receive: Receive) -> GraphQLResponse:
        media_type = response_type(request.headers.get("accept"))
        check_method(request)
        context = await self.context(request)
        if request.method == "GET":
            return await self._run(request, from_url(request.scope["query_string"]), context, media_type)
        limits = self.operations.documents.limits
        params = from_body(await read_body(request, receive, limits.body), limits.batch)
        if isinstance(params, list):
            return await self._run_batch(request, params)
        return await self._run(request, params, context, media_type)

    async def _run_batch(self, request: Request, batch: list[RequestParams]) -> GraphQLResponse:
        """Run the operations of a batch in their order. An error of one does not stop the others."""
        responses: list[GraphQLResponse] = []
        for params in batch:
            responses.append(await self._or_error(request, self._run_in_batch(request, params)))
            # Let other requests run between two operations, even if these never wait.
            await asyncio.sleep(0)
        return GraphQLResponse.of_batch(responses, JSON)

    async def _run_in_batch(self, request: Request, params: RequestParams) -> GraphQLResponse:
        # Each operation has its own context: data that one has fetched may be out of date for the next.
        return await self._run(request, params, await self.context(request), JSON)

    async def _run(self, request: Request, params: RequestParams, context: Any, media_type: str) -> GraphQLResponse:
        is_get = request.method == "GET"
        try:
            result = await self.operations.run(params, context, payer=self.payer(context), only_queries=is_get)
        except RefusedDocumentError as refused:
            errors = self._format(refused.errors, request)
            # Older clients take any other status for a failed connection, so application/json always has 200.
            status, refused_type = (400, RESPONSE) if media_type == RESPONSE else (200, JSON)
            return GraphQLResponse.of(status, {"errors": errors}, refused_type)
        except SubscriptionError as error:
            if stream_type(request.headers.get("accept")) is None:
                raise
            raise StreamNeededError(params) from error
        response = self._response(result, request, media_type)
        return response.revalidated(request.headers.get("if-none-match")) if is_get else response

    def _response(self, operation: OperationResult, request: Request, media_type: str) -> GraphQLResponse:
        result = operation.result
        content: dict[str, Any] = {"data": result.data}
        if result.errors:
            content["errors"] = self._format(result.errors, request)
        content["extensions"] = {"cost": operation.cost}
        partial = result.errors and media_type == RESPONSE and self.partial_status
        response = GraphQLResponse.of(PARTIAL if partial else 200, content, media_type)
        if any(error["extensions"]["code"] == "UNAVAILABLE" for error in content.get("errors", ())):
            response.headers.update(RETRY)
        return response

    def _format(self, errors: Sequence[GraphQLError], request: Request) -> list[dict[str, Any]]:
        request_id = self.request_id(request)
        return [self.format_error(error, request_id) for error in errors]


def check_method(request: Request) -> None:
    """Check the method, and that no web page of another site could have sent the request.

    Raises:
        HttpError: The request is refused.
    """
    if request.method == "POST":
        check_body_headers(request.headers)
    elif request.method == "GET":
        check_forgery(request.headers)
    else:
        raise method_refused(request.method)


def method_refused(method: str) -> HttpError:
    """Return the error of a method that is not allowed. PUT and DELETE are for streams: `graph.subscriptions`."""
    allowed = "GET, POST, PUT, DELETE"
    return HttpError(405, "METHOD_NOT_ALLOWED", f"the method is {method}; {allowed} are allowed", {"allow": allowed})


async def read_body(request: Request, receive: Receive, max_bytes: int) -> bytes:
    """Read the body of a request.

    Raises:
        HttpError: The body is longer than `max_bytes`.
        ClientDisconnect: The client closed the connection before the end of the body.
    """
    body = bytearray()
    announced = request.headers.get("content-length", "")
    too_long = announced.isdecimal() and int(announced) > max_bytes
    while not too_long:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        too_long = len(body) > max_bytes
        if not message.get("more_body", False):
            break
    if too_long:
        raise HttpError(413, "PAYLOAD_TOO_LARGE", f"the body is too long: at most {max_bytes} bytes are allowed")
    return bytes(body)


def _is_browser(request: Request) -> bool:
    """Return true if a browser asks for GraphiQL's page. A request with a query always runs the query."""
    accepts_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    return accepts_page and "query" not in request.query_params
