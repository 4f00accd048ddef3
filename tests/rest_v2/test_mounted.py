"""The shim as the service mounts it (`graph.app.create_app`), with all that is around it, on both stores.

The rows of the table of real clients, once more, and what only the whole app can get wrong: ids of requests, faults,
and answers that are in another form than v2's.
"""

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from graph.app import create_app
from graph.server import log_setup as logs
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Account, Principal
from recordings.model.ids import new_id
from recordings.model.recording import State
from recordings.model.user import PrivLevel
from tests.adapters.audio.sounds import sine, write_as
from tests.rest_v2.v2_installation import AUDIO, OFFSET, Site, World
from tests.support.log_lines import kept_logging

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400
SDK = {"Content-Type": "application/json", "Accept": "*/*"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(
    database: tuple[str, str] | None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Services]:
    options = {"data": str(tmp_path_factory.mktemp("mounted"))}
    if database:
        uri, name = database
        options["mongodb"] = uri.replace("/?", f"/{name}?")
    async with open_services(load({}, options)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def mounted(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    # An address of its own for each test: rate limits are kept for each.
    transport = httpx.ASGITransport(create_app(services), client=(new_id(), 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.invalid") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def account(services: Services) -> Account:
    return await services.administration.create_account(f"Acme {new_id()}")


@pytest.fixture
def site(world: World, services: Services, account: Account, mounted: httpx.AsyncClient) -> Site:
    """Recordings are put in beside the service, and everything else is asked of it."""
    made = Site(world, account, mounted)
    made.headers = {"X-Auth-Token": services.tokens.issue(Principal(account.id, frozenset(DEFAULT_SCOPES)))}
    return made


async def add(site: Site, services: Services, **given: Any) -> str:
    """A stored recording with its audio, where the service looks for both."""
    return (await Site(Beside(services, site.world), site.account, site.client).add(**given)).id


class Beside(World):
    """The world of the other tests, on the stores of the service."""

    def __init__(self, services: Services, world: World) -> None:
        super().__init__(services.store, services.media, services.settings.data, world.clock)  # type: ignore[arg-type]


async def test_users_and_the_account_before_anything_else(site: Site, services: Services) -> None:
    assert (await site.get(f"{site.path}/users", paginate="false")).json()["data"] == []
    user = await services.membership.create(site.account.id, "ada", first_name="Ada", priv_level=PrivLevel.ADMIN)
    (item,) = (await site.get(f"{site.path}/users", paginate="false")).json()["data"]
    assert item == {
        "id": user.id,
        "username": "ada",
        "first_name": "Ada",
        "last_name": "",
        "email": "",
        "features": [],
        "priv_level": "admin",
    }
    assert {"id", "name", "realm", "language", "timezone"} <= set((await site.get(site.path)).json()["data"])


async def test_who_is_known(site: Site, services: Services) -> None:
    created = await services.membership.create(site.account.id, "ada")
    # One that only a recording names, and it stays known when that is deleted.
    owner = new_id()
    made = await add(site, services, owner_id=owner)
    for user, expected in ((created.id, []), (owner, [made])):
        assert await site.ids(f"{site.path}/users/{user}/recordings") == expected
    assert (await site.send("DELETE", f"{site.recordings}/{made}")).status_code == 200
    assert await site.ids(f"{site.path}/users/{owner}/recordings") == []
    unknown = await site.get(f"{site.path}/users/{new_id()}/recordings")
    assert (unknown.status_code, unknown.json()["message"]) == (404, "bad_identifier")
    # Users are those that were created.
    assert [user["id"] for user in (await site.get(f"{site.path}/users")).json()["data"]] == [created.id]


@pytest.mark.parametrize("paging", [{"paginate": "false"}, {"page_size": "1"}])
async def test_whole_days_by_account_and_by_user(site: Site, services: Services, paging: dict[str, str]) -> None:
    owner = new_id()
    made = [await add(site, services, owner_id=owner, at=at) for at in (0, 1, 2)]
    midnight = (site.now - OFFSET) // DAY * DAY + OFFSET
    span = {"created_from": str(midnight - 30 * DAY), "created_to": str(midnight + DAY - 1)}
    for path in (site.recordings, f"{site.path}/users/{owner}/recordings"):
        seen, params = [], {**span, **paging}
        while True:
            body = (await site.get(path, **params)).json()
            seen += [item["id"] for item in body["data"]]
            if "next_start_key" not in body:
                break
            params["start_key"] = body["next_start_key"]
        assert seen == made


async def test_what_is_read_unasked_is_there(site: Site, services: Services) -> None:
    bare: dict[str, Any] = {"caller_id_name": None, "caller_id_number": None, "direction": None, "duration_ms": None}
    await add(site, services, **bare)
    (item,) = (await site.get()).json()["data"]
    kinds = {"duration_ms": int, "start": int, "direction": str, "caller_id_name": str, "call_id": str}
    assert {name: type(item[name]) for name in kinds} == kinds
    assert "@" in item["from"]
    assert "@" in item["to"]


async def test_an_audio_element_plays_and_seeks_and_its_token_is_in_no_log(site: Site, services: Services) -> None:
    made = await add(site, services)
    token = site.headers["X-Auth-Token"]
    path = f"{site.recordings}/{made}?accept=audio/mpeg&auth_token={token}"
    with kept_logging():
        stream = io.StringIO()
        logs.configure("json", "debug", stream)
        whole = await site.client.get(path, headers={"Accept": "*/*", "Range": "bytes=0-"})
        later = await site.client.get(path, headers={"Range": "bytes=5000-"})
    assert (whole.status_code, whole.content) == (206, AUDIO)
    assert (later.status_code, later.content) == (206, AUDIO[5_000:])
    written = stream.getvalue()
    assert made in written
    assert token not in written
    assert token.rpartition(".")[2] not in written


async def test_another_format_than_the_stored_one(site: Site, services: Services, tmp_path: Path) -> None:
    write_as(tmp_path / "a.mp3", "libmp3lame", sine(440, 16_000, 0.5), 16_000)
    made = await add(site, services, audio=(tmp_path / "a.mp3").read_bytes())
    for name, begins in (("audio/ogg", b"OggS"), ("audio/flac", b"fLaC"), ("audio/wav", b"RIFF")):
        response = await site.send("GET", f"{site.recordings}/{made}", headers={"Accept": name})
        assert (response.status_code, response.content[:4]) == (200, begins)


async def test_deleting_many_in_parallel_and_listing_at_once(site: Site, services: Services) -> None:
    made = [await add(site, services, at=at) for at in range(8)]
    answers = await asyncio.gather(*(site.send("DELETE", f"{site.recordings}/{each}") for each in made[:6]))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert await site.ids() == made[6:]


async def test_what_is_deleted_and_what_stays(site: Site, services: Services, tmp_path: Path) -> None:
    # The seed: audio that this service keeps goes with its document, what lies at a provider stays.
    own, elsewhere = await add(site, services), await add(site, services, at=1)
    kept, moved = [await services.store.load(each) for each in (own, elsewhere)]
    assert kept is not None
    assert kept.media is not None
    assert moved is not None
    assert moved.media is not None
    provider = tmp_path / "provider.mp3"
    provider.write_bytes(AUDIO)
    there = replace(moved, media=replace(moved.media, url=provider.as_uri()), revision=moved.revision + 1)
    assert await services.store.save(there, moved.revision)
    for each in (own, elsewhere):
        assert (await site.send("DELETE", f"{site.recordings}/{each}")).status_code == 200
    ends = set()
    while claimed := await services.upkeep.claim(16):
        for recording in claimed:
            ends.add((recording.id, (await services.upkeep.step(recording)).state))
    assert {(own, State.PURGED), (elsewhere, State.PURGED)} <= ends
    assert await services.media.length(kept.media.url) is None
    assert provider.read_bytes() == AUDIO
    for each in (own, elsewhere):
        assert (await site.get(f"{site.recordings}/{each}")).status_code == 404


async def test_the_mail_receiver(site: Site, services: Services) -> None:
    made = await add(site, services)
    key = await services.administration.create_key(site.account.id, None, frozenset(DEFAULT_SCOPES))
    signed_in = await site.client.put("/v2/api_auth", json={"data": {"api_key": key.secret}})
    assert signed_in.status_code == 201
    headers = {"X-Auth-Token": signed_in.json()["auth_token"], "Accept": "audio/mpeg"}
    audio = await site.client.get(f"{site.recordings}/{made}", headers=headers)
    assert (audio.headers["content-type"], audio.content) == ("audio/mpeg", AUDIO)


async def test_the_sdk(site: Site, services: Services) -> None:
    await services.membership.create(site.account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
    made = await add(site, services)
    credentials = hashlib.md5(b"admin:secret", usedforsecurity=False).hexdigest()
    body = json.dumps({"data": {"credentials": credentials, "account_name": site.account.name}})
    signed_in = await site.client.put("/v2/user_auth", content=body, headers=SDK)
    assert signed_in.status_code == 201
    headers = {**SDK, "X-Auth-Token": signed_in.json()["auth_token"]}
    assert (await site.client.get(site.recordings, headers=headers)).json()["data"][0]["id"] == made
    error = (await site.client.get(f"{site.recordings}/nothing", headers=headers)).json()
    assert {"status", "error", "message", "data", "request_id"} <= set(error)


# What is around it


async def test_an_ended_token_is_over_for_graphql_too(site: Site) -> None:
    query = {"query": "{ recordings(first: 1) { nodes { plainId } } }"}
    assert "errors" not in (await site.send("POST", "/graphql", json=query)).json()
    assert (await site.send("DELETE", "/v2/token_auth")).status_code == 200
    assert (await site.send("GET")).status_code == 401
    assert (await site.send("POST", "/graphql", json=query)).status_code == 401


@pytest.mark.parametrize("given", ["abc-1", "x" * 256, "x" * 257, "a b", "é", "<script>", "a\tb", None])
@pytest.mark.parametrize("path", ["", "/v2/nothing", "/v2/a%0Ab"])
async def test_one_id_in_the_header_the_envelope_and_the_log(site: Site, given: str | None, path: str) -> None:
    headers = {} if given is None else {b"X-Request-ID": given.encode()}
    named = [*headers.items(), *((name.encode(), value.encode()) for name, value in site.headers.items())]
    with kept_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        response = await site.client.get(path or site.recordings, headers=named)
    (told,) = [value.decode() for name, value in response.headers.raw if name.lower() == b"x-request-id"]
    assert response.json()["request_id"] == told
    assert json.loads(stream.getvalue().splitlines()[-1])["request_id"] == told
    assert (told == given) is (given not in {"x" * 257, "a\tb", None})


@pytest.mark.parametrize(
    "path", ["/v2/", "/v2/nothing", "/v2/accounts/x%0Ay", "/v2/%0A", "/v2/%00", "/v2/%ff%fe", "/v2/a%2F..%2Fb"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "BREW", "OPTIONS"])
async def test_an_error_is_an_envelope_whatever_the_path_is(site: Site, path: str, method: str) -> None:
    response = await site.send(method, path)
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (body["status"], body["error"]) == ("error", str(response.status_code))
    assert response.status_code in {404, 405}
    assert (await site.send(method, path.replace("/v2/", "/v1/"))).json()["error"] == "410"


async def test_methods_that_it_does_not_have(site: Site) -> None:
    for method in ("HEAD", "OPTIONS", "POST", "TRACE"):
        response = await site.send(method)
        assert (response.status_code, response.headers["allow"]) == (405, "GET"), method
    asked = await site.send("OPTIONS", headers={"Origin": "https://ui.example.com", "X-Auth-Token": None})
    assert (asked.status_code, asked.content) == (200, b"")


@pytest.mark.parametrize("path", ["", "/v2/token_auth", "/v2/user_auth"])
async def test_a_fault_of_ours_is_an_envelope(
    site: Site, services: Services, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken(*_: Any) -> None:
        message = f"mongodb://admin:hunter2@db/ said no to {site.headers['X-Auth-Token']}"
        raise ConnectionError(message)

    for name in ("account", "accounts", "page"):
        monkeypatch.setattr(services.store, name, broken)
    with kept_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        login = {"json": {"data": {"credentials": "x", "account_name": "x"}}} if path == "/v2/user_auth" else {}
        response = await site.send("PUT" if login else "GET", path, params={"secret": "topsecret"}, **login)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (500, "500", "unspecified_fault")
    assert response.headers["x-request-id"] == body["request_id"]
    assert isinstance(body["data"], dict)
    assert "hunter2" not in response.text
    fault, line = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert fault["request_id"] == line["request_id"] == body["request_id"]
    assert "ConnectionError" in fault["exception"]
    for secret in ("hunter2", "topsecret", site.headers["X-Auth-Token"]):
        assert secret not in stream.getvalue()


async def test_a_socket_is_refused_without_a_fault(site: Site, services: Services) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": site.recordings, "query_string": b"", "headers": [], "subprotocols": []}
    with kept_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        await create_app(services)(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "exception" not in stream.getvalue()


@pytest.fixture(autouse=True)
def _no_logs_to_the_terminal() -> Iterator[None]:
    with kept_logging():
        yield


async def test_a_folder_of_audio_that_is_away(site: Site, services: Services) -> None:
    made = await add(site, services)
    folder, aside = services.settings.data / "media", services.settings.data / "aside for a test"
    folder.rename(aside)
    try:
        audio = await site.get(f"/media/{made}")
        v2 = await site.get(f"{site.recordings}/{made}", accept="audio/mpeg")
    finally:
        aside.rename(folder)
    # To be asked for again, unlike what is gone for good.
    assert (audio.status_code, audio.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert int(audio.headers["retry-after"]) > 0
    assert (v2.status_code, v2.json()["message"]) == (500, "datastore_fault")
    assert (await site.get(f"/media/{made}")).status_code == 200
