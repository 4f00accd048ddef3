"""The endpoint against Strawberry's own view over HTTP: `data` and `errors` are equal to the byte.

The document comes in a body or in a URL, as a text, by its id or by its hash. Requests that are not valid HTTP for
GraphQL are refused by both. The endpoint has its own statuses and codes for them.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from itertools import product
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from graph import graphiql
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from recordings.ports.recording_store import StoreUnavailableError
from tests.graph.api import PRINCIPALS, authenticate
from tests.graph.execution.differential import UNLIMITED, make
from tests.graph.execution.rows import CURSORS, GRANTS, RandomRecordings
from tests.graph.execution.strawberry_view import StrawberrySchema, StrawberryView
from tests.support.fake_clock import FakeClock

SEEDS = 80
SETTINGS = GraphQLSettings(limits=UNLIMITED, suggestions=True, burst=10**12, per_second=10**9)
SCHEMA = StrawberrySchema(limits=UNLIMITED, suggestions=True)
WRONG = (
    "{", "{ nothing }", "query($n: Int!) { recordings(first: $n) { totalCount } }", "{ recordings { totalCount } }",
    "subscription { x }", "{ recordings(first: 1) { nodes } }", '{ node(id: "\\u00e4\\"") { id } }', "# nothing",
    "{ ...f } fragment f on Query { nothing }", "{ viewer { name } } { viewer { scopes } }",
)  # fmt: skip
MUTATION = 'mutation M { stopRecording(input: {id: "x"}) { recording { id } } }'
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}
SAFE = {"x-requested-with": "test"}
Ask = dict[str, Any]
"""The arguments of `httpx` for a request."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Raw(msgspec.Struct):
    """The two parts of a response, as they were written."""

    data: msgspec.Raw = msgspec.Raw(b"")
    errors: msgspec.Raw = msgspec.Raw(b"")


async def as_me(_headers: Any) -> Any:
    return PRINCIPALS["me"]


def services(recordings: Any, authenticate: Any = as_me) -> GraphQLServices:
    return GraphQLServices(
        recordings=recordings, cursors=CURSORS, grants=GRANTS, clock=FakeClock(), authenticate=authenticate
    )


