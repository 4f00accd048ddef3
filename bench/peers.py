"""The Python servers that bench/graphql.py compares: `python -m bench.peers NAME URI PORT`.

All of them answer the same three queries from the same collection, without authentication. The comparison covers the
path of a page from the store to the network. `ours` is this service's complete endpoint with its limits, cost
calculation and error handling.
"""

import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import uvicorn
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from graph.execution.column_values import instant_texts

ACCOUNT: Final = "0123456789abcdef0123456789abcdef"
DATABASE: Final = "recordings"
DATES: Final = ("start", "created")
FIELDS: Final = {
    "id": "plainId", "account_id": "accountId", "state": "state", "start": "start", "created": "created",
    "call_id": "callId", "from": "from", "to": "to", "origin": "origin", "name": "name", "format": "format",
    "owner_id": "ownerId", "interaction_id": "interactionId", "direction": "direction",
    "caller_id_name": "callerIdName", "caller_id_number": "callerIdNumber", "callee_id_number": "calleeIdNumber",
    "label": "label", "duration_ms": "durationMs", "recorder": "recorder",
}  # fmt: skip
"""The 20 fields of the page query, by row field."""
ANALYTICS: Final = FIELDS | {
    "modified": "modified", "endpoint_id": "endpointId", "cdr_id": "cdrId", "request": "request", "reason": "reason",
    "reason_detail": "reasonDetail", "end_cause": "endCause", "callee_id_name": "calleeIdName",
    "revision": "revision", "trashed_by": "trashedBy",
}  # fmt: skip
MEDIA: Final = {"length": "length", "duration_ms": "durationMs", "sample_rate": "sampleRate", "channels": "channels",
                "content_type": "contentType", "sha256": "sha256"}  # fmt: skip
NULLABLE: Final = frozenset({
    "owner_id", "interaction_id", "direction", "caller_id_name", "caller_id_number", "callee_id_number", "label",
    "duration_ms", "endpoint_id", "cdr_id", "request", "reason", "reason_detail", "end_cause", "callee_id_name",
    "trashed_by",
})  # fmt: skip
NUMBERS: Final = frozenset({"duration_ms", "revision"})


def collection(uri: str) -> Any:
    return AsyncMongoClient(uri)[DATABASE].get_collection("recordings", codec_options=CodecOptions(tz_aware=False))


def cursor(row: dict[str, Any]) -> str:
    return urlsafe_b64encode(b"%d,%b" % (row["start"], row["_id"].encode())).decode()


def projection(names: Iterable[str]) -> dict[str, int]:
    return {"_id" if name == "id" else name: 1 for name in names}


async def find(rows: Any, count: int, names: Any) -> list[dict[str, Any]]:
    query = {"account_id": ACCOUNT, "shelf": "LIVE"}
    order = [("start", -1), ("_id", -1)]
    found: list[dict[str, Any]]
    found = await rows.find(query, projection(names), sort=order, limit=count + 1, batch_size=count + 2).to_list()
    return found


def asked(selections: Any) -> list[str]:
    """Return the row fields of the recordings that a query asks for, given Strawberry's selections of a field."""
    names: set[str] = set()
    waiting = list(selections)
    while waiting:
        field = waiting.pop()
        names.add(field.name)
        waiting.extend(field.selections)
    return read_fields(names)


def asked_of(nodes: Any) -> list[str]:
    """Return the same, given nodes of graphql-core."""
    names: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        names.add(node.name.value)
        waiting.extend(node.selection_set.selections if node.selection_set else ())
    return read_fields(names)


def read_fields(names: Collection[str]) -> list[str]:
    """Return the row fields with these names, and `start`, which the cursor needs."""
    return [key for key, wire in (ANALYTICS | {"media": "media"}).items() if wire in names or key == "start"]


