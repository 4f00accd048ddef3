"""Requests with no Host, two Hosts or a foreign Host, and chains of proxies."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from graph.server.http_host import CheckedHost, FirstForwardedProto
from tests.e2e.server import Server


async def raw(server: Server, *lines: str, upgrade: bool = False) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    connection = f"Connection: {'Upgrade' if upgrade else 'close'}"
    writer.write("".join(f"{line}\r\n" for line in (*lines, connection, "")).encode())
    text = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    return text


def test_a_request_must_have_one_host(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--public-url", "https://calls.example.org") as server:
        for hosts, status in (
            ([], 400),
            (["a.example", "b.example"], 400),
            (["a.example", "a.example"], 400),
            (["a.example"], 200),
        ):
            lines = [f"Host: {host}" for host in hosts]
            for path in ("/healthz", "/readyz"):
                text = asyncio.run(raw(server, f"GET {path} HTTP/1.1", *lines))
                assert text.startswith(f"HTTP/1.1 {status} "), (hosts, text)
                upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {'A' * 22}=="]
                # With one `Host`, whichever it is, the ingest address decides. No response contains it.
                text = asyncio.run(raw(server, "GET /ingest/a/b/ws HTTP/1.1", *lines, *upgrade, upgrade=True))
                assert text.startswith(f"HTTP/1.1 {400 if status == 400 else 404} "), (hosts, text)
                assert "a.example" not in text
        # Health checks of older balancers.
        assert " 200 " in asyncio.run(raw(server, "GET /healthz HTTP/1.0")).splitlines()[0]
        paths = [
            "/",
            "/healthz/",
            "/graphql/",
            "/v2",
            "/v2/",
            "/v1/accounts/",
            "/media/x/",
            "/ingest/a/b/",
            "//evil.example",
        ]
        for path in (*paths, "http://evil.example/healthz/"):
            for names in (["Host: evil.example"], ["Host: a.example", "X-Forwarded-Host: evil.example"]):
                text = asyncio.run(raw(server, f"GET {path} HTTP/1.1", *names, "Accept: text/html"))
                assert "evil.example" not in text, text


async def redirect(request: Request) -> RedirectResponse:
    return RedirectResponse(str(request.url.replace(path="/there")))


async def scheme(request: Request) -> JSONResponse:
    return JSONResponse(request.headers.get("x-forwarded-proto"))


APP = Starlette(routes=[Route("/", redirect), Route("/scheme", scheme)])


async def location(host: str, public_url: str | None) -> tuple[int, str | None]:
    transport = httpx.ASGITransport(CheckedHost(APP, public_url))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        response = await client.get("/?a=1")
        return response.status_code, response.headers.get("location")


async def test_a_redirect_never_names_a_host_that_the_client_chose() -> None:
    assert await location("evil.example", None) == (307, "/there?a=1")
    assert await location("evil.example", "https://calls.example.org") == (400, None)
    assert await location("calls.example.org", "https://calls.example.org") == (307, "/there?a=1")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["https, http"], "https"),
        (["https,http,http"], "https"),
        (["https", "http"], "https"),
        (["HTTPS"], "https"),
        (["https"], "https"),
        (["http, https"], "http"),
        ([" https , http"], "https"),
        ([], None),
    ],
)
async def test_the_first_proxy_of_a_chain_names_the_scheme(values: list[str], expected: str | None) -> None:
    transport = httpx.ASGITransport(FirstForwardedProto(APP))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        headers = [("x-forwarded-proto", value) for value in values]
        assert (await client.get("/scheme", headers=headers)).json() == expected


def test_media_urls_have_the_scheme_of_the_first_proxy(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--demo") as server:
        client = server.client(server.shown_token())
        client.wait_for(client.ids()[0], "STORED")
        client.http.headers["x-forwarded-proto"] = "https, http"
        (node,) = client.graphql("{ recordings(first: 1) { nodes { media { url } } } }")["recordings"]["nodes"]
        assert node["media"]["url"].startswith("https://")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folders_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    import os

    before = os.umask(umask)
    try:
        server = Server(tmp_path / "deep" / "er" / "data", "--demo")
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "er").mkdir()
        with server:
            client = server.client(server.shown_token())
            client.wait_for(client.ids()[0], "STORED")
    finally:
        os.umask(before)
    entries = list((tmp_path / "deep" / "er" / "data").rglob("*"))
    assert len(entries) > 10
    assert [path for path in entries if path.stat().st_mode & 0o077] == []