async def send(app: ASGIApp, **ask: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    # Both sides show the same request id in their errors.
    with structlog.contextvars.bound_contextvars(request_id="r"):
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            return await http.request(ask.pop("method", "POST"), "/", **ask)


def parts(response: httpx.Response) -> tuple[bytes, bytes]:
    raw = msgspec.json.decode(response.content, type=Raw)
    return bytes(raw.data), bytes(raw.errors)


def by_body(text: str, variables: dict[str, Any]) -> list[Ask]:
    return [{"json": {"query": text, "variables": variables}}]


def by_url(text: str, variables: dict[str, Any]) -> list[Ask]:
    params = {"query": text, "variables": json.dumps(variables)}
    return [{"method": "GET", "params": params, "headers": SAFE}]


def by_hash(text: str, variables: dict[str, Any]) -> list[Ask]:
    """The requests of a client that registers its document and then sends only the hash."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}
    params = {"variables": variables, "extensions": extensions}
    return [{"json": {"query": text, **params}}, {"json": params}]


def by_id(text: str, variables: dict[str, Any]) -> list[Ask]:
    digest = sha256(text.encode()).hexdigest()
    registered = by_hash(text, variables)[0]
    in_url = {"documentId": digest, "variables": json.dumps(variables)}
    return [
        registered,
        {"json": {"documentId": f"sha256:{digest}", "variables": variables}},
        {"method": "GET", "params": in_url, "headers": SAFE},
    ]


WAYS: tuple[Callable[[str, dict[str, Any]], list[Ask]], ...] = (by_body, by_url, by_hash, by_id)


async def compare(recordings: Any, text: str, variables: dict[str, Any], way: Any = by_body) -> None:
    made = services(recordings)
    expected = parts(await send(StrawberryView(made, SETTINGS, SCHEMA), **by_body(text, variables)[0]))
    endpoint = graphql_app(made, SETTINGS)
    for ask in way(text, variables):
        assert parts(await send(endpoint, **ask)) == expected, (text, variables, ask)


@pytest.mark.parametrize("way", WAYS)
async def test_the_endpoint_answers_as_the_view(way: Any) -> None:
    # Without this, logging the tracebacks takes most of the time.
    with capture_logs():
        for seed in range(SEEDS if way is by_body else SEEDS // 4):
            made, caller = make(seed)
            await compare(caller.recordings, made.text, made.variables, way)


@pytest.mark.parametrize("way", [by_body, by_url])
@pytest.mark.parametrize("query", WRONG)
async def test_the_endpoint_reports_the_same_errors_as_the_view(query: str, way: Any) -> None:
    await compare(RandomRecordings(Random(1), 0.0), query, {"n": None}, way)


async def test_both_execute_the_named_operation() -> None:
    made = services(RandomRecordings(Random(1), 0.0))
    for name in ("A", "B"):
        text = "query A { viewer { name } } query B { viewer { scopes } }"
        ask = {"json": {"query": text, "operationName": name}}
        in_url = {"method": "GET", "params": ask["json"], "headers": SAFE}
        expected = parts(await send(StrawberryView(made, SETTINGS, SCHEMA), **ask))
        assert expected[0]
        for way in (ask, in_url):
            assert parts(await send(graphql_app(made, SETTINGS), **way)) == expected


async def test_the_endpoint_needs_a_name_to_choose_among_several_operations() -> None:
    # The view takes the first operation. The specification says that this is an error.
    made = services(RandomRecordings(Random(1), 0.0))
    data, errors = parts(
        await send(graphql_app(made, SETTINGS), json={"query": "query A { a: __typename } query B { b }"})
    )
    assert not data
    assert b"Cannot query field" in errors
    data, errors = parts(
        await send(graphql_app(made, SETTINGS), json={"query": "query A { __typename } query B { __typename }"})
    )
    assert not data
    assert b"Must provide operation name" in errors


@pytest.mark.parametrize(
    "ask",
    [
        {"content": b"[" + b'{"query": "{ __typename }"}' + b"]", "headers": JSON},
        {"content": b"[]", "headers": JSON},
        {"content": b"{", "headers": JSON},
        {"content": b"", "headers": JSON},
        {"content": b"{}", "headers": JSON},
        {"content": b'"{ __typename }"', "headers": JSON},
        {"content": b'{"query": ""}', "headers": JSON},
        {"content": b'{"query": 1}', "headers": JSON},
        {"content": b'{"query": "{ __typename }", "variables": []}', "headers": JSON},
        {"content": b'{"query": "{ __typename }", "extensions": 1}', "headers": JSON},
        {"content": b'{"query": "{ __typename }"}', "headers": TEXT},
        {"content": b"query=%7B__typename%7D", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"--x--", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"method": "GET", "headers": SAFE},
        {"method": "GET", "params": {"query": MUTATION}, "headers": SAFE},
        {"method": "GET", "params": {"query": "{ __typename }", "variables": "{"}, "headers": SAFE},
        {"method": "DELETE"},
    ],
)
async def test_both_refuse_invalid_http_requests(ask: Ask) -> None:
    made = services(RandomRecordings(Random(1), 0.0))
    for app in (graphql_app(made, SETTINGS), StrawberryView(made, SETTINGS, SCHEMA)):
        response = await send(app, **ask)
        assert 400 <= response.status_code < 500
        data, errors = parts(response)
        assert not data
        assert errors


PAGES = (
    "text/html",
    "text/html,*/*;q=0.8",
    "application/json, text/html",
    "multipart/mixed, text/html",
    "text/html;q=0",
)
TOKENS: tuple[dict[str, str], ...] = (
    {}, {"authorization": "Bearer me"}, {"x-auth-token": "me"}, {"authorization": "Bearer unknown"},
)  # fmt: skip
URLS = (
    "", "variables={}", "variables={", "variables=[]", "extensions=1", "operationName=A", "Query={viewer{name}}",
    "queries=x&variables=null", f"documentId={'0' * 64}", "documentId=../x", "a=1&a=2", "%2571uery=x", "&&==&",
    'extensions={"persistedQuery":{"version":1,"sha256Hash":"x"}}',
)  # fmt: skip


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_a_browser_without_a_query_gets_from_both_the_page_or_the_same_error(is_enabled: bool) -> None:
    settings = GraphQLSettings(graphiql=is_enabled)
    made = services(RandomRecordings(Random(1), 0.0), authenticate)
    schema = StrawberrySchema()
    for accept, token, url, body in product(PAGES, TOKENS, URLS, (None, b"{", b'{"query": "{ __typename }"}')):
        ask = {"method": "GET", "params": url, "headers": {**token, "accept": accept}, "content": body}
        ours = await send(graphql_app(made, settings), **ask)
        theirs = await send(StrawberryView(made, settings, schema), **ask)
        assert ours.status_code == theirs.status_code, ask
        if is_enabled:
            assert ours.status_code == 200
            assert (ours.headers, ours.content) == (theirs.headers, theirs.content)
            continue
        error, expected = ours.json()["errors"][0], theirs.json()["errors"][0]
        assert error["extensions"] == expected["extensions"]
        assert ours.status_code in {400, 401}
        # The one answer of the endpoint's own: there is no document.
        assert ("no document" in error["message"]) is (ours.status_code == 400)
        assert ours.status_code == 400 or error == expected


async def test_a_browser_gets_the_same_503_from_both_if_the_store_is_unavailable() -> None:
    async def unavailable(_headers: Any) -> Any:
        raise StoreUnavailableError("MongoDB does not answer")

    settings = GraphQLSettings(graphiql=False)
    made = services(RandomRecordings(Random(1), 0.0), unavailable)
    ask: Ask = {"method": "GET", "headers": {"accept": "text/html"}}
    with capture_logs():
        ours = await send(graphql_app(made, settings), **ask)
        theirs = await send(StrawberryView(made, settings, StrawberrySchema()), **ask)
    assert (ours.status_code, ours.json(), ours.headers["retry-after"]) == (503, theirs.json(), "10")


async def test_the_page_is_only_for_a_get_that_accepts_html_and_has_no_query() -> None:
    made = services(RandomRecordings(Random(1), 0.0))
    page = graphiql.page().body
    no_page: tuple[Ask, ...] = (
        {"method": "HEAD", "headers": {"accept": "text/html"}},
        {"method": "POST", "headers": {"accept": "text/html, */*"}},
        {"method": "GET", "headers": {"accept": "*/*"}},
        {"method": "GET", "headers": {"accept": "text/html"}, "params": "query="},
        {"method": "GET", "headers": {"accept": "text/html"}, "params": "%71uery="},
        {"method": "GET", "headers": {"accept": "text/html"}, "params": "a=1&query"},
    )
    for ask in no_page:
        for app in (graphql_app(made, SETTINGS), StrawberryView(made, SETTINGS, SCHEMA)):
            response = await send(app, **ask)
            assert 400 <= response.status_code < 500
            assert response.content != page