def ours(uri: str) -> ASGIApp:
    """This service: the endpoint, the compiled execution, the use cases and the store."""
    from adapters.metadata.mongodb import MongoStore
    from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
    from graph.server.audit_queue import AuditQueue
    from graph.server.audit_trail import AuditTrail
    from recordings.model.account import DEFAULT_SCOPES, Principal
    from recordings.rules.cursor import Cursors
    from recordings.rules.media_grants import Grants
    from recordings.use_cases.recordings import Recordings
    from tests.support.fake_clock import FakeClock
    from tests.support.fake_recorder import FakeRecorder

    clock, store = FakeClock(), MongoStore(uri, DATABASE)
    audit = AuditTrail(AuditQueue(store, clock, "n", strict=False), clock)
    principal = Principal(ACCOUNT, frozenset(DEFAULT_SCOPES), None, "bench")

    async def authenticate(_headers: Any) -> Principal:
        return principal

    service = Recordings(
        store=store, recorder=FakeRecorder(clock), clock=clock, audit=audit, wake=lambda: None, node="n"
    )
    services = GraphQLServices(
        recordings=service, cursors=Cursors(b"c" * 32), grants=Grants(b"g" * 32), clock=clock, authenticate=authenticate
    )
    app = graphql_app(services, GraphQLSettings(burst=10**12, per_second=10**9))

    @asynccontextmanager
    async def opened(_app: Any) -> AsyncIterator[None]:
        await store.open()
        yield

    return Starlette(routes=[Route("/graphql", app)], lifespan=opened)


