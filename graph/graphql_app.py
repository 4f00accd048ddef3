"""The GraphQL endpoint, assembled: the schema, its execution, the callers' credentials and GraphiQL."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from adapters.http.error_body import RETRY
from adapters.http.request_ids import current_request_id
from adapters.http.token_bucket import Rate, TokenBuckets, rate_key
from graph import graphiql
from graph.execution.endpoint import GraphQLEndpoint, StreamNeededError
from graph.execution.request_errors import HttpError
from graph.execution.request_limits import Limits
from graph.execution.run_operation import OperationRunner
from graph.execution.trusted_documents import TrustedDocument
from graph.policy_use_cases import PolicyUseCases
from graph.schema import error_format
from graph.schema.build import SUBSCRIPTION_COST, schema_with
from graph.schema.resolver_context import Context, Draw, Presign
from graph.subscriptions import OperationStreams
from graph.subscriptions.http_streams import HttpStreams
from graph.subscriptions.socket_endpoint import SocketEndpoint
from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.instants import MINUTE, Millis
from recordings.ports.clock import Clock
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.administration import Administration
from recordings.use_cases.audit_log import AuditLog
from recordings.use_cases.call_feed import CallFeed
from recordings.use_cases.event_feed import EventFeed
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.webhooks import Webhooks

PATH: Final = "/graphql"
Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Returns the caller of a request by its headers. Raises `Unauthenticated`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLServices:
    """The services that the resolvers use.

    Without `draw` there are no waveforms. Without `policy_use_cases`, `events`, `calls`, `audit_log` or `webhooks`,
    their fields fail. `presign` returns the media store's own URLs. `observe_cost` is called with the cost of each
    operation, and `count_lost` when a subscription reports lost events. `may_connect` decides by the headers which web
    pages may open a WebSocket. When `stopping` is set, streams and sockets end.
    """

    recordings: Recordings
    cursors: Cursors
    grants: Grants
    clock: Clock
    authenticate: Authenticate
    draw: Draw | None = None
    presign: Presign | None = None
    policy_use_cases: PolicyUseCases | None = None
    events: EventFeed | None = None
    calls: CallFeed | None = None
    audit_log: AuditLog | None = None
    observe_cost: Callable[[int], None] | None = None
    count_lost: Callable[[], None] = lambda: None
    may_connect: Callable[[Headers], bool] = lambda _headers: True
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    account_secrets: AccountSecrets | None = None
    webhooks: Webhooks | None = None
    administration: Administration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLSettings:
    """The settings of an installation.

    - `public_url`: the start of media URLs. Default: the address of the request.
    - `trusted`: documents that clients may always use by their ids. `only_trusted`: execute no others.
    - `register`: clients may register documents (automatic persisted queries).
    - `suggestions`: errors may suggest names of the schema.
    - `introspection`: the scope that a caller needs to read the schema; `None` for no scope.
    - `burst`: the points of cost that one principal may spend at once. `per_second`: the points that it regains.
    """

    graphiql: bool = True
    public_url: str | None = None
    media_ttl: Millis = 10 * MINUTE
    limits: Limits = field(default_factory=Limits)
    trusted: tuple[TrustedDocument, ...] = ()
    only_trusted: bool = False
    register: bool = True
    suggestions: bool = False
    introspection: Scope | None = Scope.READ
    burst: int = 1_000_000
    per_second: int = 50_000
    partial_status: bool = True
    compress: bool = True


@dataclass(frozen=True, slots=True)
class GraphQLApp:
    """The ASGI app for a route at `/graphql`: requests over HTTP, and operations with several results."""

    endpoint: GraphQLEndpoint
    streams: OperationStreams
    sockets: SocketEndpoint
    http_streams: HttpStreams

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the API."""
        return [Route(PATH, self, name="graphql"), WebSocketRoute(PATH, self, name="graphql sockets")]

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one WebSocket."""
        if scope["type"] == "websocket":
            await self.sockets(scope, receive, send)
            return
        request = Request(scope)
        if self.http_streams.wants(request):
            await self.http_streams.respond(request, receive, send)
            return
        try:
            await self.endpoint(scope, receive, send)
        except StreamNeededError as needed:
            await self.http_streams.respond(request, receive, send, needed.params)


def graphql_app(services: GraphQLServices, settings: GraphQLSettings | None = None) -> GraphQLApp:
    """Return the app of an installation."""
    chosen = settings or GraphQLSettings()
    schema = schema_with(
        limits=chosen.limits,
        trusted=chosen.trusted,
        only_trusted=chosen.only_trusted,
        register=chosen.register,
        suggestions=chosen.suggestions,
    )
    needed = chosen.introspection
    format_error = partial(error_format.format_error, allowed=error_format.allowed_values(schema.core))
    operations = OperationRunner(
        schema=schema.core,
        documents=schema.documents,
        single_field=schema.single_field,
        rate=TokenBuckets(Rate(chosen.burst, chosen.per_second)),
        may_introspect=lambda context: needed is None or needed in context.principal.scopes,
        observe_cost=services.observe_cost,
    )
    contexts = ContextFactory(services, chosen)
    streams = OperationStreams(
        operations=operations,
        authenticate=services.authenticate,
        context=contexts.make,
        payer=_payer,
        request_id=request_id_of,
        format_error=format_error,
        to_http_error=to_http_error,
        count_lost=services.count_lost,
        is_personal=lambda context: context.has_signed_urls,
        subscription_cost=SUBSCRIPTION_COST,
        stopping=services.stopping,
    )
    endpoint = GraphQLEndpoint(
        operations=operations,
        context=contexts.of_request,
        payer=_payer,
        request_id=request_id_of,
        format_error=format_error,
        to_http_error=to_http_error,
        page=graphiql.page if chosen.graphiql else None,
        partial_status=chosen.partial_status,
        compress=chosen.compress,
    )
    sockets = SocketEndpoint(streams, services.may_connect)
    return GraphQLApp(endpoint, streams, sockets, HttpStreams(streams, chosen.limits.body))


@dataclass(frozen=True, slots=True)
class ContextFactory:
    """Makes the contexts of resolvers."""

    services: GraphQLServices
    settings: GraphQLSettings

    async def of_request(self, request: Request) -> Context:
        """Return the context of a request's resolvers. Raises `Unauthenticated`."""
        principal = await self.services.authenticate(request.headers)
        # A function, because few requests need it: reading the address takes as long as the rest of this.
        return self._make(principal, lambda: self.settings.public_url or str(request.base_url))

    def make(self, principal: Principal, base_url: str, since: str | None) -> Context:
        """Return a context for a principal and the address of this service. A subscription begins at `since`."""
        return self._make(principal, lambda: self.settings.public_url or base_url, since)

    def _make(self, principal: Principal, locate: Callable[[], str], since: str | None = None) -> Context:
        services = self.services
        return Context(
            principal=principal,
            recordings=services.recordings,
            policy_use_cases=services.policy_use_cases,
            account_secrets=services.account_secrets,
            account_administration=services.administration,
            feed=services.events,
            call_feed=services.calls,
            audit_log=services.audit_log,
            webhook_use_cases=services.webhooks,
            cursors=services.cursors,
            grants=services.grants,
            clock=services.clock,
            locate=locate,
            media_ttl=self.settings.media_ttl,
            draw=services.draw,
            presign=services.presign,
            max_page=self.settings.limits.page,
            since=since,
        )


def request_id_of(request: HTTPConnection) -> str:
    """Return the id of the request. If it has none, create one and keep it."""
    state: dict[str, Any] = request.scope.setdefault("state", {})
    known = state.get("request_id")
    if known is None:
        known = state["request_id"] = current_request_id() or uuid.uuid4().hex
    return str(known)


def to_http_error(error: Exception, request_id: str) -> HttpError:
    """Return the error that a client gets for an unexpected exception. Log it, unless it is `Unauthenticated`."""
    if isinstance(error, Unauthenticated):
        return HttpError.of(401, error_format.format_refusal(error), {"www-authenticate": "Bearer"})
    error_format.log_error(error, "GraphQL request failed", request_id=request_id)
    body = error_format.format_unexpected(request_id, error)
    if isinstance(error, StoreUnavailableError):
        return HttpError.of(503, body, RETRY)
    return HttpError.of(500, body)


def _payer(context: Context) -> Hashable:
    """Return the key of the token bucket of a request: its account and its principal.

    The tokens of one principal share a bucket: more tokens do not buy more requests.
    """
    return rate_key(context.principal)
