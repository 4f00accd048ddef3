"""Over HTTP: the front gives what Strawberry's own view gives, to the byte for data and errors."""

from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from graph.graphql import GraphQLApp, GraphQLServices, GraphQLSettings, graphql_app
from graph.schema.build import Schema
from tests.graph.api import PEOPLE
from tests.graph.execution.differential import UNLIMITED, make
from tests.graph.execution.rows import CURSORS, GRANTS, RandomRecordings
from tests.support.clock import StillClock

SEEDS = 80
SETTINGS = GraphQLSettings(limits=UNLIMITED, suggestions=True, burst=10**12, per_second=10**9)
SCHEMA = Schema(limits=UNLIMITED, suggestions=True)
WRONG = (
    "", "{", "{ nothing }", "query($n: Int!) { recordings(first: $n) { totalCount } }", "{ recordings { totalCount } }",
    "subscription { x }", "{ recordings(first: 1) { nodes } }", "query A { __typename } query B { __typename }",
    '{ node(id: "\\u00e4\\"") { id } }',
)  # fmt: skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Raw(msgspec.Struct):
    """The two parts of an answer, as they were written."""

    data: msgspec.Raw = msgspec.Raw(b"")
    errors: msgspec.Raw = msgspec.Raw(b"")


async def authenticate(_headers: Any) -> Any:
    return PEOPLE["me"]


def services(recordings: Any) -> GraphQLServices:
    return GraphQLServices(
        recordings=recordings, cursors=CURSORS, grants=GRANTS, clock=StillClock(), authenticate=authenticate
    )


async def answer(app: ASGIApp, body: dict[str, Any]) -> tuple[bytes, bytes]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        response = await http.post("/", json=body, headers={"x-request-id": "r"})
    raw = msgspec.json.decode(response.content, type=Raw)
    return bytes(raw.data), bytes(raw.errors)


@pytest.fixture(autouse=True)
def _one_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.graphql._request_id", lambda _request: "r")


async def compare(recordings: Any, body: dict[str, Any]) -> None:
    made = services(recordings)
    ours = await answer(graphql_app(made, SETTINGS), body)
    theirs = await answer(GraphQLApp(made, SETTINGS, SCHEMA), body)
    assert ours == theirs, body


async def test_the_front_answers_as_the_view_does() -> None:
    # What is logged, with its traceback, would take most of the time.
    with capture_logs():
        for seed in range(SEEDS):
            made, asker = make(seed)
            await compare(asker.recordings, {"query": made.text, "variables": made.variables})


@pytest.mark.parametrize("query", WRONG[1:5] + WRONG[6:7] + WRONG[8:])
async def test_the_front_refuses_as_the_view_does(query: str) -> None:
    await compare(RandomRecordings(Random(1), 0.0), {"query": query, "variables": {"n": None}})
