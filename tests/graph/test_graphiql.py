"""GraphiQL: it loads everything from this service and sends nothing to any other."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from graph import graphiql
from graph.graphql_app import GraphQLSettings
from tests.graph.api import URL, Api, open_api

BROWSER = {"accept": "text/html,*/*;q=0.8"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=graphiql.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


async def test_a_browser_gets_the_page(api: Api) -> None:
    response = await api.http.get(URL, headers=BROWSER)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    response = await api.http.get(URL, headers={"authorization": "Bearer me", "accept": "*/*"})
    assert response.status_code == 400


async def test_graphiql_can_be_disabled(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(graphiql=False)) as api:
        assert (await api.http.get(URL, headers={"accept": "text/html"})).status_code == 401
        mine = {"accept": "text/html", "authorization": "Bearer me"}
        assert (await api.http.get(URL, headers=mine)).status_code == 400


async def test_the_page_loads_files_of_this_service_only(api: Api, http: httpx.AsyncClient) -> None:
    response = await api.http.get(URL, headers=BROWSER)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert loaded == ["data:,", "graphiql/graphiql.css", "graphiql/graphiql.js"]
    for name in loaded[1:]:
        # The paths are relative, so they work behind a proxy that adds a prefix.
        assert (await http.get(f"/{name}")).status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "//" not in policy
    assert set(re.findall(r"'(unsafe-\w+)'", policy)) == {"unsafe-inline"}
    assert "script-src 'self';" in policy
    style = (await http.get("/graphiql/graphiql.css")).text
    assert [
        place for place in re.findall(r"url\(([^)]{0,40})", style) if not place.startswith(("data:", '"data:'))
    ] == []
    assert "@import" not in style


async def test_the_web_workers_of_the_script_exist(http: httpx.AsyncClient) -> None:
    script = (await http.get("/graphiql/graphiql.js")).text
    assert ".worker.js" in script
    for name in ("editor", "graphql", "json"):
        response = await http.get(f"/graphiql/{name}.worker.js")
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", graphiql.FILES.names)
async def test_a_file_is_sent_with_or_without_gzip_and_cached_by_etag(http: httpx.AsyncClient, name: str) -> None:
    plain = await http.get(f"/graphiql/{name}", headers={"accept-encoding": "identity"})
    packed = await http.get(f"/graphiql/{name}", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    again = await http.get(f"/graphiql/{name}", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["page.html", "__init__.py", "../graphql.py", "graphiql.js.gz", "%2e%2e%2fapp.py", ""])
async def test_other_files_are_not_found(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/graphiql/{name}")).status_code == 404


def test_the_files_are_small_and_have_their_licences() -> None:
    assert sum(len(graphiql.FILES.compressed(name)) for name in graphiql.FILES.names) < 2_500_000
    licences = gzip.decompress(graphiql.FILES.compressed("licences.txt")).decode()
    named = set(re.findall(r"^== (\S+) \S+ \((.+)\)$", licences, re.MULTILINE))
    assert {("graphiql", "MIT"), ("monaco-editor", "MIT"), ("react", "MIT"), ("graphql", "MIT")} <= named
    assert {licence for _, licence in named} <= {"MIT", "Apache-2.0", "BSD-2-Clause", "0BSD"}
