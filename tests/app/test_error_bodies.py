"""Every error of every route outside v2 has the same body: `{"error": {"code", "message", "requestId"}}`."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute

from adapters.peers import Command, CommandSigner, Verb
from adapters.recorders.embedded import recorder_limits
from graph.app import create_app
from graph.server.request_log import RequestLog
from graph.services import Services, open_services
from graph.settings.load import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.ids import new_recording_id
from recordings.model.recording import Media, Recording, State
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.recording_store import StoreUnavailableError

AUDIO = b"\xff\xfb" + bytes(1_000)
ROUTES = {
    "/": ["GET", "HEAD"],
    "/healthz": ["GET", "HEAD"],
    "/readyz": ["GET", "HEAD"],
    "/graphiql/{name}": ["GET", "HEAD"],
    "/console": ["GET", "HEAD"],
    "/console/{name}": ["GET", "HEAD"],
    "/media/{id}": ["GET", "HEAD"],
    "/export/recordings": ["GET", "HEAD"],
    "/stats": ["GET", "HEAD"],
    "/ingest/{address}/{secret}": ["POST", "PUT"],
    "/ingest/{address}/{secret}/audiosocket": ["POST"],
    "/ingest/{address}/{secret}/{tail:path}": ["POST", "PUT"],
    "/internal/commands": ["POST"],
    "/events": ["GET", "HEAD"],
    "/events/schemas/{name}": ["GET", "HEAD"],
    "/ingest/take/{token}/{recording_id}.wav": ["PUT"],
}
"""All routes with this body. /graphql has GraphQL's own errors, and below /v1 and /v2 are the envelopes of v2."""


