"""Prefetching: once for each response, only for fields in the response, and with a compiled plan."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from graph.schema.build import schema_with
from recordings.model.errors import MediaUnavailable
from recordings.model.recording import Media
from tests.graph.api import CURSORS, GRANTS, Api, authenticate

COUNTED = "query($n: Boolean!) { recordings(first: 5) { totalCount @include(if: $n) nodes { plainId } } }"
WAVES = """query($n: Int!, $shown: Boolean! = true) { recordings(first: 5) { nodes {
    plainId account { name plainId parentId } media { peaks(pixels: $n) @include(if: $shown) mp3: url(format: MP3) }
} } }"""


class Drawer:
    """Draws waveforms and remembers them. It fails for the recording with the id `broken`."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, int]] = []
        self.broken = ""

    async def draw(self, recording_id: str, _media: Media, pixels: int, _whose: str) -> dict[str, Any]:
        self.drawn.append((recording_id, pixels))
        if recording_id == self.broken:
            raise MediaUnavailable("it cannot be drawn", recording_id=recording_id)
        return {"data": [pixels]}


@pytest.fixture
def drawer(api: Api) -> Drawer:
    """Give the API a source of waveforms."""
    drawer = Drawer()
    services = GraphQLServices(
        recordings=api.installation.service, cursors=CURSORS, grants=GRANTS, clock=api.installation.clock,
        authenticate=authenticate, draw=drawer.draw,
    )  # fmt: skip
    app = Starlette(routes=[Route("/graphql", graphql_app(services))])
    api.http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    return drawer


async def test_a_skipped_total_count_is_not_counted(api: Api) -> None:
    await api.keep()
    watched = api.watch()
    data = await api.ask(COUNTED, n=False)
    assert "totalCount" not in data["recordings"]
    assert watched.counts == []
    data = await api.ask(COUNTED, n=True)
    assert data["recordings"]["totalCount"] == 1
    assert len(watched.counts) == 1


async def test_a_total_count_with_aliases_is_counted_once(api: Api) -> None:
    await api.keep()
    watched = api.watch()
    thrice = "totalCount all: totalCount ... on RecordingConnection { totalCount }"
    data = await api.ask(f"{{ recordings(first: 5) {{ {thrice} }} }}")
    assert data["recordings"] == {"totalCount": 1, "all": 1}
    assert len(watched.counts) == 1


async def test_each_waveform_of_a_page_is_drawn_once(api: Api, drawer: Drawer) -> None:
    kept = [await api.keep() for _ in range(3)]
    await api.keep(media=None)
    data = await api.ask(WAVES, n=7)
    shown = {node["plainId"]: node["media"] and node["media"]["peaks"] for node in data["recordings"]["nodes"]}
    assert {key: value for key, value in shown.items() if value} == {item.id: {"data": [7]} for item in kept}
    assert sorted(drawer.drawn) == sorted((item.id, 7) for item in kept)


async def test_skipped_waveforms_are_not_drawn(api: Api, drawer: Drawer) -> None:
    await api.keep()
    data = await api.ask(WAVES, n=7, shown=False)
    assert "peaks" not in data["recordings"]["nodes"][0]["media"]
    assert drawer.drawn == []


async def test_the_error_of_a_waveform_has_its_path(api: Api, drawer: Drawer) -> None:
    kept = [await api.keep() for _ in range(2)]
    drawer.broken = kept[0].id
    answer = await api.send(WAVES, n=7)
    at = next(i for i, node in enumerate(answer["data"]["recordings"]["nodes"]) if node["plainId"] == kept[0].id)
    assert answer["data"]["recordings"]["nodes"][at]["media"]["peaks"] is None
    assert answer["data"]["recordings"]["nodes"][1 - at]["media"]["peaks"] == {"data": [7]}
    assert [error["path"] for error in answer["errors"]] == [["recordings", "nodes", at, "media", "peaks"]]
    assert len(drawer.drawn) == 2


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (COUNTED, {"n": True}),
        (WAVES, {"n": 7}),
        ("query($id: ID!) { node(id: $id) { id ... on Account { name } ... on Recording { state } } }", {}),
        ("query($id: ID!) { nodes(ids: [$id]) { id ... on Recording { account { name } } } }", {}),
    ],
)
async def test_plans_use_the_prefetched_results(
    api: Api, drawer: Drawer, query: str, variables: dict[str, Any]
) -> None:
    await api.keep()
    found = await api.ask("{ recordings(first: 1) { nodes { id } } }")
    # The same options return the same cached schema, with the documents of the requests.
    usual = GraphQLSettings()
    schema = schema_with(
        limits=usual.limits, trusted=usual.trusted, only_trusted=usual.only_trusted, register=usual.register,
        suggestions=usual.suggestions,
    )  # fmt: skip
    plans = schema.documents.find(query).node.plans
    before = plans.bails
    await api.ask(query, **variables, id=found["recordings"]["nodes"][0]["id"])
    assert plans._plans
    assert None not in plans._plans.values()
    assert plans.bails == before
