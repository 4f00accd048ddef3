"""GraphQL over HTTP: Strawberry's view over Starlette, with our context, our errors and GraphiQL."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec
from cross_web import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult

from adapters.http.error_body import RETRY
from adapters.http.request_ids import current_request_id
from adapters.http.token_bucket import Rate, TokenBuckets
from adapters.identity import token_in
from graph import graphiql
from graph.execution import error_format as faults
from graph.execution.endpoint import Front
from graph.execution.http_error import HttpProblemError
from graph.execution.request_limits import Limits
from graph.execution.response import encode
from graph.execution.run_operation import Operations
from graph.execution.trusted_documents import TrustedDocument
from graph.schema.build import Schema, schema_with
from graph.schema.resolver_context import Context, Draw, Presign
from recordings.model.account import Principal
from recordings.model.account import Scope as Scopes
from recordings.model.errors import Unauthenticated
from recordings.model.instants import MINUTE, Millis
from recordings.ports.process import Clock
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.recordings import Recordings

_METHODS: Final = {"allow": "GET, POST"}

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Who asks, by the request's headers. Raises `Unauthenticated`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLServices:
    """What the API is made of. Without `draw` there are no waveforms; `presign` gives URLs of the store's own."""

    recordings: Recordings
    cursors: Cursors
    grants: Grants
    clock: Clock
    authenticate: Authenticate
    draw: Draw | None = None
    presign: Presign | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLSettings:
    """What an installation decides. `public_url` begins media URLs, in place of the address that a request came to.

    `trusted` are documents that may always be named by their ids, and with `only_trusted` the only ones that are
    executed; with `register` clients may have others named so. `suggestions` lets errors guess at names. Whoever reads
    the schema needs the scope `introspection`. Each token may spend `burst` points of cost at once, and `per_second`.
    """

    graphiql: bool = True
    public_url: str | None = None
    media_ttl: Millis = 10 * MINUTE
    limits: Limits = field(default_factory=Limits)
    trusted: tuple[TrustedDocument, ...] = ()
    only_trusted: bool = False
    register: bool = True
    suggestions: bool = False
    introspection: Scopes | None = Scopes.READ
    burst: int = 1_000_000
    per_second: int = 50_000
    partial_status: bool = True
    compress: bool = True


def graphql_app(services: GraphQLServices, settings: GraphQLSettings | None = None) -> ASGIApp:
    """Make the ASGI app for a route at `/graphql`."""
    chosen = settings or GraphQLSettings()
    schema = schema_with(
        limits=chosen.limits,
        trusted=chosen.trusted,
        only_trusted=chosen.only_trusted,
        register=chosen.register,
        suggestions=chosen.suggestions,
    )
    view = GraphQLApp(services, chosen, schema)
    needed = chosen.introspection
    operations = Operations(
        schema=schema.core,
        documents=schema.documents,
        caller=schema.caller,
        rate=TokenBuckets(Rate(chosen.burst, chosen.per_second)),
        may_introspect=lambda context: needed is None or needed in context.principal.scopes,
    )
    return Front(
        operations=operations,
        context=view.context_of,
        spender=_spender,
        show=lambda error, request: faults.show(error, _request_id(request)),
        fault=_fault,
        request_id=_request_id,
        fallback=view,
        partial_status=chosen.partial_status,
        compress=chosen.compress,
    )


class BodyTooLargeError(Exception):
    """A body is longer than is taken."""


class GraphQLApp(GraphQL[Context, None]):
    """Answers `POST` and, for queries, `GET`; gives GraphiQL to a browser that comes without a query."""

    def __init__(self, services: GraphQLServices, settings: GraphQLSettings, schema: Schema) -> None:
        super().__init__(schema, graphql_ide=None)
        self._services = services
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. There is nothing to subscribe to, so web sockets are refused."""
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
            headers = _METHODS if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else None
            problem = HttpProblemError(error.status_code, faults.BAD_REQUEST, error.reason, headers)
        except BodyTooLargeError:
            message = f"the body must be at most {self._settings.limits.body} bytes"
            problem = HttpProblemError(413, "PAYLOAD_TOO_LARGE", message)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged here and shows nothing
            problem = _fault(error, request)
        return Response(
            encode({"errors": [problem.shown(_request_id(request))]}),
            problem.status,
            problem.headers,
            "application/json",
        )

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        """Who asks, and what for. Strawberry asks for it before it reads the body."""
        return await self.context_of(request)

    async def context_of(self, request: Request | WebSocket) -> Context:
        """Who asks, and what for."""
        services = self._services
        return Context(
            principal=await services.authenticate(request.headers),
            recordings=services.recordings,
            cursors=services.cursors,
            grants=services.grants,
            clock=services.clock,
            # Found out when it is needed: to read it from a request takes as long as all else that is done here.
            locate=lambda: self._settings.public_url or str(request.base_url),
            media_ttl=self._settings.media_ttl,
            draw=services.draw,
            presign=services.presign,
            max_page=self._settings.limits.page,
        )

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """What is sent: the data, and the errors as `graph.execution.error_format` shows them."""
        # What was never executed has no data, not even null ones: its errors are at no place in an answer.
        executed = result.data is not None or any(error.path for error in result.errors or ())
        response: GraphQLHTTPResponse = {"data": result.data} if executed else {}
        if result.errors:
            request_id = _request_id(request)
            response["errors"] = [faults.show(error, request_id) for error in result.errors]
        return response

    def should_render_graphql_ide(self, request: Any) -> bool:  # noqa: ARG002 - the page is served before
        """Never: a request without a query is an error here."""
        return False

    def encode_json(self, data: object) -> bytes:
        """JSON, the fast way."""
        return encode(data)

    def parse_json(self, data: str | bytes) -> Any:
        """A JSON object.

        Raises:
            HTTPException: it is none.
        """
        try:
            parsed = msgspec.json.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise HTTPException(400, f"the request is not JSON: {error}") from error
        if not isinstance(parsed, dict | None):
            raise HTTPException(400, "the request must be one JSON object")
        return parsed


def _spender(request: Request) -> int | None:
    """Whose rate a request counts for: its token's, in whichever header that is; all of those who need none share one.

    The token itself is not kept, only its hash, which means nothing outside of this process.
    """
    try:
        return hash(token_in(request.headers))
    except Unauthenticated:
        return None


def _is_browser(request: Request) -> bool:
    wants_page = request.method == "GET" and "query" not in request.query_params
    return wants_page and "text/html" in request.headers.get("accept", "")


def _request_id(request: Request | WebSocket) -> str:
    """The id that the request was given, or else, once and for all of it, a new one."""
    state: dict[str, Any] = request.scope.setdefault("state", {})
    known = state.get("request_id")
    if known is None:
        known = state["request_id"] = current_request_id() or uuid.uuid4().hex
    return str(known)


def _fault(error: Exception, request: Request) -> HttpProblemError:
    if isinstance(error, Unauthenticated):
        return HttpProblemError.of(401, faults.refusal(error), {"www-authenticate": "Bearer"})
    request_id = _request_id(request)
    faults.log(error, "a GraphQL request failed", request_id=request_id)
    told, is_away = faults.fault(request_id, error), isinstance(error, StoreUnavailableError)
    return HttpProblemError.of(503 if is_away else 500, told, RETRY if is_away else None)


def _limited(receive: Receive, most: int) -> Receive:
    length = 0

    async def limited() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > most:
            raise BodyTooLargeError
        return message

    return limited