@dataclass
class Site:
    """The complete app, an account, a stored recording and an ingest address."""

    services: Services
    app: RequestLog
    client: httpx.AsyncClient
    recording: Recording
    headers: dict[str, str]
    ingest: str

    @property
    def media(self) -> str:
        return f"/media/{self.recording.id}"

    async def error(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Send a request that fails, check the body's form, and return the status and the code."""
        response = await self.client.request(method, path, **options)
        return response.status_code, checked(response)

    async def graphql(self, method: str = "POST", **options: Any) -> tuple[int, str]:
        """The same for /graphql."""
        headers = options.pop("headers", {"content-type": "application/json", **self.headers})
        response = await self.client.request(method, "/graphql", headers=headers, **options)
        (error,) = response.json()["errors"]
        assert error["message"]
        assert error["extensions"]["requestId"] == response.headers["x-request-id"]
        return response.status_code, error["extensions"]["code"]


def checked(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    error = body["error"]
    assert set(error) == {"code", "message", "requestId"}
    assert error["message"]
    assert error["requestId"] == response.headers["x-request-id"]
    assert len(error["requestId"]) == 32
    assert set(body) == ({"error", "status", "parts"} if error["code"] == "NOT_READY" else {"error"})
    return str(error["code"])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_services(load({}, {"data": str(tmp_path / "data")})) as opened:
        services = replace(opened, settings=replace(opened.settings, peer_url="http://127.0.0.1:1"))
        account = await services.accounts.create_account("Acme")
        ingest = await services.accounts.create_ingest(account.id)
        recording = await _stored(services, account.id, tmp_path)
        token = services.tokens.issue(Principal(account.id, frozenset(DEFAULT_SCOPES)))
        app: Any = create_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
            path = f"/ingest/{ingest.address.id}/{ingest.secret}"
            yield Site(services, app, client, recording, {"X-Auth-Token": token}, path)


async def _stored(services: Services, account_id: str, folder: Path) -> Recording:
    now = services.clock.now()
    recording_id = new_recording_id(now)
    (folder / "source").write_bytes(AUDIO)
    url = await services.media.put(f"{account_id}/{recording_id}.mp3", str(folder / "source"), "audio/mpeg")
    media = Media(url, "audio/mpeg", len(AUDIO), 1_000, 8_000, 1, sha256(AUDIO).hexdigest(), now)
    recording = Recording(
        id=recording_id,
        account_id=account_id,
        state=State.STORED,
        start=now,
        created=now,
        modified=now,
        call_id="call",
        from_="a",
        to="b",
        media=media,
    )
    await services.store.insert(recording)
    return recording


def routes(site: Site) -> dict[str, list[str]]:
    app: Any = site.app._app
    found = [each for each in app.routes if isinstance(each, Route) and each.path != "/graphql"]
    return {each.path: sorted(each.methods or ()) for each in found}


@contextmanager
def raising(target: Any, error: Exception, *names: str) -> Iterator[None]:
    async def broken(*_arguments: Any, **_named: Any) -> Any:
        # The traceback of an error grows each time that it is raised.
        raise error.with_traceback(None)

    with pytest.MonkeyPatch.context() as patched:
        for name in names:
            patched.setattr(target, name, broken)
        yield


async def test_each_route_answers_a_wrong_method_in_this_form(site: Site) -> None:
    assert routes(site) == ROUTES
    for path, methods in ROUTES.items():
        filled = path.replace("{tail:path}", "x").replace("{", "").replace("}", "")
        # Uploads take POST below every address.
        others = {"POST"} if path.startswith("/ingest/take/") else set()
        for method in {"GET", "POST", "DELETE", "BREW"} - set(methods) - others:
            assert await site.error(method, filled) == (405, "METHOD_NOT_ALLOWED"), (method, path)


async def test_unknown_paths_names_and_ids(site: Site) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("GET", "/graphiql/nothing"),
        ("GET", "/console/nothing"),
        ("GET", "/media/nothing"),
        ("PUT", "/ingest/nothing/secret"),
        ("POST", "/ingest/nothing/secret/call.mp3"),
    ):
        assert (await site.error(method, path, headers=site.headers))[0] == 404, path
    (site.services.settings.data / "media").rename(site.services.settings.data / "aside")
    (site.services.settings.data / "media").mkdir()
    assert (await site.error("GET", site.media, headers=site.headers))[0] in {404, 503}


async def test_a_socket_with_an_unknown_address_is_denied_in_this_form(site: Site) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    sockets = [each.path for each in site.app._app.routes if isinstance(each, WebSocketRoute)]  # type: ignore[attr-defined]
    (socket,) = [path for path in sockets if path.endswith("/ws") and "{secret}" in path]
    path = socket.replace("{address}", "nothing").replace("{secret}", "x")
    scope = {"type": "websocket", "path": path, "query_string": b"", "subprotocols": []}
    parts = {"headers": [(b"host", b"test")], "extensions": {"websocket.http.response": {}}}
    await site.app(scope | parts, receive, send)
    start, body = sent[0], b"".join(message.get("body", b"") for message in sent)
    response = httpx.Response(start["status"], headers=start["headers"], content=body)
    error = response.json()["error"]
    assert (response.status_code, set(error)) == (404, {"code", "message", "requestId"})


async def test_missing_and_wrong_credentials(site: Site) -> None:
    for headers in ({}, {"X-Auth-Token": "wrong"}):
        assert await site.error("GET", site.media, headers=headers) == (401, "UNAUTHENTICATED")
        assert await site.error("POST", "/internal/commands", headers=headers) == (401, "UNAUTHENTICATED")
    assert await site.error("GET", site.media, params={"signature": "x", "expires": "1"}) == (401, "UNAUTHENTICATED")


async def test_wrong_requests(site: Site) -> None:
    wrong_format = await site.error("GET", site.media, params={"format": "ogg"}, headers=site.headers)
    assert wrong_format == (400, "INVALID_INPUT")
    wrong_version = await site.error("GET", site.media, headers=site.headers | {"If-Match": '"other"'})
    assert wrong_version == (412, "PRECONDITION_FAILED")
    beyond_the_end = await site.error("GET", site.media, headers=site.headers | {"Range": "bytes=9999-"})
    assert beyond_the_end == (416, "RANGE_NOT_SATISFIABLE")
    assert (await site.error("PUT", f"{site.ingest}/call.exe", content=b"x"))[0] == 400
    too_long = {"content-length": str(recorder_limits.Limits().max_body + 1)}
    assert (await site.error("PUT", f"{site.ingest}/call_recording_x.mp3", content=b"x", headers=too_long))[0] == 413
    too_short = await site.error(
        "PUT", f"{site.ingest}/call_recording_x.mp3", content=b"x", headers={"content-length": "5"}
    )
    assert too_short == (400, "INCOMPLETE")


async def test_a_recorder_that_refuses_another_servers_command(site: Site) -> None:
    signer = CommandSigner(site.services.key.derive("peers"), site.services.node, site.services.clock)
    signed = signer.sign(Command(Verb.START, "nothing"), site.services.node)
    headers = {"Authorization": f"Bearer {signed}"}
    assert await site.error("POST", "/internal/commands", headers=headers) == (409, "RECORDER_FAILED")


READS = ("load", "account", "ingest_address", "key_by_hash")
"""The methods of the metadata store that the routes call first."""
ERRORS: dict[str, tuple[Callable[[], Exception], int, str]] = {
    "metadata store": (lambda: StoreUnavailableError("a secret host"), 503, "UNAVAILABLE"),
    "media store": (lambda: MediaStoreUnavailableError("a secret host"), 503, "UNAVAILABLE"),
    "fault": (lambda: RuntimeError("a secret host"), 500, "INTERNAL"),
}


@pytest.mark.parametrize(("make", "status", "code"), ERRORS.values(), ids=ERRORS)
async def test_unavailable_stores_and_faults(site: Site, make: Callable[[], Exception], status: int, code: str) -> None:
    services = site.services
    command = CommandSigner(services.key.derive("peers"), services.node, services.clock).sign(
        Command(Verb.START, "x"), services.node
    )
    with raising(services.store, make(), *READS):
        for method, path, headers in (
            ("GET", site.media, site.headers),
            ("PUT", site.ingest, {}),
            ("PUT", f"{site.ingest}/call.mp3", {}),
            ("POST", "/internal/commands", {"Authorization": f"Bearer {command}"}),
        ):
            response = await site.client.request(method, path, headers=headers)
            assert (response.status_code, checked(response)) == (status, code), path
            assert ("retry-after" in response.headers) is (status == 503)
            assert "secret" not in response.text


async def test_a_server_that_is_not_ready(site: Site) -> None:
    # The background work runs only in a started app.
    response = await site.client.get("/readyz")
    assert (response.status_code, checked(response)) == (503, "NOT_READY")
    assert response.json()["error"]["message"] == "not ready: background"
    assert response.json()["parts"]["background"] == "failing"
    assert "retry-after" in response.headers


async def test_a_page_of_an_allowed_origin_can_read_every_error(site: Site) -> None:
    services = replace(site.services, settings=replace(site.services.settings, cors_origins=("https://app.test",)))
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    json_headers = {"content-type": "application/json", "origin": "https://app.test"}
    origin = {"origin": "https://app.test"}
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        answers = [
            await client.post("/graphql", content=b"{}", headers=json_headers),
            await client.post("/graphql", content=b"x" * 3_000_000, headers=site.headers | json_headers),
            await client.get(site.media, headers=origin),
            await client.get("/media/unknown", headers=site.headers | origin),
            await client.get(site.media, headers=site.headers | origin | {"range": "bytes=9999999-"}),
            await client.post(site.media, headers=origin),
            await client.get("/graphql/unknown", headers=origin),
        ]
        for make, _, _ in (ERRORS["metadata store"], ERRORS["fault"]):
            with raising(site.services.store, make(), *READS):
                answers.append(await client.get(site.media, headers=site.headers | origin))
        preflight = origin | {"access-control-request-method": "GET", "access-control-request-headers": "range"}
        answers.append(await client.options(site.media, headers=preflight))
    assert [answer.status_code for answer in answers] == [401, 413, 401, 404, 416, 405, 404, 503, 500, 204]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://app.test"
        assert "origin" in answer.headers["vary"].lower()
        assert len(answer.headers["x-request-id"]) == 32


async def test_graphql_keeps_its_own_form_with_the_request_id(site: Site) -> None:
    query = b'{"query": "{ __typename }"}'
    assert await site.graphql("PATCH") == (405, "METHOD_NOT_ALLOWED")
    assert await site.graphql(content=b"{") == (400, "BAD_REQUEST")
    json_only = {"content-type": "application/json"}
    assert await site.graphql(content=query, headers=json_only) == (401, "UNAUTHENTICATED")
    assert await site.graphql("GET", headers={}) == (403, "FORGERY_POSSIBLE")
    assert await site.graphql(content=query, headers={"accept": "text/html", **json_only}) == (406, "NOT_ACCEPTABLE")
    assert await site.graphql(content=b"x" * 3_000_000) == (413, "PAYLOAD_TOO_LARGE")
    assert await site.graphql(content=query, headers={"content-type": "text/plain"}) == (415, "UNSUPPORTED_MEDIA_TYPE")
    gzipped = {"content-encoding": "gzip", **json_only}
    assert await site.graphql(content=query, headers=gzipped) == (415, "UNSUPPORTED_MEDIA_TYPE")
    for make, status, code in (ERRORS["metadata store"], ERRORS["fault"]):
        with raising(site.services.store, make(), *READS):
            api_key = {**json_only, "X-Auth-Token": "a" * 64}
            assert await site.graphql(content=query, headers=api_key) == (status, code)
