"""The web app: all routes of the service, and its background work."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from adapters.cancellation import cancel_and_wait
from adapters.http.cross_origin import CrossOrigin
from adapters.http.error_body import routing_error
from adapters.recorders.embedded import (
    AudioSocketCalls,
    AudioSocketServer,
    MediaSockets,
    StreamSignatures,
    Uploads,
    ingest_routes,
)
from adapters.recorders.take_file_route import take_file_route
from adapters.rest_v2.v2_app import rest_v2_app
from adapters.rest_v2.v2_settings import V2Settings
from adapters.rest_v2.version_mount import mount_versions
from graph import console, graphiql
from graph.events.events_endpoint import EventsEndpoint
from graph.execution.trusted_documents import read_trusted
from graph.export.export_endpoint import ExportEndpoint
from graph.graphql_app import GraphQLApp, GraphQLServices, GraphQLSettings, graphql_app
from graph.media.play_endpoint import MediaEndpoint
from graph.media.presigned_urls import UrlPresigner
from graph.metrics.counters import EVENTS_LOST, GRAPHQL_COST, count_request
from graph.metrics.watch import watched
from graph.server import health_checks as health
from graph.server.audit_sealing import AuditSealing
from graph.server.background_work import BackgroundWork
from graph.server.disk_reserve import DiskReserve
from graph.server.drain import Drain
from graph.server.http_host import CheckedHost
from graph.server.key_watch import KeyWatch
from graph.server.media_check import MediaCheck
from graph.server.request_log import RequestLog, masked, unavailable
from graph.server.retention_work import RetentionWork
from graph.server.slot_counting import SlotCounting
from graph.server.trusted_proxies import client_finder
from graph.server.worker_report import missing_workers
from graph.services import Services
from graph.settings import Settings
from graph.stats.stats_endpoint import StatsEndpoint
from recordings.model.call import Call
from recordings.model.instants import SECOND
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.peers import Peer
from recordings.ports.recording_store import StoreUnavailableError

if TYPE_CHECKING:
    from adapters.peers import PresencePublisher

VERSION: Final = version("call-recording-api")
"""The running release."""


def create_app(services: Services, drain: Drain | None = None, listener: socket.socket | None = None) -> ASGIApp:
    """Return the ASGI app for open services. Its lifespan runs the background work. By default, it does not drain.

    `listener` is the bound socket for AudioSocket.
    """
    drain = drain or Drain(0, 0, services.embedded.live_calls)
    background = BackgroundWork(
        services.upkeep,
        services.recorder,
        services.recordings,
        services.wake,
        policies=services.policy.starts,
        early=services.early,
    )
    publisher = _presence_publisher(services)

    _report_calls(services, publisher)

    async def claim(call: Call) -> bool:
        await services.policy.starts.admit_stream(call)
        return publisher is None or await publisher.claim(call)

    sockets, calls = MediaSockets(services.embedded, services.clock, claim, client_finder()), AudioSocketCalls()
    audiosocket = AudioSocketServer(sockets.host, calls, lambda: drain.is_active)
    media_check = MediaCheck(services)
    services.media.on_first_put(media_check.claim)
    sealing = AuditSealing(services.audit_sealer, services.audit.close)
    counting = SlotCounting(services.slot_counter, services.store)
    key_watch = KeyWatch(services.key, services.store)
    cross_origin = CrossOrigin(services.settings.cors_origins, services.settings.public_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if services.settings.metrics is None:
            async with serving():
                yield
        else:
            async with serving(), watched(services, background):
                yield

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        await services.remove_leftovers()
        await background.start()
        services.switches.start()
        tasks = (
            asyncio.create_task(media_check.run(), name="media check"),
            asyncio.create_task(counting.run(), name="figures"),
            asyncio.create_task(sealing.run(), name="audit seals"),
            asyncio.create_task(RetentionWork(services.retention_runs).run(), name="retention"),
            asyncio.create_task(services.webhook_work.run(), name="webhooks"),
            asyncio.create_task(services.webhook_bell.run(), name="webhook bell"),
            asyncio.create_task(key_watch.run(), name="installation key"),
        )
        if publisher is not None:
            await publisher.start()
        if listener is not None:
            await audiosocket.start(listener)
        try:
            yield
        finally:
            # The leases of webhooks end now.
            await cancel_and_wait(*tasks)
            if publisher is not None:
                await publisher.stop()
            await services.switches.stop()
            await background.stop(services.settings.shutdown_timeout)
            await audiosocket.stop()
            await sealing.stop()

    app = Starlette(
        routes=_routes(
            services,
            background,
            (media_check, counting, key_watch),
            publisher,
            drain,
            cross_origin,
            _ingest(services, sockets, calls if listener is not None else None, drain),
        ),
        lifespan=lifespan,
        middleware=[
            Middleware(CheckedHost, public_url=services.settings.public_url),
            Middleware(drain.close_connections),
            Middleware(cross_origin.answer_preflights),
        ],
        exception_handlers={
            HTTPException: routing_error,
            StoreUnavailableError: unavailable,
            MediaStoreUnavailableError: unavailable,
            Exception: masked,
        },
    )
    return cross_origin.add_headers(RequestLog(app, count_request if services.settings.metrics else None))


def _routes(
    services: Services,
    background: BackgroundWork,
    watched: tuple[MediaCheck, SlotCounting, KeyWatch],
    publisher: "PresencePublisher | None",
    drain: Drain,
    cross_origin: CrossOrigin,
    ingest: Sequence[BaseRoute],
) -> list[BaseRoute]:
    checks = {
        "metadata": services.store.ping,
        "spool": services.spool.check,
        "background": background.check,
        "drain": drain.check,
    }
    media_check, counting, key_watch = watched
    graphql = _graphql(services, cross_origin, drain)
    reports = {
        "installation": media_check.owner_problem,
        "media": media_check.fault,
        "figures": counting.report,
        "disk": DiskReserve(services.settings.data).report,
        "switches": services.switches.report,
        "key": key_watch.report,
    }
    if publisher is not None:
        reports["clock"] = publisher.report_clock
    if services.settings.worker is not None and services.peer_store is not None:
        reports["workers"] = partial(missing_workers, services.settings.worker, services.peer_store)
    return [
        # First, because most requests are for it.
        *graphql.routes(),
        Route("/", _redirect_to(console.PATH if services.settings.console else "/graphql")),
        *health.routes(checks, reports, services.switches.states),
        Route("/stats", StatsEndpoint(graphql.endpoint), methods=["GET"]),
        *EventsEndpoint(graphql.endpoint, services.settings.public_url, is_draining=lambda: drain.is_active).routes(),
        *(graphiql.routes() if services.settings.graphiql else ()),
        *_console(services.settings),
        _media(services).route(),
        _exports(services).route(),
        *ingest,
        *_peers(services),
        mount_versions(_rest_v2(services)),
    ]


def _graphql(services: Services, cross_origin: CrossOrigin, drain: Drain) -> GraphQLApp:
    settings = services.settings
    presigner = UrlPresigner(services.media, settings.media_url_ttl * SECOND, services.audit)
    parts = GraphQLServices(
        recordings=services.recordings,
        policy_use_cases=services.policy,
        account_secrets=services.secrets,
        webhooks=services.webhooks,
        administration=services.administration,
        events=services.events,
        calls=services.calls,
        audit_log=services.audit_log,
        cursors=services.cursors,
        grants=services.grants,
        clock=services.clock,
        authenticate=services.identity.authenticate,
        draw=services.converter.waveform,
        presign=presigner.urls if settings.media_presign else None,
        observe_cost=GRAPHQL_COST.observe if settings.metrics else None,
        count_lost=EVENTS_LOST.inc,
        may_connect=cross_origin.may_connect,
        stopping=drain.ending,
    )
    choices = GraphQLSettings(
        graphiql=settings.graphiql,
        public_url=settings.public_url,
        media_ttl=settings.media_url_ttl * SECOND,
        limits=settings.graphql_limits,
        trusted=() if settings.graphql_trusted is None else read_trusted(settings.graphql_trusted),
        only_trusted=settings.graphql_only_trusted,
        register=settings.graphql_register,
        suggestions=settings.graphql_suggestions,
        introspection=settings.introspection_scope,
        burst=settings.graphql_burst,
        per_second=settings.graphql_per_second,
        partial_status=settings.graphql_partial_status,
        compress=settings.graphql_compress,
    )
    return graphql_app(parts, choices)


def _exports(services: Services) -> ExportEndpoint:
    return ExportEndpoint(
        exports=services.exports, cursors=services.cursors, authenticate=services.identity.authenticate
    )


def _media(services: Services) -> MediaEndpoint:
    return MediaEndpoint(
        service=services.recordings.plays,
        media=services.media,
        grants=services.grants,
        clock=services.clock,
        authenticate=lambda request: services.identity.authenticate(request.headers),
        converter=services.converter,
    )


def _ingest(services: Services, sockets: MediaSockets, calls: AudioSocketCalls | None, drain: Drain) -> list[BaseRoute]:
    recorder = services.embedded
    routes = ingest_routes(
        authenticate=services.identity.ingest,
        uploads=Uploads(
            ingest=services.ingest,
            spool=services.spool,
            limits=recorder.limits,
            receiving=recorder.uploads,
            client_of=client_finder(),
        ),
        sockets=sockets,
        audiosocket=calls,
        is_draining=lambda: drain.is_active,
        clock=services.clock,
        signatures=StreamSignatures(services.clock, services.secrets.twilio_tokens, services.settings.public_url),
    )
    return [take_file_route(services.switches.receive_file, recorder.limits), *routes]


def _presence_publisher(services: Services) -> "PresencePublisher | None":
    """Return the publisher that announces this server to the others; `None` if there can be no others."""
    store, recorder, client = services.peer_store, services.recorder, services.peer_client
    if client is None or store is None:
        return None
    from adapters.peers import PresencePublisher

    worker, url = services.settings.worker, services.settings.peer_url
    if url is None and worker is not None:
        # Without other machines, the workers need no URL from the operator.
        url = worker.urls[services.node]
    server = Peer(services.node, url or "", VERSION)
    return PresencePublisher(
        store, server, recorder.live_calls, client=client, clock=services.clock, keys=lambda: services.key.ids
    )


def _report_calls(services: Services, publisher: "PresencePublisher | None") -> None:
    """Report each change of this server's calls to its subscribers and to the other servers."""

    def report() -> None:
        services.call_hub.note_change()
        if publisher is not None:
            publisher.notify_change()

    services.recorder.on_calls_changed(report)


