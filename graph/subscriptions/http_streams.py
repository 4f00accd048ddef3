"""GraphQL requests over HTTP with streamed results: server-sent events, and Apollo's multipart responses.

- A request that accepts a stream gets the results of its operation ("distinct connections mode" of graphql-sse).
- `PUT` reserves an event stream for several operations ("single connection mode"). A request with its token then
  connects to it, starts an operation or stops one.

Errors before the operation have an HTTP status of their own. A document that is not valid has the status 200, because
`EventSource` shows no other response to the page.
"""

from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Send

from adapters.http.accept import ANY, parse_accept
from adapters.http.error_body import RETRY
from graph.execution.content_negotiation import (
    EVENT_STREAM,
    JSON,
    check_body_headers,
    check_forgery,
    response_type,
    stream_type,
)
from graph.execution.endpoint import method_refused, read_body
from graph.execution.request_errors import HttpError
from graph.execution.request_params import RequestParams, from_body, from_url
from graph.execution.response import encode
from graph.subscriptions.caller import has_credentials
from graph.subscriptions.operation_streams import OperationError, OperationStreams
from graph.subscriptions.reserved_streams import MAX_OPERATION_ID, ReservedStreams
from graph.subscriptions.stream_formats import EventStream, Multipart, StreamFormat
from graph.subscriptions.stream_response import StreamResponse, formatted
from graph.subscriptions.stream_slots import TooManyStreamsError

TOKEN_HEADER: Final = "x-graphql-event-stream-token"  # noqa: S105 - the name of a header
TOKEN_PARAMETER: Final = "token"  # noqa: S105 - the name of a parameter
LAST_EVENT_ID: Final = "last-event-id"
_NOT_CACHED: Final = {"cache-control": "no-store"}
_EVENT_STREAM: Final = EventStream()
_MULTIPART: Final = Multipart()


