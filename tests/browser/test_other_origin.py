"""A page of another origin uses the API and plays audio, if and only if its origin is allowed."""

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Chromium, Page
from tests.e2e.server import Server
from tests.node.packages import installed_packages

QUERY = "{ recordings(first: 1) { nodes { plainId name media { url(format: WAV) durationMs } } } }"
PAGE = "<!doctype html><meta charset=utf-8><title>Player</title><div id=waveform></div>"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def page_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a page with wavesurfer.js, from a server that is not ours."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    player = (
        installed_packages(Path(__file__).parents[1] / "node") / "node_modules/wavesurfer.js/dist/wavesurfer.min.js"
    )
    (folder / "wavesurfer.js").write_bytes(player.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[Server]:
    """The service allows 127.0.0.1 only. The page server also answers as `localhost`, which is another origin."""
    origin = f"http://127.0.0.1:{page_port}"
    with Server(tmp_path_factory.mktemp("cors") / "data", "--demo", "--cors-origins", origin) as server:
        yield server


def opened(chromium: Chromium, host: str, port: int) -> Page:
    page = chromium.page()
    page.open(f"http://{host}:{port}/")
    page.until("document.title === 'Player'")
    return page


def graphql(service: Server, token: str, accept: str = "application/graphql-response+json") -> str:
    """Return a script that sends a query, and whose value is the status, the request id and the body."""
    options = {
        "method": "POST",
        "headers": {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": accept},
        "body": json.dumps({"query": QUERY}),
    }
    return (
        f"fetch('{service.url}/graphql', {json.dumps(options)}).then(async response => "
        "[response.status, response.headers.get('x-request-id'), await response.json()])"
    )


def audio_url(page: Page, service: Server) -> str:
    _, _, body = page.evaluate(graphql(service, service.shown_token()))
    return str(body["data"]["recordings"]["nodes"][0]["media"]["url"])


def test_an_allowed_page_sends_queries_and_its_preflight_is_cached(
    chromium: Chromium, service: Server, page_port: int
) -> None:
    page = opened(chromium, "127.0.0.1", page_port)
    for _ in range(2):
        status, request_id, body = page.evaluate(graphql(service, service.shown_token()))
        assert (status, len(request_id)) == (200, 32)
        assert body["data"]["recordings"]["nodes"][0]["media"]["durationMs"] > 0
    assert service.log.read_text().count("OPTIONS") == 1


def test_an_allowed_page_can_read_errors(chromium: Chromium, service: Server, page_port: int) -> None:
    page = opened(chromium, "127.0.0.1", page_port)
    status, request_id, body = page.evaluate(graphql(service, "wrong"))
    assert (status, body["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert body["errors"][0]["extensions"]["requestId"] == request_id
    for path in ("/media/unknown", "/export/recordings"):
        assert page.evaluate(f"fetch('{service.url}{path}').then(response => response.status)") == 401


def test_an_allowed_page_reads_an_export_and_its_cursor(chromium: Chromium, service: Server, page_port: int) -> None:
    page = opened(chromium, "127.0.0.1", page_port)
    header = json.dumps({"headers": {"x-auth-token": service.shown_token()}})
    text, cursor = page.evaluate(
        f"fetch('{service.url}/export/recordings?format=csv', {header}).then(async response => "
        "[await response.text(), response.headers.get('export-cursor')])"
    )
    assert text.startswith("id,accountId,")
    assert cursor


def test_wavesurfer_draws_the_audio_and_a_range_shows_its_place(
    chromium: Chromium, service: Server, page_port: int
) -> None:
    page = opened(chromium, "127.0.0.1", page_port)
    url = audio_url(page, service)
    names = ("content-range", "content-length", "accept-ranges", "etag", "content-disposition", "x-request-id")
    status, size, *headers = page.evaluate(
        f"fetch('{url}', {{headers: {{range: 'bytes=0-99'}}}}).then(async response => [response.status, "
        f"(await response.arrayBuffer()).byteLength, ...{json.dumps(names)}.map(name => response.headers.get(name))])"
    )
    assert (status, size) == (206, 100)
    assert headers[0].startswith("bytes 0-99/")
    assert all(headers), dict(zip(names, headers, strict=True))
    seconds = page.evaluate(
        "(async () => { const script = document.createElement('script'); script.src = 'wavesurfer.js';"
        "document.head.append(script); await new Promise(done => script.onload = done);"
        "const player = WaveSurfer.create({container: '#waveform'});"
        f"await player.load('{url}'); return player.getDecodedData().duration; }})()"
    )
    assert seconds > 1
    assert page.evaluate("document.querySelector('#waveform > div').shadowRoot.querySelectorAll('canvas').length") > 0


def test_a_page_of_another_origin_is_blocked(chromium: Chromium, service: Server, page_port: int) -> None:
    url = audio_url(opened(chromium, "127.0.0.1", page_port), service)
    page = opened(chromium, "localhost", page_port)
    for request in (graphql(service, service.shown_token()), f"fetch('{url}')"):
        assert page.evaluate(f"{request}.then(() => 'read', error => error.name)") == "TypeError"