def _peers(services: Services) -> list[BaseRoute]:
    if services.settings.peer_url is None and services.settings.worker is None:
        return []
    from adapters.peers import CommandSigner, peer_routes

    signer = CommandSigner(services.key.derive("peers"), services.node, services.clock)
    return peer_routes(
        signer=signer,
        recorder=services.recorder,
        recordings=services.store,
        node=services.node,
        client=services.peer_client,
    )


def _rest_v2(services: Services) -> ASGIApp:
    settings = services.settings
    return rest_v2_app(
        recordings=services.recordings,
        users=services.users,
        policies=services.policy.policies,
        webhooks=services.webhooks,
        accounts=services.store,
        audit=services.audit,
        authenticate=services.identity.authenticate_token,
        end_token=services.identity.end_token,
        issue_token=services.tokens.issue,
        read=services.media.read,
        convert=services.converter.convert,
        clock=services.clock,
        node=services.node,
        version=VERSION,
        settings=V2Settings(
            owner_sees_account=settings.v2_owner_sees_account,
            max_rows=settings.v2_max_rows,
            storage=settings.media or "file:",
        ),
    )


def _console(settings: Settings) -> list[Route]:
    return console.routes(public_url=settings.public_url, presigns=settings.media_presign) if settings.console else []


def _redirect_to(path: str) -> Callable[[Request], Awaitable[RedirectResponse]]:
    async def redirect(_request: Request) -> RedirectResponse:
        return RedirectResponse(path)

    return redirect
