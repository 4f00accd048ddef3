"""A GraphQL client of a test installation. It sends requests with the credentials of several principals."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from adapters.identity import SealedSecrets, token_in
from graph.events.events_endpoint import EventsEndpoint
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from graph.stats.stats_endpoint import StatsEndpoint
from graph.subscriptions import OperationStreams
from recordings.model.account import GRANTABLE, Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.events import Trashed
from recordings.model.ids import new_recording_id
from recordings.model.query import MAX_COUNTED, Count, Page, PageRequest, Query
from recordings.model.recording import Media, Recording, State
from recordings.ports.recording_store import RecordingStore
from recordings.rules.cursor import Cursors
from recordings.rules.lifecycle import apply
from recordings.rules.media_grants import Grants
from recordings.rules.signing_keys import SigningKeys
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.administration import Administration
from recordings.use_cases.audit_log import AuditLog
from recordings.use_cases.call_feed import CallFeed
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, Installation, open_installation, principal
from tests.support.webhook_parts import ScriptedReceiver, webhooks_on

URL: Final = "http://api.test/graphql"
MEDIA: Final = Media(
    "s3://secret-bucket/a.mp3", "audio/mpeg", 3_000_000_000, 61_000, 8_000, 2, "0f" * 32, 1_795_336_461_000
)
CURSORS: Final = Cursors(b"c" * 32)
GRANTS: Final = Grants(b"g" * 32)
PRINCIPALS: Final = {
    "me": principal(),
    "child": principal(CHILD),
    "sibling": principal(SIBLING),
    "ada": principal(ACCOUNT, owner_id="ada"),
    "reader": principal(ACCOUNT, Scope.READ),
    "no_read": principal(ACCOUNT, Scope.CONTROL, Scope.LISTEN, Scope.DELETE),
    "admin": principal(ACCOUNT, Scope.READ, Scope.ADMIN),
    "root": principal(ACCOUNT, *GRANTABLE),
    "uploader": principal(ACCOUNT, Scope.INGEST),
}


async def authenticate(headers: Mapping[str, str]) -> Principal:
    token = token_in(headers)
    if token not in PRINCIPALS:
        raise Unauthenticated("send a token")
    return PRINCIPALS[token]


class WatchedStore:
    """Remembers the calls of a recording store."""

    def __init__(self, store: Any) -> None:
        self.pages: list[PageRequest] = []
        self.counts: list[Query] = []
        self.rows_fields: list[frozenset[str] | None] = []
        self.loads = 0
        self._page, self._count, self._rows, self._load = store.page, store.count, store.rows, store.load
        store.page, store.count, store.rows, store.load = self.page, self.count, self.rows, self.load

    async def page(self, query: Query, request: PageRequest) -> Page:
        self.pages.append(request)
        page: Page = await self._page(query, request)
        return page

    async def count(self, query: Query, limit: int = MAX_COUNTED) -> Count:
        self.counts.append(query)
        found: Count = await self._count(query, limit)
        return found

    async def rows(self, ids: Any, fields: frozenset[str] | None = None) -> Any:
        self.rows_fields.append(fields)
        return await self._rows(ids, fields)

    async def load(self, recording_id: str) -> Recording | None:
        self.loads += 1
        found: Recording | None = await self._load(recording_id)
        return found


@dataclass
class Api:
    """A client of a test installation."""

    installation: Installation
    http: httpx.AsyncClient
    app: ASGIApp
    streams: OperationStreams
    receiver: ScriptedReceiver
    made: int = field(default=0)

    async def send(self, query: str, caller: str = "me", **variables: Any) -> dict[str, Any]:
        """Return the complete response to a document."""
        response = await self.http.post(
            URL, json={"query": query, "variables": variables}, headers={"authorization": f"Bearer {caller}"}
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, query: str, caller: str = "me", **variables: Any) -> dict[str, Any]:
        """Return the data of a response, which must have no errors."""
        answer = await self.send(query, caller, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    async def refused(self, query: str, caller: str = "me", **variables: Any) -> dict[str, Any]:
        """Return the error of a response, which must have exactly one."""
        answer = await self.send(query, caller, **variables)
        assert len(answer["errors"]) == 1, answer
        error: dict[str, Any] = answer["errors"][0]
        return error

    async def keep(self, **fields: Any) -> Recording:
        """Insert a stored recording."""
        kept = recording(self.installation.clock.now() + self.made, **fields)
        self.made += 1
        await self.installation.store.insert(kept)
        return kept

    async def trash(self, **fields: Any) -> Recording:
        """Insert a deleted recording."""
        now = self.installation.clock.now()
        kept = apply(recording(now, **fields), Trashed(at=now, by="me", purge_at=now + 1_000))
        await self.installation.store.insert(kept)
        return kept

    def watch(self) -> WatchedStore:
        """Watch the calls of the store from now on."""
        return WatchedStore(self.installation.store)


def recording(now: int, **fields: Any) -> Recording:
    """Return a stored recording with these fields."""
    usual = Recording(
        id=new_recording_id(now),
        account_id=ACCOUNT,
        state=State.STORED,
        start=now,
        created=now,
        modified=now,
        call_id=f"call-{now}",
        from_="1001@a.sip.invalid",
        to="1002@a.sip.invalid",
        media=MEDIA,
        duration_ms=MEDIA.duration_ms,
    )
    return replace(usual, **fields)


async def fill(store: RecordingStore, kept: list[Recording]) -> None:
    """Insert recordings into a store."""
    for item in kept:
        await store.insert(item)


@asynccontextmanager
async def open_api(folder: Path, settings: GraphQLSettings | None = None) -> AsyncIterator[Api]:
    """Open a test installation with the API."""
    async with open_installation(folder) as installation:
        receiver = ScriptedReceiver()
        services = GraphQLServices(
            recordings=installation.service,
            cursors=CURSORS,
            grants=GRANTS,
            clock=installation.clock,
            authenticate=authenticate,
            policy_use_cases=installation.policy,
            administration=Administration(installation.store, installation.clock, installation.audit),
            audit_log=AuditLog(installation.store, installation.audit),
            account_secrets=AccountSecrets(
                installation.store, SealedSecrets(SigningKeys.of(b"s" * 32)), installation.audit
            ),
            events=installation.events,
            calls=CallFeed(installation.store, installation.call_hub, installation.audit),
            webhooks=webhooks_on(installation.store, installation.clock, installation.audit, receiver),
        )
        graphql = graphql_app(services, settings)
        stats = Route("/stats", StatsEndpoint(graphql.endpoint), methods=["GET"])
        app = Starlette(routes=[*graphql.routes(), stats, *EventsEndpoint(graphql.endpoint).routes()])
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport) as http:
            yield Api(installation, http, app, graphql.streams, receiver)
