"""CORS: which pages of other origins may read a response, and the answers to their preflight requests."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.cross_origin import PATHS, CrossOrigin

APP = "https://app.example.org"
OTHERS = (
    "http://app.example.org",
    "https://app.example.org:8443",
    "https://app.example.org.evil.example",
    "https://evil.example/https://app.example.org",
    "https://sub.app.example.org",
    "https://APP.example.org",
    f"{APP}, https://evil.example",
    "null",
    "",
)
STATUSES = (200, 206, 304, 400, 401, 403, 404, 413, 416, 429, 500, 503)


async def backend(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the status that the query names; a preflight request never arrives here."""
    status = int(Request(scope).query_params.get("status", "200"))
    await Response("audio", status, {"vary": "accept", "etag": '"1"'})(scope, receive, send)


def client(*origins: str) -> httpx.AsyncClient:
    cross_origin = CrossOrigin(origins)
    app: ASGIApp = cross_origin.add_headers(cross_origin.answer_preflights(backend))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.test")


def cors_headers(response: httpx.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("access-control-")}


async def preflight(http: httpx.AsyncClient, path: str, origin: str = APP, **headers: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    return await http.options(path, headers=asked | {name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize("path", [*PATHS, "/media/202611-1", "/export/recordings", "/graphql/"])
@pytest.mark.parametrize("status", STATUSES)
async def test_every_response_to_an_allowed_origin_has_the_headers(path: str, status: int) -> None:
    async with client(APP, "http://localhost:3000") as http:
        response = await http.get(path, params={"status": status}, headers={"origin": APP})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == APP
    assert response.headers["vary"] == "accept, origin"
    exposed = set(response.headers["access-control-expose-headers"].split(", "))
    assert exposed >= {"content-range", "accept-ranges", "content-length", "etag", "content-disposition"}
    assert exposed >= {"x-request-id", "retry-after"}
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", [*OTHERS, None])
async def test_another_origin_gets_no_header_but_caches_learn_that_the_origin_matters(origin: str | None) -> None:
    async with client(APP) as http:
        response = await http.get("/media/1", headers={} if origin is None else {"origin": origin})
    assert response.status_code == 200
    assert not cors_headers(response)
    assert response.headers["vary"] == "accept, origin"


@pytest.mark.parametrize("origin", [APP, *OTHERS, None])
async def test_any_origin_is_allowed_by_a_star_without_credentials_mode(origin: str | None) -> None:
    headers = {"cookie": "a=b"} | ({} if origin is None else {"origin": origin})
    async with client("*") as http:
        response = await http.get("/graphql", headers=headers)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["vary"] == "accept"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_preflight_is_answered_and_may_be_cached() -> None:
    wanted = "authorization,content-type,range,traceparent"
    async with client(APP) as http:
        for path, methods in PATHS.items():
            response = await preflight(http, path, access_control_request_headers=wanted)
            assert (response.status_code, response.content) == (204, b"")
            assert response.headers["access-control-allow-origin"] == APP
            assert response.headers["access-control-allow-methods"] == methods
            assert response.headers["access-control-allow-headers"] == wanted
            assert response.headers["access-control-max-age"] == "86400"
            assert response.headers["vary"] == "origin, access-control-request-headers"
        allowed = (await preflight(http, "/media/1")).headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "range", "x-auth-token"} <= set(allowed)


@pytest.mark.parametrize("origin", OTHERS)
async def test_a_preflight_of_another_origin_names_the_setting(origin: str) -> None:
    async with client(APP) as http:
        response = await preflight(http, "/graphql", origin)
    assert response.status_code == 403
    assert "--cors-origins" in response.json()["error"]["message"]
    assert not cors_headers(response)


@pytest.mark.parametrize("path", ["/graphqlx", "/", "/v2/accounts", "/ingest/a/b", "/mediax/1", "/x/media"])
async def test_other_paths_are_not_changed(path: str) -> None:
    async with client("*") as http:
        for response in (await http.get(path, headers={"origin": APP}), await preflight(http, path)):
            assert not cors_headers(response)
            assert response.headers["vary"] == "accept"


async def test_an_options_request_that_is_no_preflight_is_passed_on() -> None:
    async with client(APP) as http:
        response = await http.options("/graphql", headers={"origin": APP})
    assert response.content == b"audio"


async def test_without_origins_nothing_changes() -> None:
    cross_origin = CrossOrigin(())
    assert cross_origin.add_headers(backend) is backend
    assert cross_origin.answer_preflights(backend) is backend
