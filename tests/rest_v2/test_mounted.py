"""The v2 API in the complete app (`graph.app.create_app`), on both stores.

The requests of real clients are repeated here. Other tests check what only the complete app decides: request ids, the
responses to faults, and that every response has the form of v2.
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
from tests.rest_v2.v2_installation import AUDIO, OFFSET, Installation, V2Client
from tests.support.log_lines import restored_logging

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
    # Each test has its own address, because each address has its own rate limit.
    transport = httpx.ASGITransport(create_app(services), client=(new_id(), 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.invalid") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def account(services: Services) -> Account:
    return await services.accounts.create_account(f"Acme {new_id()}")


@pytest.fixture
def v2(installation: Installation, services: Services, account: Account, mounted: httpx.AsyncClient) -> V2Client:
    """Return a client for the service. Tests insert recordings directly into its stores."""
    made = V2Client(installation, account, mounted)
    made.headers = {"X-Auth-Token": services.tokens.issue(Principal(account.id, frozenset(DEFAULT_SCOPES)))}
    return made


async def add(v2: V2Client, services: Services, **given: Any) -> str:
    """Add a stored recording and its audio to the stores of the service."""
    return (await V2Client(Beside(services, v2.installation), v2.account, v2.client).add(**given)).id


class Beside(Installation):
    """The installation of the other tests, with the stores of the service."""

    def __init__(self, services: Services, installation: Installation) -> None:
        super().__init__(services.store, services.media, services.settings.data, installation.clock)  # type: ignore[arg-type]


async def test_users_and_account(v2: V2Client, services: Services) -> None:
    assert (await v2.get(f"{v2.path}/users", paginate="false")).json()["data"] == []
    user = await services.users.create(v2.account.id, "ada", first_name="Ada", priv_level=PrivLevel.ADMIN)
    (item,) = (await v2.get(f"{v2.path}/users", paginate="false")).json()["data"]
    assert item == {
        "id": user.id,
        "username": "ada",
        "first_name": "Ada",
        "last_name": "",
        "email": "",
        "features": [],
        "priv_level": "admin",
    }
    assert {"id", "name", "realm", "language", "timezone"} <= set((await v2.get(v2.path)).json()["data"])


async def test_the_users_that_are_known(v2: V2Client, services: Services) -> None:
    created = await services.users.create(v2.account.id, "ada")
    # A user that only a recording names stays known after the recording is deleted.
    owner = new_id()
    made = await add(v2, services, owner_id=owner)
    for user, expected in ((created.id, []), (owner, [made])):
        assert await v2.ids(f"{v2.path}/users/{user}/recordings") == expected
    assert (await v2.send("DELETE", f"{v2.recordings}/{made}")).status_code == 200
    assert await v2.ids(f"{v2.path}/users/{owner}/recordings") == []
    unknown = await v2.get(f"{v2.path}/users/{new_id()}/recordings")
    assert (unknown.status_code, unknown.json()["message"]) == (404, "bad_identifier")
    # The list has only created users.
    assert [user["id"] for user in (await v2.get(f"{v2.path}/users")).json()["data"]] == [created.id]


@pytest.mark.parametrize("paging", [{"paginate": "false"}, {"page_size": "1"}])
async def test_lists_of_whole_days_of_an_account_and_a_user(
    v2: V2Client, services: Services, paging: dict[str, str]
) -> None:
    owner = new_id()
    made = [await add(v2, services, owner_id=owner, at=at) for at in (0, 1, 2)]
    midnight = (v2.now - OFFSET) // DAY * DAY + OFFSET
    span = {"created_from": str(midnight - 30 * DAY), "created_to": str(midnight + DAY - 1)}
    for path in (v2.recordings, f"{v2.path}/users/{owner}/recordings"):
        seen, params = [], {**span, **paging}
        while True:
            body = (await v2.get(path, **params)).json()
            seen += [item["id"] for item in body["data"]]
            if "next_start_key" not in body:
                break
            params["start_key"] = body["next_start_key"]
        assert seen == made


async def test_the_fields_that_clients_read_without_a_check(v2: V2Client, services: Services) -> None:
    bare: dict[str, Any] = {"caller_id_name": None, "caller_id_number": None, "direction": None, "duration_ms": None}
    await add(v2, services, **bare)
    (item,) = (await v2.get()).json()["data"]
    kinds = {"duration_ms": int, "start": int, "direction": str, "caller_id_name": str, "call_id": str}
    assert {name: type(item[name]) for name in kinds} == kinds
    assert "@" in item["from"]
    assert "@" in item["to"]


async def test_an_audio_element_plays_and_seeks_and_its_token_is_in_no_log(v2: V2Client, services: Services) -> None:
    made = await add(v2, services)
    token = v2.headers["X-Auth-Token"]
    path = f"{v2.recordings}/{made}?accept=audio/mpeg&auth_token={token}"
    with restored_logging():
        stream = io.StringIO()
        logs.configure("json", "debug", stream)
        whole = await v2.client.get(path, headers={"Accept": "*/*", "Range": "bytes=0-"})
        later = await v2.client.get(path, headers={"Range": "bytes=5000-"})
    assert (whole.status_code, whole.content) == (206, AUDIO)
    assert (later.status_code, later.content) == (206, AUDIO[5_000:])
    written = stream.getvalue()
    assert made in written
    assert token not in written
    assert token.rpartition(".")[2] not in written


async def test_audio_in_another_format(v2: V2Client, services: Services, tmp_path: Path) -> None:
    write_as(tmp_path / "a.mp3", "libmp3lame", sine(440, 16_000, 0.5), 16_000)
    made = await add(v2, services, audio=(tmp_path / "a.mp3").read_bytes())
    for name, begins in (("audio/ogg", b"OggS"), ("audio/flac", b"fLaC"), ("audio/wav", b"RIFF")):
        response = await v2.send("GET", f"{v2.recordings}/{made}", headers={"Accept": name})
        assert (response.status_code, response.content[:4]) == (200, begins)


async def test_deleting_many_recordings_in_parallel_and_listing_again(v2: V2Client, services: Services) -> None:
    made = [await add(v2, services, at=at) for at in range(8)]
    answers = await asyncio.gather(*(v2.send("DELETE", f"{v2.recordings}/{each}") for each in made[:6]))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert await v2.ids() == made[6:]


async def test_stored_audio_is_deleted_and_external_audio_stays(
    v2: V2Client, services: Services, tmp_path: Path
) -> None:
    # The service deletes the audio that it stores. Audio at other providers stays.
    own, external = await add(v2, services), await add(v2, services, at=1)
    kept, moved = [await services.store.load(each) for each in (own, external)]
    assert kept is not None
    assert kept.media is not None
    assert moved is not None
    assert moved.media is not None
    provider = tmp_path / "provider.mp3"
    provider.write_bytes(AUDIO)
    there = replace(moved, media=replace(moved.media, url=provider.as_uri()), revision=moved.revision + 1)
    assert await services.store.save(there, moved.revision)
    for each in (own, external):
        assert (await v2.send("DELETE", f"{v2.recordings}/{each}")).status_code == 200
    ends = set()
    while claimed := await services.upkeep.claim(16):
        for recording in claimed:
            ends.add((recording.id, (await services.upkeep.step(recording)).state))
    assert {(own, State.PURGED), (external, State.PURGED)} <= ends
    assert await services.media.length(kept.media.url) is None
    assert provider.read_bytes() == AUDIO
    for each in (own, external):
        assert (await v2.get(f"{v2.recordings}/{each}")).status_code == 404


async def test_the_mail_receiver(v2: V2Client, services: Services) -> None:
    made = await add(v2, services)
    key = await services.accounts.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    signed_in = await v2.client.put("/v2/api_auth", json={"data": {"api_key": key.secret}})
    assert signed_in.status_code == 201
    headers = {"X-Auth-Token": signed_in.json()["auth_token"], "Accept": "audio/mpeg"}
    audio = await v2.client.get(f"{v2.recordings}/{made}", headers=headers)
    assert (audio.headers["content-type"], audio.content) == ("audio/mpeg", AUDIO)


async def test_the_sdk(v2: V2Client, services: Services) -> None:
    await services.users.create(v2.account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
    made = await add(v2, services)
    credentials = hashlib.md5(b"admin:secret", usedforsecurity=False).hexdigest()
    body = json.dumps({"data": {"credentials": credentials, "account_name": v2.account.name}})
    signed_in = await v2.client.put("/v2/user_auth", content=body, headers=SDK)
    assert signed_in.status_code == 201
    headers = {**SDK, "X-Auth-Token": signed_in.json()["auth_token"]}
    assert (await v2.client.get(v2.recordings, headers=headers)).json()["data"][0]["id"] == made
    error = (await v2.client.get(f"{v2.recordings}/nothing", headers=headers)).json()
    assert {"status", "error", "message", "data", "request_id"} <= set(error)


# The other parts of the service


async def test_an_ended_token_is_rejected_by_graphql(v2: V2Client) -> None:
    query = {"query": "{ recordings(first: 1) { nodes { plainId } } }"}
    assert "errors" not in (await v2.send("POST", "/graphql", json=query)).json()
    assert (await v2.send("DELETE", "/v2/token_auth")).status_code == 200
    assert (await v2.send("GET")).status_code == 401
    assert (await v2.send("POST", "/graphql", json=query)).status_code == 401


@pytest.mark.parametrize("given", ["abc-1", "x" * 256, "x" * 257, "a b", "é", "<script>", "a\tb", None])
@pytest.mark.parametrize("path", ["", "/v2/nothing", "/v2/a%0Ab"])
async def test_the_header_the_envelope_and_the_log_have_the_same_request_id(
    v2: V2Client, given: str | None, path: str
) -> None:
    headers = {} if given is None else {b"X-Request-ID": given.encode()}
    named = [*headers.items(), *((name.encode(), value.encode()) for name, value in v2.headers.items())]
    with restored_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        response = await v2.client.get(path or v2.recordings, headers=named)
    (header,) = [value.decode() for name, value in response.headers.raw if name.lower() == b"x-request-id"]
    assert response.json()["request_id"] == header
    assert json.loads(stream.getvalue().splitlines()[-1])["request_id"] == header
    assert (header == given) is (given not in {"x" * 257, "a\tb", None})


@pytest.mark.parametrize(
    "path", ["/v2/", "/v2/nothing", "/v2/accounts/x%0Ay", "/v2/%0A", "/v2/%00", "/v2/%ff%fe", "/v2/a%2F..%2Fb"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "BREW", "OPTIONS"])
async def test_every_path_answers_an_error_with_an_envelope(v2: V2Client, path: str, method: str) -> None:
    response = await v2.send(method, path)
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (body["status"], body["error"]) == ("error", str(response.status_code))
    assert response.status_code in {404, 405}
    other = await v2.send(method, path.replace("/v2/", "/v1/"))
    assert (other.status_code, other.json()["data"]) == (response.status_code, body["data"])


async def test_unsupported_methods(v2: V2Client) -> None:
    for method in ("HEAD", "OPTIONS", "POST", "TRACE"):
        response = await v2.send(method)
        assert (response.status_code, response.headers["allow"]) == (405, "GET"), method
    asked = await v2.send("OPTIONS", headers={"Origin": "https://ui.example.com", "X-Auth-Token": None})
    assert (asked.status_code, asked.content) == (200, b"")


@pytest.mark.parametrize("path", ["", "/v2/token_auth", "/v2/user_auth"])
async def test_an_internal_error_is_an_envelope(
    v2: V2Client, services: Services, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken(*_: Any) -> None:
        message = f"mongodb://admin:hunter2@db/ said no to {v2.headers['X-Auth-Token']}"
        raise ConnectionError(message)

    for name in ("account", "accounts", "page"):
        monkeypatch.setattr(services.store, name, broken)
    with restored_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        login = {"json": {"data": {"credentials": "x", "account_name": "x"}}} if path == "/v2/user_auth" else {}
        response = await v2.send("PUT" if login else "GET", path, params={"secret": "topsecret"}, **login)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (500, "500", "unspecified_fault")
    assert response.headers["x-request-id"] == body["request_id"]
    assert isinstance(body["data"], dict)
    assert "hunter2" not in response.text
    fault, line = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert fault["request_id"] == line["request_id"] == body["request_id"]
    assert "ConnectionError" in fault["exception"]
    for secret in ("hunter2", "topsecret", v2.headers["X-Auth-Token"]):
        assert secret not in stream.getvalue()


async def test_a_websocket_is_rejected_without_an_error(v2: V2Client, services: Services) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"service.test")]
    scope = {"type": "websocket", "path": v2.recordings, "query_string": b"", "headers": headers, "subprotocols": []}
    with restored_logging():
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        await create_app(services)(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "exception" not in stream.getvalue()


@pytest.fixture(autouse=True)
def _no_logs_to_the_terminal() -> Iterator[None]:
    with restored_logging():
        yield


async def test_a_missing_audio_folder(v2: V2Client, services: Services) -> None:
    made = await add(v2, services)
    folder, aside = services.settings.data / "media", services.settings.data / "aside for a test"
    folder.rename(aside)
    try:
        audio = await v2.get(f"/media/{made}")
        v2_audio = await v2.get(f"{v2.recordings}/{made}", accept="audio/mpeg")
    finally:
        aside.rename(folder)
    # The client can try again later.
    assert (audio.status_code, audio.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert int(audio.headers["retry-after"]) > 0
    assert (v2_audio.status_code, v2_audio.json()["message"]) == (500, "datastore_fault")
    assert (await v2.get(f"/media/{made}")).status_code == 200