class HttpStreams:
    """Answers requests for streams of results. `max_body` is the maximum size of a body, in bytes."""

    def __init__(self, streams: OperationStreams, max_body: int) -> None:
        self._streams = streams
        self._max_body = max_body
        self._reserved = ReservedStreams(streams)

    @staticmethod
    def wants(request: Request) -> bool:
        """Return true for a request that is answered here, whatever its operation is."""
        if request.method in {"PUT", "DELETE"}:
            return True
        accept = request.headers.get("accept")
        has_token = _token_of(request) is not None
        if stream_type(accept) is None:
            return has_token and request.method == "POST"
        return has_token or not _accepts_json(accept)

    async def respond(
        self, request: Request, receive: Receive, send: Send, params: RequestParams | None = None
    ) -> None:
        """Answer a request. `params` are its parameters, if they were already read."""
        request_id = self._streams.request_id(request)
        is_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._respond(request, receive, note_begin, params)
        except ClientDisconnect:
            raise
        except OperationError as error:
            await _refusal(request, error.errors, error.http)(request.scope, receive, send)
        except Exception as error:
            if is_begun:
                raise
            http = _limit_error(error) or self._streams.to_http_error(error, request_id)
            await _refusal(request, [http.formatted(request_id)], http)(request.scope, receive, send)

    async def _respond(self, request: Request, receive: Receive, send: Send, params: RequestParams | None) -> None:
        if self._streams.stopping.is_set():
            raise HttpError(503, "UNAVAILABLE", "this server is stopping: try again", RETRY)
        token = None if params is not None else _token_of(request)
        if request.method == "PUT":
            response: Response = await self._reserve(request)
        elif request.method == "DELETE":
            response = await self._stop(request, token)
        elif request.method not in {"GET", "POST"}:
            raise method_refused(request.method)
        elif token is None:
            await self._stream(request, receive, send, params)
            return
        elif stream_type(request.headers.get("accept")) is not None:
            await self._connect(token, request, receive, send)
            return
        else:
            response = await self._start(token, request, receive)
        await response(request.scope, receive, send)

    async def _stream(self, request: Request, receive: Receive, send: Send, params: RequestParams | None) -> None:
        """Run one operation, and stream its results."""
        caller = await self._streams.caller(request)
        params = params or await self._params(request, receive)
        form = _form_for(request)
        with self._streams.slots.take(caller.principal):
            since = request.headers.get(LAST_EVENT_ID) or None
            try:
                results = await self._streams.open(params, caller, since, no_mutations=request.method == "GET")
            except OperationError as error:
                if error.http is not None and error.http.status != HTTPStatus.BAD_REQUEST:
                    raise
                body = form.start + form.result(encode({"errors": error.errors}), None) + form.end
                await Response(body, headers={"content-type": form.content_type})(request.scope, receive, send)
                return
            async with aclosing(results):
                response = StreamResponse(self._streams, caller, form, form.failure)
                await response.respond(formatted(results, form), request.scope, receive, send)

    async def _params(self, request: Request, receive: Receive) -> RequestParams:
        if request.method == "GET":
            check_forgery(request.headers)
            return from_url(request.scope["query_string"])
        check_body_headers(request.headers)
        params = from_body(await read_body(request, receive, self._max_body))
        assert isinstance(params, RequestParams)  # noqa: S101 - there are no batches here
        return params

    async def _reserve(self, request: Request) -> Response:
        """Reserve a stream. The response is its token."""
        ranges = parse_accept(request.headers.get("accept") or ANY)
        if not any(each.name in {ANY, "text/*", "text/plain"} and each.quality > 0 for each in ranges):
            raise HttpError(406, "NOT_ACCEPTABLE", "the response to PUT is the token of an event stream, as text/plain")
        return PlainTextResponse(self._reserved.reserve(await self._streams.caller(request)), 201, _NOT_CACHED)

    async def _connect(self, token: str, request: Request, receive: Receive, send: Send) -> None:
        """Send the results of all operations of a reserved stream."""
        # `EventSource` cannot send credentials. The token is then enough, because only one connection can have it.
        caller = await self._streams.caller(request) if has_credentials(request.headers) else None
        stream = self._reserved.find(token, caller)
        if stream.connected.is_set():
            raise HttpError(409, "CONFLICT", "this event stream is open already: reserve another one with PUT")
        stream.connected.set()
        try:
            response = StreamResponse(self._streams, stream.caller, _EVENT_STREAM, stream.failure)
            await response.respond(stream.chunks(), request.scope, receive, send)
        finally:
            await self._reserved.close(token)

    async def _start(self, token: str, request: Request, receive: Receive) -> Response:
        """Start an operation of a reserved stream."""
        caller = await self._streams.caller(request)
        stream = self._reserved.find(token, caller)
        params = await self._params(request, receive)
        operation_id = _operation_id((params.extensions or {}).get("operationId"))
        await stream.start(operation_id, lambda: self._streams.open(params, caller))
        return Response(status_code=202, headers=_NOT_CACHED)

    async def _stop(self, request: Request, token: str | None) -> Response:
        """Stop an operation of a reserved stream."""
        caller = await self._streams.caller(request)
        if token is None:
            raise HttpError(400, "BAD_REQUEST", f"send the token of the event stream as {TOKEN_HEADER}")
        await self._reserved.find(token, caller).stop(_operation_id(request.query_params.get("operationId")))
        return Response(headers=_NOT_CACHED)


def _token_of(request: Request) -> str | None:
    """Return the token of an event stream."""
    token = request.headers.get(TOKEN_HEADER)
    if token is None and request.scope["query_string"]:
        token = request.query_params.get(TOKEN_PARAMETER)
    return token


def _operation_id(given: Any) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= MAX_OPERATION_ID:
        message = f"operationId must be a text of 1 to {MAX_OPERATION_ID} characters, in `extensions` or in the URL"
        raise HttpError(400, "BAD_REQUEST", message)
    return given


def _form_for(request: Request) -> StreamFormat:
    return _EVENT_STREAM if stream_type(request.headers.get("accept")) == EVENT_STREAM else _MULTIPART


def _accepts_json(accept: str | None) -> bool:
    try:
        response_type(accept)
    except HttpError:
        return False
    return True


def _limit_error(error: Exception) -> HttpError | None:
    if isinstance(error, TooManyStreamsError):
        return HttpError(429, "RATE_LIMITED", str(error), RETRY)
    return error if isinstance(error, HttpError) else None


def _refusal(request: Request, errors: list[dict[str, Any]], http: HttpError | None) -> Response:
    """Return a response with errors, in a media type that the client accepts."""
    status, headers = (400, {}) if http is None else (http.status, http.headers)
    accept = request.headers.get("accept")
    if stream_type(accept) is None or _accepts_json(accept):
        media_type = response_type(accept) if _accepts_json(accept) else JSON
        body = encode({"errors": errors})
    else:
        form = _form_for(request)
        media_type, body = form.content_type, form.start + form.failure(encode(errors))
    return Response(body, status, {**headers, **_NOT_CACHED, "content-type": media_type})
