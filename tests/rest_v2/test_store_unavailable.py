"""The metadata store is stopped, frozen or busy (`docs/v2_contract.md`, section 5.8).

These tests have their own servers, with short timeouts in their URIs. The defaults are five seconds if no server
listens, and twenty more if a server does not answer.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.media import FolderMedia
from adapters.metadata.mongodb import Driver, MongoStore
from adapters.metadata.mongodb.driver import DEFAULTS
from adapters.metadata.sqlite import SqliteStore, database
from adapters.metadata.sqlite.sqlite_store import FILE
from graph.app import create_app
from graph.services import open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.ports.recording_store import MetadataStore
from tests.rest_v2.v2_installation import Installation, V2Client, client_of, new_account
from tests.servers.mongod import Mongod

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEADLINE = 60
"""Seconds after which a hanging test fails."""
SHORT_TIMEOUTS = "&serverSelectionTimeoutMS=1000&connectTimeoutMS=1000&socketTimeoutMS=1000&maxConnecting=16"


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory, mongodb_uri: str) -> Iterator[Mongod]:
    # Without a MongoDB server, the fixture of the shared server reports that.
    assert mongodb_uri
    with Mongod(tmp_path_factory.mktemp("away")) as server:
        yield server


@pytest.fixture(params=["killed", "frozen"])
def stop_server(request: pytest.FixtureRequest, mongod: Mongod) -> Iterator[Any]:
    """Kill or freeze the server. It runs again after the test."""

    def stop() -> None:
        if request.param == "killed":
            mongod.kill()
        else:
            mongod.freeze()

    yield stop
    if mongod.process is None:
        mongod.start()
        mongod.initiate()
    else:
        mongod.thaw()


def uri_of(server: Mongod) -> str:
    return server.uri.partition("&")[0] + SHORT_TIMEOUTS


async def client_on(store: MetadataStore, folder: Path) -> V2Client:
    (folder / "audio").mkdir()
    installation = Installation(store, FolderMedia(folder / "audio", "local:"), folder)
    return V2Client(installation, await new_account(installation), httpx.AsyncClient())


@pytest_asyncio.fixture(params=list(Driver), loop_scope="session")
async def on_mongodb(request: pytest.FixtureRequest, mongod: Mongod, tmp_path: Path) -> AsyncIterator[V2Client]:
    store = MongoStore(uri_of(mongod), "away", request.param)
    await store.open()
    v2 = await client_on(store, tmp_path)
    await v2.client.aclose()
    async with client_of(v2.installation.app()) as v2.client:
        yield v2
    await store.close()


def assert_unavailable(response: httpx.Response) -> None:
    body = response.json()
    assert (response.status_code, body["status"], body["error"]) == (503, "error", "503")
    assert body["message"] == "datastore_unreachable"
    assert body["data"] == {"message": "datastore timeout"}
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"


async def test_requests_while_the_server_is_killed_or_frozen(on_mongodb: V2Client, stop_server: Any) -> None:
    v2 = on_mongodb
    made = await v2.add()
    one = f"{v2.recordings}/{made.id}"
    v2.installation.recorder.ring(v2.account.id, "live")
    flow = {"action": "metaflow", "data": {"module": "record_call", "data": {"action": "start"}}}
    assert await v2.ids() == [made.id]
    stop_server()
    login = {"data": {"credentials": "0" * 32, "account_name": "Acme"}}
    requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", v2.recordings, {}),
        ("GET", f"{v2.recordings}?accept=csv", {}),
        ("GET", f"{one}?accept=audio/mpeg", {}),
        ("DELETE", one, {}),
        ("PUT", f"{v2.path}/channels/live", {"json": flow}),
        ("GET", "/v2/token_auth", {}),
        ("PUT", "/v2/user_auth", {"json": login}),
        ("PUT", "/v2/api_auth", {"json": {"data": {"api_key": "0" * 64}}}),
    )
    async with asyncio.timeout(DEADLINE):
        answers = await asyncio.gather(*(v2.send(method, path, **options) for method, path, options in requests))
    for answer in answers:
        assert_unavailable(answer)


async def test_requests_after_the_server_is_back(on_mongodb: V2Client, mongod: Mongod) -> None:
    v2 = on_mongodb
    made = await v2.add()
    mongod.kill()
    async with asyncio.timeout(DEADLINE):
        assert_unavailable(await v2.get())
        await asyncio.to_thread(mongod.start)
        await asyncio.to_thread(mongod.initiate)
        assert await v2.ids() == [made.id]


async def test_every_interface_while_the_store_is_unavailable(mongod: Mongod, stop_server: Any, tmp_path: Path) -> None:
    # A database belongs to the key of its first server, which is in its data folder.
    uri = uri_of(mongod).replace("/?", f"/{tmp_path.name[-20:]}?")
    async with open_services(load({}, {"data": str(tmp_path), "mongodb": uri})) as services:
        account = await services.accounts.create_account("Acme")
        token = services.tokens.issue(Principal(account.id, frozenset(DEFAULT_SCOPES)))
        headers = {"X-Auth-Token": token, "Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://x.invalid", headers=headers) as client:
            assert (await client.get("/media/202403-0")).status_code == 404
            stop_server()
            async with asyncio.timeout(DEADLINE):
                v2, audio, graphql = await asyncio.gather(
                    client.get("/v2/account/recordings"),
                    client.get("/media/202403-0"),
                    client.post("/graphql", json={"query": "{ recordings(first: 1) { totalCount } }"}),
                )
    assert_unavailable(v2)
    assert (audio.status_code, audio.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert audio.headers["retry-after"] == "10"
    assert [error["extensions"]["code"] for error in graphql.json()["errors"]] == ["UNAVAILABLE"]


async def test_the_waiting_time_is_limited() -> None:
    waits = {name: value for name, value in DEFAULTS.items() if name.endswith("TimeoutMS")}
    assert waits == {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 20_000}
    assert max(database.BUSY_SECONDS, database.READ_SECONDS) <= 30


@pytest_asyncio.fixture(loop_scope="session")
async def on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[V2Client]:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = SqliteStore(tmp_path)
    await store.open()
    v2 = await client_on(store, tmp_path)
    await v2.client.aclose()
    async with client_of(v2.installation.app()) as v2.client:
        yield v2
    await store.close()


async def test_a_file_that_another_process_locks(on_sqlite: V2Client, tmp_path: Path) -> None:
    v2 = on_sqlite
    made = await v2.add()
    one = f"{v2.recordings}/{made.id}"
    other_process = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    try:
        other_process.execute("BEGIN IMMEDIATE")
        assert_unavailable(await v2.send("DELETE", one))
        assert_unavailable(await v2.send("PATCH", one, json={"data": {"user_metadata": {"a": 1}}}))
        # Reads still work. They see the last commit.
        assert await v2.ids() == [made.id]
        other_process.execute("ROLLBACK")
    finally:
        other_process.close()
    assert (await v2.send("DELETE", one)).status_code == 200


async def test_a_read_that_takes_too_long(on_sqlite: V2Client, monkeypatch: pytest.MonkeyPatch) -> None:
    v2 = on_sqlite
    for at in range(20):
        await v2.add(at=at, audio=None)
    monkeypatch.setattr(database, "READ_SECONDS", -1.0)
    monkeypatch.setattr(database, "STEPS_PER_CHECK", 1)
    assert_unavailable(await v2.get())
    monkeypatch.undo()
    assert len(await v2.ids()) == 20
