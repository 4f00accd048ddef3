"""`GET /events`: the feed of events as NDJSON, one CloudEvents document a line, and the JSON Schemas of their data.

Without `wait`, the response has the stored events up to the watermark. With it, the request waits until there is an
event, and returns events as they happen. The header `Events-Cursor` has the place behind the last line, also if there
are no lines. Authentication and rate limit are those of `/graphql`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.http.error_body import RETRY, error_response
from graph.events.event_parameters import WantedEvents, read_parameters
from graph.execution.endpoint import GraphQLEndpoint
from graph.export.export_endpoint import ExportSlots, TooManyExportsError
from graph.schema.build import EVENTS_COST
from graph.schema.camel_case import explain
from graph.schema.resolver_context import Context
from recordings.model.errors import Forbidden, NotFound, Refused, Unauthenticated
from recordings.model.feed_event import EventCursor, EventInclude, EventType
from recordings.rules.event_document import SCHEMA_PATH, VERSION, cloud_event, schema_of
from recordings.use_cases.event_reader import ReadEvent

CURSOR_HEADER: Final = "events-cursor"
NDJSON: Final = "application/x-ndjson"
PER_ACCOUNT: Final = 16
PER_SERVER: Final = 512
"""How many requests may wait for events at once."""
_LOOK_SECONDS: Final = 1.0
"""How often a waiting request looks whether its client is still there."""
_STATUSES: Final[Mapping[type[Refused], int]] = {Unauthenticated: 401, Forbidden: 403, NotFound: 404}
_HEADERS: Final = {401: {"www-authenticate": "Bearer"}}


class EventsEndpoint:
    """Answers requests for events. `graphql` authenticates them and has the rate limit."""

    def __init__(
        self,
        graphql: GraphQLEndpoint,
        public_url: str | None = None,
        slots: ExportSlots | None = None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._graphql = graphql
        self._public_url = public_url
        self._is_draining = is_draining
        self._slots = slots or ExportSlots(PER_ACCOUNT, PER_SERVER, "requests that wait for events")

    def routes(self) -> list[Route]:
        """Return the routes of events and of their schemas."""
        return [
            Route("/events", self.respond, methods=["GET"], name="events"),
            Route(SCHEMA_PATH + "/{name}", self.schema, methods=["GET"], name="event schema"),
        ]

    async def respond(self, request: Request) -> Response:
        """Return events, or an error response."""
        try:
            return await self._answer(request)
        except TooManyExportsError as error:
            return error_response(429, "RATE_LIMITED", str(error), RETRY)
        except Refused as refused:
            status = next((status for kind, status in _STATUSES.items() if isinstance(refused, kind)), 400)
            message, _ = explain(refused)
            return error_response(status, refused.code, message, _HEADERS.get(status))

    async def schema(self, request: Request) -> Response:
        """Return the JSON Schema of a type of events. It needs no credentials."""
        name = str(request.path_params["name"])
        kind = next((kind for kind in EventType if name == f"{kind}.{VERSION}.json"), None)
        if kind is None:
            return error_response(404, "NOT_FOUND", "there is no such schema")
        base_url = (self._public_url or str(request.base_url)).rstrip("/")
        return JSONResponse(schema_of(kind, base_url), media_type="application/schema+json")

    async def _answer(self, request: Request) -> Response:
        context: Context = await self._graphql.context(request)
        wanted = await read_parameters(context, request.query_params.multi_items())
        rate = self._graphql.operations.rate
        if rate is not None and (wait := rate.take(self._graphql.payer(context), EVENTS_COST)):
            message = f"rate limit exceeded: this request costs {EVENTS_COST} points; try again in {wait} s"
            return error_response(429, "RATE_LIMITED", message, {"retry-after": str(wait)})
        if wanted.wait:
            with self._slots.take(context.principal.account_id):
                events, cursor = await self._live(context, wanted, request)
        else:
            page = await context.events.page(context.principal, wanted.selection, wanted.cursor, wanted.limit)
            events, cursor = page.events, page.cursor
        body = b"".join(line_of(context, each, wanted.include) for each in events)
        headers = {CURSOR_HEADER: context.cursors.write_event(cursor), "cache-control": "no-store"}
        return Response(body, headers=headers, media_type=NDJSON)

    async def _live(
        self, context: Context, wanted: WantedEvents, request: Request
    ) -> tuple[Sequence[ReadEvent], EventCursor]:
        """Return the events that are there, or wait for the first one."""
        events: list[ReadEvent] = []
        reader = await context.events.follow(context.principal, wanted.selection, wanted.cursor)
        loop = asyncio.get_running_loop()
        end = loop.time() + wanted.wait
        try:
            while len(events) < wanted.limit:
                remaining = 0.0 if events else min(end - loop.time(), _LOOK_SECONDS)
                found = await reader.next(max(remaining, 0.0))
                if isinstance(found, ReadEvent):
                    events.append(found)
                elif events or loop.time() >= end or self._is_draining() or await request.is_disconnected():
                    break
            return events, events[-1].cursor if events else reader.cursor
        finally:
            await reader.aclose()


def line_of(context: Context, read: ReadEvent, include: Sequence[EventInclude]) -> bytes:
    """Return an event as one line of NDJSON: a CloudEvents document with the extension `cursor`."""
    document: dict[str, Any] = cloud_event(read.event, read.row, context.base_url, include)
    document["cursor"] = context.cursors.write_event(read.cursor)
    return msgspec.json.encode(document) + b"\n"