def plain(uri: str) -> ASGIApp:
    """A server written by hand for exactly these queries: the lower bound of the cost."""
    rows = collection(uri)

    def node(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        row["id"] = row["_id"]
        for name in DATES:
            row[name + "_"] = instant_texts((row[name],))[0]
        return {wire: row[name + "_" if name in DATES else name] for name, wire in names.items()}

    async def respond(request: Request) -> Response:
        params = orjson.loads(await request.body())
        name = params.get("operationName")
        if name == "Point":
            row = await rows.find_one({"_id": params["variables"]["id"]}, projection(FIELDS))
            return Response(orjson.dumps({"data": {"recording": node(row, FIELDS)}}), media_type="application/json")
        names = FIELDS if name == "Page" else ANALYTICS
        found = await find(rows, 100, [*names, *(["media"] if name == "Analytics" else [])])
        edges = [{"cursor": cursor(row), "node": node(row, names) | media(row, name)} for row in found[:100]]
        info = {"hasNextPage": len(found) > 100, "endCursor": edges[-1]["cursor"]}
        body = orjson.dumps({"data": {"recordings": {"edges": edges, "pageInfo": info}}})
        return Response(body, media_type="application/json")

    def media(row: dict[str, Any], name: str) -> dict[str, Any]:
        if name != "Analytics":
            return {}
        found = row["media"]
        return {"media": found and {wire: found[key] for key, wire in MEDIA.items()}}

    return Starlette(routes=[Route("/graphql", respond, methods=["POST"])])


def strawberry_documented(uri: str) -> ASGIApp:
    """Strawberry with types, resolvers and ASGI view as in its documentation."""
    import strawberry
    from strawberry.asgi import GraphQL

    rows = collection(uri)

    def annotation(name: str) -> Any:
        kind: Any = datetime if name in (*DATES, "modified") else int if name in NUMBERS else str
        return kind | None if name in NULLABLE else kind

    media_type = strawberry.type(
        type(
            "Media",
            (),
            {"__annotations__": {name: str if name in {"content_type", "sha256"} else int for name in MEDIA}},
        )
    )
    fields = {("from_" if name == "from" else name): annotation(name) for name in ANALYTICS if name != "id"}
    body = {"__annotations__": {"plain_id": str, **fields, "media": media_type | None}}
    body["from_"] = strawberry.field(name="from")
    recording_type: Any = strawberry.type(type("Recording", (), body), name="Recording")

    def to_object(row: dict[str, Any]) -> Any:
        values = {key: row.get("from" if key == "from_" else key) for key in fields}
        for name in (*DATES, "modified"):
            values[name] = datetime.fromtimestamp(row[name] / 1_000, UTC) if name in row else None
        media = row.get("media")
        stored = media and media_type(**{key: media[key] for key in MEDIA})
        return recording_type(plain_id=row["_id"], media=stored, **values)

    @strawberry.type
    class Edge:
        cursor: str
        node: recording_type

    @strawberry.type
    class PageInfo:
        has_next_page: bool
        end_cursor: str | None

    @strawberry.type
    class Connection:
        edges: list[Edge]
        page_info: PageInfo

    async def resolve_recordings(info: strawberry.Info, first: int) -> Connection:
        found = await find(rows, first, asked(info.selected_fields))
        edges = [Edge(cursor=cursor(row), node=to_object(row)) for row in found[:first]]
        return Connection(
            edges=edges, page_info=PageInfo(has_next_page=len(found) > first, end_cursor=edges[-1].cursor)
        )

    async def resolve_recording(info: strawberry.Info, id: strawberry.ID) -> recording_type:
        return to_object(await rows.find_one({"_id": id}, projection(asked(info.selected_fields))))

    query: Any = strawberry.type(
        type(
            "Query",
            (),
            {
                "__annotations__": {"recordings": Connection, "recording": recording_type},
                "recordings": strawberry.field(resolver=resolve_recordings),
                "recording": strawberry.field(resolver=resolve_recording),
            },
        )
    )
    return Starlette(routes=[Route("/graphql", GraphQL(strawberry.Schema(query)))])


def ariadne(uri: str) -> ASGIApp:
    """Ariadne with the same schema in SDL, and dicts as objects."""
    from ariadne import ObjectType, QueryType, make_executable_schema
    from ariadne.asgi import GraphQL

    rows, query, recording = collection(uri), QueryType(), ObjectType("Recording")
    for key, wire in ANALYTICS.items():
        recording.set_field(wire, lambda row, _info, key=key: row["_id" if key == "id" else key])
    for name in (*DATES, "modified"):
        recording.set_field(ANALYTICS[name], lambda row, _info, key=name: instant_texts((row[key],))[0])
    media = ObjectType("Media")
    for key, wire in MEDIA.items():
        media.set_field(wire, lambda row, _info, key=key: row[key])

    @query.field("recordings")
    async def resolve_recordings(_root: Any, info: Any, *, first: int) -> Any:
        found = await find(rows, first, asked_of(info.field_nodes))
        edges = [{"cursor": cursor(row), "node": row} for row in found[:first]]
        return {"edges": edges, "pageInfo": {"hasNextPage": len(found) > first, "endCursor": edges[-1]["cursor"]}}

    @query.field("recording")
    async def resolve_recording(_root: Any, info: Any, *, id: str) -> Any:
        return await rows.find_one({"_id": id}, projection(asked_of(info.field_nodes)))

    schema = make_executable_schema(sdl(), query, recording, media)
    return Starlette(routes=[Route("/graphql", GraphQL(schema))])


def sdl() -> str:
    """Return the queried part of the schema, for servers that take it as text."""

    def line(name: str, wire: str) -> str:
        return f"{wire}: {'Int' if name in NUMBERS else 'String'}{'' if name in NULLABLE else '!'}"

    fields = "\n".join(line(name, wire) for name, wire in ANALYTICS.items())
    media = "\n".join(
        f"{wire}: {'String' if key in {'content_type', 'sha256'} else 'Int'}!" for key, wire in MEDIA.items()
    )
    return f"""
      type Query {{ recordings(first: Int!): Connection! recording(id: ID!): Recording }}
      type Connection {{ edges: [Edge!]! pageInfo: PageInfo! }}
      type PageInfo {{ hasNextPage: Boolean! endCursor: String }}
      type Edge {{ cursor: String! node: Recording! }}
      type Media {{ {media} }}
      type Recording {{ {fields} media: Media }}"""


PEERS: Final[dict[str, Callable[[str], ASGIApp]]] = {
    "ours": ours,
    "plain": plain,
    "strawberry": strawberry_documented,
    "ariadne": ariadne,
}

if __name__ == "__main__":
    name, uri, port = sys.argv[1:]
    uvicorn.run(PEERS[name](uri), port=int(port), log_level="warning", access_log=False, ws="none")
