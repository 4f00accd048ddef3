"""Over HTTP: the front gives what Strawberry's own view gives, to the byte for data and errors.

However a document comes: in a body or in a URL, as a text, by its id, or by its hash. What HTTP itself refuses, both
refuse; the front says it with statuses and codes of its own.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from graph.schema.build import Schema
from graph.server.graphql_app import GraphQLApp, GraphQLServices, GraphQLSettings, graphql_app
from tests.graph.api import PRINCIPALS
from tests.graph.execution.differential import UNLIMITED, make
from tests.graph.execution.rows import CURSORS, GRANTS, RandomRecordings
from tests.support.fake_clock import StillClock

SEEDS = 80
SETTINGS = GraphQLSettings(limits=UNLIMITED, suggestions=True, burst=10**12, per_second=10**9)
SCHEMA = Schema(limits=UNLIMITED, suggestions=True)
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
"""What `httpx` takes for one request."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Raw(msgspec.Struct):
    """The two parts of an answer, as they were written."""

    data: msgspec.Raw = msgspec.Raw(b"")
    errors: msgspec.Raw = msgspec.Raw(b"")


async def authenticate(_headers: Any) -> Any:
    return PRINCIPALS["me"]


def services(recordings: Any) -> GraphQLServices:
    return GraphQLServices(
        recordings=recordings, cursors=CURSORS, grants=GRANTS, clock=StillClock(), authenticate=authenticate
    )


async def send(app: ASGIApp, **ask: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        return await http.request(ask.pop("method", "POST"), "/", **ask)


def told(response: httpx.Response) -> tuple[bytes, bytes]:
    raw = msgspec.json.decode(response.content, type=Raw)
    return bytes(raw.data), bytes(raw.errors)


def by_body(text: str, variables: dict[str, Any]) -> list[Ask]:
    return [{"json": {"query": text, "variables": variables}}]


def by_url(text: str, variables: dict[str, Any]) -> list[Ask]:
    params = {"query": text, "variables": json.dumps(variables)}
    return [{"method": "GET", "params": params, "headers": SAFE}]


def by_hash(text: str, variables: dict[str, Any]) -> list[Ask]:
    """As a client does that has not been told yet whether its document is known."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}
    asked = {"variables": variables, "extensions": extensions}
    return [{"json": {"query": text, **asked}}, {"json": asked}]


def by_id(text: str, variables: dict[str, Any]) -> list[Ask]:
    digest = sha256(text.encode()).hexdigest()
    known = by_hash(text, variables)[0]
    in_url = {"documentId": digest, "variables": json.dumps(variables)}
    return [
        known,
        {"json": {"documentId": f"sha256:{digest}", "variables": variables}},
        {"method": "GET", "params": in_url, "headers": SAFE},
    ]


WAYS: tuple[Callable[[str, dict[str, Any]], list[Ask]], ...] = (by_body, by_url, by_hash, by_id)


@pytest.fixture(autouse=True)
def _one_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.server.graphql_app._request_id", lambda _request: "r")


async def compare(recordings: Any, text: str, variables: dict[str, Any], way: Any = by_body) -> None:
    made = services(recordings)
    theirs = told(await send(GraphQLApp(made, SETTINGS, SCHEMA), **by_body(text, variables)[0]))
    front = graphql_app(made, SETTINGS)
    for ask in way(text, variables):
        assert told(await send(front, **ask)) == theirs, (text, variables, ask)


@pytest.mark.parametrize("way", WAYS)
async def test_the_front_answers_as_the_view_does(way: Any) -> None:
    # What is logged, with its traceback, would take most of the time.
    with capture_logs():
        for seed in range(SEEDS if way is by_body else SEEDS // 4):
            made, asker = make(seed)
            await compare(asker.recordings, made.text, made.variables, way)


@pytest.mark.parametrize("way", [by_body, by_url])
@pytest.mark.parametrize("query", WRONG)
async def test_the_front_refuses_as_the_view_does(query: str, way: Any) -> None:
    await compare(RandomRecordings(Random(1), 0.0), query, {"n": None}, way)


async def test_of_several_operations_both_execute_the_one_that_is_named() -> None:
    made = services(RandomRecordings(Random(1), 0.0))
    for name in ("A", "B"):
        text = "query A { viewer { name } } query B { viewer { scopes } }"
        ask = {"json": {"query": text, "operationName": name}}
        in_url = {"method": "GET", "params": ask["json"], "headers": SAFE}
        theirs = told(await send(GraphQLApp(made, SETTINGS, SCHEMA), **ask))
        assert theirs[0]
        for way in (ask, in_url):
            assert told(await send(graphql_app(made, SETTINGS), **way)) == theirs


async def test_without_a_name_the_front_does_not_choose_among_several_operations() -> None:
    # The view takes the first. The specification has it that this is an error.
    made = services(RandomRecordings(Random(1), 0.0))
    data, errors = told(
        await send(graphql_app(made, SETTINGS), json={"query": "query A { a: __typename } query B { b }"})
    )
    assert not data
    assert b"Cannot query field" in errors
    data, errors = told(
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
        {"method": "PUT", "json": {"query": "{ __typename }"}},
        {"method": "DELETE"},
    ],
)
async def test_what_http_refuses_both_refuse(ask: Ask) -> None:
    made = services(RandomRecordings(Random(1), 0.0))
    for app in (graphql_app(made, SETTINGS), GraphQLApp(made, SETTINGS, SCHEMA)):
        response = await send(app, **ask)
        assert 400 <= response.status_code < 500
        data, errors = told(response)
        assert not data
        assert errors
