"""The shim as an ASGI app: the checks that every request goes through, in the contract's order (section 4.5)."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.compression import compress_response
from adapters.http.request_ids import current_request_id, request_id_of
from adapters.http.token_bucket import TokenBuckets
from adapters.rest_v2.dependencies import Accounts, Choices, Convert, Identity, Issue, Read
from adapters.rest_v2.listing.list_reader import Pages
from adapters.rest_v2.listing.list_recordings import Listings
from adapters.rest_v2.recording.live_calls import Calls, Control
from adapters.rest_v2.recording.one_recording import OneRecording, Recordings
from adapters.rest_v2.request import request_checks as gate
from adapters.rest_v2.request import response_headers as headers
from adapters.rest_v2.request.envelope import Meta, node_id, timestamp
from adapters.rest_v2.request.request_context import JSON_TYPE, RequestContext
from adapters.rest_v2.request.v2_errors import Fault, gone, of_refusal, store_away, unspecified
from adapters.rest_v2.session.account_documents import Directory
from adapters.rest_v2.session.login_digests import LoginDigests
from adapters.rest_v2.session.token_auth import Sessions
from adapters.rest_v2.v2_routes import methods
from recordings.model.errors import Refused
from recordings.ports.process import Clock
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.users import ManageUsers

Handler = Callable[[RequestContext], Awaitable[Response]]
_log: Final = structlog.get_logger("rest_v2")
_COMPRESSED_TYPES: Final = frozenset({JSON_TYPE, "text/csv"})
"""Compression does not make audio smaller.

The length of a compressed envelope does not reveal the token in it: unlike a cookie, a browser never sends the token
for a page of another site.
"""
_MIN_COMPRESSED: Final = 301
"""Bytes. Compression of a smaller body saves too little."""


class Service(Pages, Recordings, Control, Protocol):
    """All use cases of `recordings.use_cases.recordings.Recordings` that the shim calls."""


def rest_v2_app(  # noqa: PLR0913 - everything it needs of others, each by its name
    *,
    service: Service,
    members: ManageUsers,
    accounts: Accounts,
    identity: Identity,
    issue: Issue,
    read: Read,
    convert: Convert,
    clock: Clock,
    node: str,
    version: str,
    choices: Choices | None = None,
    seconds: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The app to be mounted at `/v2`.

    Args:
        service: the use cases.
        members: the use cases around users.
        accounts: the metadata store, to tell an unknown account from one out of reach.
        identity: tells whose a token is.
        issue: makes tokens.
        read: `MediaStore.read`.
        convert: makes renditions.
        clock: the time of day.
        node: this process's name; only a digest of it is shown.
        version: the release, as envelopes show it.
        choices: what the installation decides.
        seconds: a clock for rate limits.
    """
    chosen = choices or Choices()
    logins = LoginDigests(members, seconds)
    one = OneRecording(recordings=service, read=read, convert=convert, choices=chosen)
    handlers = _handlers(
        Listings(pages=service, members=members, clock=clock, choices=chosen),
        Calls(service),
        Directory(members=members, choices=chosen),
        Sessions(identity=identity, issue=issue, logins=logins, accounts=accounts, choices=chosen),
        one,
    )
    handlers |= {f"{name}_recording_of_user": handlers[f"{name}_recording"] for name in ("get", "delete", "patch")}
    buckets = TokenBuckets(chosen.rate, seconds, max_buckets=gate.MAX_BUCKETS)
    door = gate.Gate(identity=identity, logins=logins, accounts=accounts, buckets=buckets, clock=clock)
    return _App(handlers, door, clock, Meta(request_id="", node=node_id(node), version=version, timestamp=""))


def rest_v1_app(*, clock: Clock, node: str, version: str) -> ASGIApp:
    """The app to be mounted at `/v1`: whatever was there is gone (410)."""
    return _App({}, None, clock, Meta(request_id="", node=node_id(node), version=version, timestamp=""))


def _handlers(*endpoints: object) -> dict[str, Handler]:
    """Every public coroutine of the endpoints, by its name, which is the operation's."""
    return {
        name: getattr(endpoint, name)
        for endpoint in endpoints
        for name in vars(type(endpoint))
        if not name.startswith("_")
    }


class _App:
    """Answers every request, whatever happens, in v2's form."""

    def __init__(self, handlers: Mapping[str, Handler], door: gate.Gate | None, clock: Clock, meta: Meta) -> None:
        self._handlers = handlers
        self._gate = door
        self._clock = clock
        self._meta = meta

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            # There are no sockets here; closing one that is not accepted is a refusal (403).
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        exchange = self._exchange(request)
        if request.method == "OPTIONS" and headers.is_cors(request.headers):
            response = Response()
        else:
            response = await self._respond(exchange)
        allowed = methods(gate.path_of(request))
        headers.finish(response, request, exchange.meta.request_id, allowed)
        compress_response(
            response,
            request.headers.get("accept-encoding"),
            media_types=_COMPRESSED_TYPES,
            min_size=_MIN_COMPRESSED,
        )
        await response(scope, receive, send)

    def _exchange(self, request: Request) -> RequestContext:
        told = replace(self._meta, request_id=_request_id(request), timestamp=timestamp(self._clock.now()))
        client = request.client.host if request.client else ""
        return RequestContext(request=request, client=client, meta=told)

    async def _respond(self, exchange: RequestContext) -> Response:
        try:
            if self._gate is None:
                return exchange.refuse(gone())
            await self._gate.enter(exchange)
            return await self._handlers[exchange.operation.name](exchange)
        except Fault as fault:
            return exchange.refuse(fault)
        except Refused as refused:
            return exchange.refuse(of_refusal(refused))
        except ClientDisconnect:
            raise
        except StoreUnavailableError as error:
            # Without a traceback: while it lasts there is one of these for each request.
            _log.error("the metadata store is away", why=str(error), request_id=exchange.meta.request_id)
            return exchange.refuse(store_away())
        except Exception:  # noqa: BLE001 - whatever it is, it ends here and shows nothing
            # Never the address: there may be a token in it.
            operation = exchange.target.operation.name if exchange.target else ""
            _log.exception("a request failed", operation=operation, request_id=exchange.meta.request_id)
            return exchange.refuse(unspecified())


def _request_id(request: Request) -> str:
    """The id that is in the log already, or else that of the request."""
    return current_request_id() or request_id_of(request.headers.raw)
