"""The v2 API as an ASGI app. Each request passes the checks of `docs/v2_contract.md`, section 4.5."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.compression import compress_response
from adapters.http.request_ids import current_request_id, request_id_of
from adapters.http.token_bucket import TokenBuckets
from adapters.rest_v2.adapter_functions import Authenticate, Convert, EndToken, IssueToken, Read
from adapters.rest_v2.listing.list_recordings import ListEndpoint
from adapters.rest_v2.recording.live_calls import ChannelEndpoint
from adapters.rest_v2.recording.one_recording import RecordingEndpoint
from adapters.rest_v2.request import response_headers
from adapters.rest_v2.request.envelope import EnvelopeFields, node_id, timestamp
from adapters.rest_v2.request.request_checks import MAX_BUCKETS, RequestChecks, path_of
from adapters.rest_v2.request.request_context import JSON_TYPE, RequestContext
from adapters.rest_v2.request.v2_errors import V2Error, from_refusal, store_unavailable, unspecified
from adapters.rest_v2.session.account_documents import AccountEndpoint
from adapters.rest_v2.session.login_digests import LoginDigests
from adapters.rest_v2.session.policy_documents import DocumentEndpoint
from adapters.rest_v2.session.token_auth import AuthEndpoint
from adapters.rest_v2.v2_routes import methods
from adapters.rest_v2.v2_settings import V2Settings
from adapters.rest_v2.webhook.webhook_endpoint import WebhookEndpoint
from recordings.model.errors import Refused
from recordings.ports.account_stores import AccountStore
from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.policies import Policies
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.users import ManageUsers
from recordings.use_cases.webhooks import Webhooks

Handler = Callable[[RequestContext], Awaitable[Response]]
_COMPRESSED_TYPES: Final = frozenset({JSON_TYPE, "text/csv"})
"""Compression does not make audio smaller.

The length of a compressed envelope does not reveal the token in it: unlike a cookie, a browser never sends the token
for a page of another site.
"""
_MIN_COMPRESSED: Final = 301
"""Bytes. Compression of a smaller body saves too little."""
_log: Final = structlog.get_logger("rest_v2")


def rest_v2_app(  # noqa: PLR0913 - each dependency by its name
    *,
    recordings: Recordings,
    users: ManageUsers,
    policies: Policies,
    webhooks: Webhooks,
    accounts: AccountStore,
    audit: Audit,
    authenticate: Authenticate,
    end_token: EndToken,
    issue_token: IssueToken,
    read: Read,
    convert: Convert,
    clock: Clock,
    node: str,
    version: str,
    settings: V2Settings | None = None,
    seconds: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """Return the app for the path `/v2`. `adapters.rest_v2.version_mount` also mounts it at the other versions.

    Args:
        recordings: the use cases of recordings.
        users: the use cases of users.
        policies: the use cases of recording policies.
        webhooks: the use cases of webhooks.
        accounts: the metadata store. It distinguishes an unknown account (404) from an inaccessible one (403).
        audit: the audit trail, for logins.
        authenticate: returns the principal of a token or an API key.
        end_token: ends a token.
        issue_token: issues a token.
        read: `MediaStore.read`.
        convert: converts audio.
        clock: the time of day.
        node: the name of this server. Responses contain only a digest of it.
        version: the release, for the envelopes.
        settings: the settings of the installation.
        seconds: the clock of the rate limit.
    """
    settings = settings or V2Settings()
    logins = LoginDigests(users, seconds)
    one_recording = RecordingEndpoint(recordings=recordings, read=read, convert=convert, settings=settings)
    handlers = _handlers(
        ListEndpoint(recordings=recordings, users=users, clock=clock, settings=settings),
        ChannelEndpoint(recordings),
        AccountEndpoint(users=users, settings=settings),
        DocumentEndpoint(policies=policies, users=users, settings=settings),
        WebhookEndpoint(webhooks=webhooks, users=users, clock=clock),
        AuthEndpoint(
            authenticate=authenticate,
            end_token=end_token,
            issue_token=issue_token,
            logins=logins,
            accounts=accounts,
            audit=audit,
            settings=settings,
        ),
        one_recording,
    )
    handlers |= {f"{name}_recording_of_user": handlers[f"{name}_recording"] for name in ("get", "delete", "patch")}
    buckets = TokenBuckets(settings.rate, seconds, max_buckets=MAX_BUCKETS)
    checks = RequestChecks(
        authenticate=authenticate,
        logins=logins,
        accounts=accounts,
        audit=audit,
        buckets=buckets,
        principals=TokenBuckets(settings.token_rate, seconds),
        clock=clock,
    )
    fields = EnvelopeFields(request_id="", node=node_id(node), version=version, timestamp="")
    return _V2App(handlers, checks, clock, fields)


def _handlers(*endpoints: object) -> dict[str, Handler]:
    """Return every public coroutine of the endpoints by its name, which is the name of its operation."""
    return {
        name: getattr(endpoint, name)
        for endpoint in endpoints
        for name in vars(type(endpoint))
        if not name.startswith("_")
    }


class _V2App:
    """Answers every request, also after an error, with a v2 response."""

    def __init__(
        self, handlers: Mapping[str, Handler], checks: RequestChecks, clock: Clock, fields: EnvelopeFields
    ) -> None:
        self._handlers = handlers
        self._checks = checks
        self._clock = clock
        self._fields = fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            # There are no websockets here. To close one before it is accepted rejects it with 403.
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        context = self._context(request)
        if request.method == "OPTIONS" and response_headers.is_cors(request.headers):
            response = Response()
        else:
            response = await self._respond(context)
        allowed = partial(_methods_of, request)
        response_headers.finish(response, request, context.fields.request_id, allowed)
        compress_response(
            response,
            request.headers.get("accept-encoding"),
            media_types=_COMPRESSED_TYPES,
            min_size=_MIN_COMPRESSED,
        )
        await response(scope, receive, send)

    def _context(self, request: Request) -> RequestContext:
        fields = replace(self._fields, request_id=_request_id(request), timestamp=timestamp(self._clock.now()))
        client = request.client.host if request.client else ""
        return RequestContext(request=request, client=client, fields=fields)

    async def _respond(self, context: RequestContext) -> Response:
        try:
            await self._checks.run(context)
            return await self._handlers[context.operation.name](context)
        except V2Error as error:
            return context.error_response(error)
        except Refused as refused:
            return context.error_response(from_refusal(refused))
        except ClientDisconnect:
            raise
        except StoreUnavailableError as error:
            # No traceback: during an outage each request logs this event.
            _log.error("metadata store unavailable", why=str(error), request_id=context.fields.request_id)
            return context.error_response(store_unavailable())
        except Exception:  # noqa: BLE001 - no error may show its details to a client
            # The event has no URL: it may contain a token.
            operation = context.target.operation.name if context.target else ""
            _log.exception("request failed", operation=operation, request_id=context.fields.request_id)
            return context.error_response(unspecified())


def _methods_of(request: Request) -> str:
    return methods(path_of(request))


def _request_id(request: Request) -> str:
    """Return the id that the log already uses, else the id of the request."""
    return current_request_id() or request_id_of(request.headers.raw)
