"""The endpoint `GET /stats`: the rows of `recordingStats` as flat JSON objects, or as CSV.

It has the authentication, the rate limit and the use case of `/graphql`. The values are those of GraphQL: enumerations
have their GraphQL names, and instants are RFC 3339 texts.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters.http.csv_cells import plain_text
from adapters.http.error_body import error_response
from graph.execution.endpoint import GraphQLEndpoint
from graph.execution.response import GraphQLResponse, encode
from graph.schema.build import STATS_COST
from graph.schema.camel_case import explain
from graph.schema.enums import Direction, StoredFormat
from graph.schema.stats_field import figures_of
from graph.stats.stats_parameters import WantedStats, read_parameters
from recordings.model.errors import Forbidden, NotFound, Refused, Unauthenticated
from recordings.model.stats import Dimension, StatsRow

_STATUSES: Final[Mapping[type[Refused], int]] = {Unauthenticated: 401, Forbidden: 403, NotFound: 404}
_HEADERS: Final = {401: {"www-authenticate": "Bearer"}}
_MEDIA_TYPES: Final = {"json": "application/json", "csv": "text/csv"}
_COLUMNS: Final[Mapping[Dimension, tuple[str, type[Enum] | None]]] = {
    Dimension.ACCOUNT: ("accountId", None),
    Dimension.OWNER: ("ownerId", None),
    Dimension.ENDPOINT: ("endpointId", None),
    Dimension.DIRECTION: ("direction", Direction),
    Dimension.STATE: ("state", None),
    Dimension.REASON: ("reason", None),
    Dimension.END_CAUSE: ("endCause", None),
    Dimension.LABEL: ("label", None),
    Dimension.FORMAT: ("format", StoredFormat),
}
"""The column of each dimension, and the enumeration whose GraphQL names differ from the stored values."""
_FIGURES: Final = {
    "count": "count",
    "measured": "measured",
    "audioMs": "audio_ms",
    "bytes": "bytes",
    "averageMs": "average_ms",
    "shortestMs": "shortest_ms",
    "longestMs": "longest_ms",
    "failureRate": "failure_rate",
}


class StatsEndpoint:
    """Answers requests for figures. `graphql` authenticates them and has the rate limit."""

    def __init__(self, graphql: GraphQLEndpoint) -> None:
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        try:
            async with asyncio.timeout(self._graphql.operations.documents.limits.seconds):
                response = await self._answer(request)
        except Refused as refused:
            status = next((status for kind, status in _STATUSES.items() if isinstance(refused, kind)), 400)
            message, _ = explain(refused)
            await error_response(status, refused.code, message, _HEADERS.get(status))(scope, receive, send)
        except TimeoutError:
            await error_response(503, "TIMEOUT", "the question took too long: ask for less data")(scope, receive, send)
        else:
            if isinstance(response, Response):
                await response(scope, receive, send)
            else:
                await response.send(send, request.headers.get("accept-encoding"))

    async def _answer(self, request: Request) -> GraphQLResponse | Response:
        context = await self._graphql.context(request)
        wanted = read_parameters(request.query_params.multi_items())
        rate = self._graphql.operations.rate
        if rate is not None and (wait := rate.take(self._graphql.payer(context), STATS_COST)):
            message = f"rate limit exceeded: this request costs {STATS_COST} points; try again in {wait} s"
            return error_response(429, "RATE_LIMITED", message, {"retry-after": str(wait)})
        try:
            result = await figures_of(context, wanted.query)
        finally:
            if rate is not None:
                rate.charge(self._graphql.payer(context), context.examined.points)
        columns = _columns(wanted)
        body = _BODIES[wanted.format](list(columns), [[read(row) for read in columns.values()] for row in result.rows])
        found = GraphQLResponse(200, body, _MEDIA_TYPES[wanted.format])
        return found.revalidated(request.headers.get("if-none-match"))


Read = Callable[[StatsRow], Any]


def _columns(wanted: WantedStats) -> dict[str, Read]:
    """Return the columns of the rows, in their order."""
    columns: dict[str, Read] = {"bucketStart": _reader("bucket_start"), "bucketEnd": _reader("bucket_end")}
    if wanted.query.top is not None:
        columns["other"] = _reader("other")
    for dimension in wanted.query.group_by:
        name, kind = _COLUMNS[dimension]
        columns[name] = _reader(dimension.value, kind)
    columns |= {name: _reader(attribute) for name, attribute in _FIGURES.items()}
    return columns | {f"p{text}": _percentile_reader(float(text)) for text in wanted.percentiles}


def _reader(attribute: str, kind: type[Enum] | None = None) -> Read:
    names = {None: None, **{each.value: each.name for each in kind or ()}}

    def read(row: StatsRow) -> Any:
        value = getattr(row, attribute)
        return value if kind is None else names[value]

    return read


def _percentile_reader(percent: float) -> Read:
    return lambda row: row.duration_ms(percent)


def _as_json(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    return encode([dict(zip(names, row, strict=True)) for row in rows])


def _as_csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain_text(value) if isinstance(value, str) else value


_BODIES: Final = {"json": _as_json, "csv": _as_csv}
