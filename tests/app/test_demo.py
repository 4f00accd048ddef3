"""The demo: its text can be pasted, and a second start does not create anything twice."""

import json
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from graph.demo import demo_account as demo_module
from graph.demo.demo_account import (
    DEMO_ACCOUNT,
    SCENES,
    Demo,
    call_address,
    demo_account,
    demo_token,
    make_demo,
)
from graph.demo.welcome import QUERY, SUBSCRIPTION, address_with_token, curl, exposure_warning, welcome_text
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import GRANTABLE
from recordings.model.events import Created
from recordings.model.query import PageRequest, Query
from recordings.use_cases.save_event import RecordingWriter


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(load({}, {"data": str(tmp_path / "data")})) as services:
        yield services


async def test_a_second_call_changes_nothing(services: Services) -> None:
    seen = []
    for _ in range(2):
        await make_demo(services)
        page = await services.store.page(Query(account_id=DEMO_ACCOUNT), PageRequest(limit=100))
        assert {row["state"] for row in page.rows} == {"STORED"}
        seen.append([(row["id"], row["duration_ms"], row["media"] and row["media"]["sha256"]) for row in page.rows])
    assert len(seen[0]) == len(SCENES)
    assert seen[0] == seen[1]
    principal = await services.identity.authenticate_token(demo_token(services))
    assert (await services.recordings.count(principal, Query(account_id=DEMO_ACCOUNT))).number == len(SCENES)


async def states(services: Services) -> list[str]:
    page = await services.store.page(Query(account_id=DEMO_ACCOUNT), PageRequest(limit=100))
    return [row["state"] for row in page.rows]


async def test_recordings_that_the_last_process_did_not_store_are_stored_before_the_result(services: Services) -> None:
    account = await demo_account(services)
    for scene in SCENES[:2]:
        # What a process leaves that is killed before it stores the audio.
        recording = demo_module._recording(services, account, scene)
        await demo_module._write_audio(services, recording.id, scene.seconds, 0)
        await RecordingWriter(services.store).create(recording, Created(at=services.clock.now()))
    assert await make_demo(services) == Demo(playable=len(SCENES), unfinished=0)
    assert await states(services) == ["STORED"] * len(SCENES)


async def test_recordings_that_cannot_be_stored_are_not_reported_as_playable(
    services: Services, tmp_path: Path
) -> None:
    media = tmp_path / "data" / "media"
    media.write_bytes(b"a file in the place of the folder")
    demo = await make_demo(services)
    assert demo == Demo(playable=0, unfinished=len(SCENES))
    assert "No recording can be played. 5 more are not stored yet" in text(demo=demo)


async def test_deleted_recordings_are_not_reported_as_playable(services: Services) -> None:
    await make_demo(services)
    principal = await services.identity.authenticate_token(demo_token(services))
    page = await services.store.page(Query(account_id=DEMO_ACCOUNT), PageRequest(limit=100))
    await services.recordings.delete(principal, page.rows[0]["id"])
    assert await make_demo(services) == Demo(playable=len(SCENES) - 1, unfinished=0)


async def test_the_token_has_every_scope_in_the_demo_account_only(services: Services) -> None:
    await make_demo(services)
    principal = await services.identity.authenticate_token(demo_token(services))
    assert principal.scopes == set(GRANTABLE)
    assert (principal.account_id, principal.owner_id) == (DEMO_ACCOUNT, None)


async def test_each_account_has_one_address_for_calls(services: Services) -> None:
    account = await demo_account(services)
    other = await services.accounts.create_account("Other")
    address = await call_address(services, account)
    assert address == await call_address(services, account) != await call_address(services, other)
    _, _, address_id, secret = address.split("/")
    principal = await services.identity.ingest(address_id, secret)
    assert principal is not None
    assert principal.account_id == DEMO_ACCOUNT
    assert len(await services.store.ingest_addresses(DEMO_ACCOUNT)) == 1


DEMO = Demo(playable=5, unfinished=0)


def text(options: dict[str, str] | None = None, demo: Demo = DEMO) -> str:
    return welcome_text(load({}, {"demo": "on", **(options or {})}), demo, "a-token", ["/opt/recordings"])


def test_the_printed_text_can_be_pasted() -> None:
    lines = text({"port": "9000", "data": "/srv/my data"}).splitlines()
    printed = {line[:13].strip(): line[13:] for line in lines if line[:13].strip()}
    endpoint = "http://127.0.0.1:9000/graphql"
    assert printed["console"] == "http://127.0.0.1:9000/console#token=a-token"
    assert printed["GraphiQL"] == f"{endpoint}#token=a-token"
    assert json.loads(printed["its headers"]) == {"X-Auth-Token": "a-token"}
    assert printed["a query"] == QUERY
    assert printed["changes"] == SUBSCRIPTION
    assert shlex.split(printed["with curl"]) == curl(endpoint, "a-token", QUERY)
    assert shlex.split(printed["a live call"]) == [
        "/opt/recordings",
        "call",
        "--port",
        "9000",
        "--data",
        "/srv/my data",
    ]


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"public_url": "https://calls.example.org/rec/"}, "https://calls.example.org/rec/graphql#token=a-token"),
        ({"host": "0.0.0.0", "port": "9000"}, "http://127.0.0.1:9000/graphql#token=a-token"),
        ({"host": "::1"}, "http://[::1]:8000/graphql#token=a-token"),
    ],
)
def test_the_address_of_graphiql_is_the_one_of_the_clients(options: dict[str, str], address: str) -> None:
    assert f"GraphiQL     {address}\n" in text(options)


def test_the_token_is_in_the_fragment_and_is_escaped_there() -> None:
    parts = urlsplit(address_with_token("https://calls.example.org/graphql", "a+b/c&d"))
    assert (parts.path, parts.query, parts.fragment) == ("/graphql", "", "token=a%2Bb%2Fc%26d")


def test_without_pages_no_address_of_them_is_printed() -> None:
    printed = text({"graphiql": "off", "console": "off"})
    assert "GraphiQL" not in printed
    assert "console" not in printed
    assert "#token=" not in printed
    assert "its headers" not in printed
    assert 'the headers  {"X-Auth-Token": "a-token"}' in printed


@pytest.mark.parametrize(
    ("demo", "line"),
    [
        (Demo(5, 0), "The demo account is ready. 5 recordings can be played."),
        (Demo(1, 0), "The demo account is ready. 1 recording can be played."),
        (Demo(0, 0), "The demo account is ready. No recording can be played."),
        (
            Demo(3, 2),
            "The demo account is ready. 3 recordings can be played. 2 more are not stored yet: the log has the reason.",
        ),
    ],
)
def test_the_printed_text_has_the_number_of_playable_recordings(demo: Demo, line: str) -> None:
    assert line in text(demo=demo).splitlines()


def test_the_printed_text_contains_no_password() -> None:
    printed = text({"mongodb": "mongodb://ada:hunter2@db1,db2/x?replicaSet=rs0"})
    assert "hunter2" not in printed
    assert "mongodb://USER:PASSWORD@db1,db2/x?replicaSet=rs0" in printed


@pytest.mark.parametrize(
    ("public_url", "warned"),
    [("https://calls.example.org", True), ("https://10.0.0.1/rec", True), ("http://localhost:8443", False)],
)
def test_a_demo_with_a_public_url_has_a_warning(public_url: str, warned: bool) -> None:
    assert (exposure_warning(load({}, {"public_url": public_url})) is not None) is warned


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("127.0.0.1", False),
        ("localhost", False),
        ("::1", False),
        ("0.0.0.0", True),
        ("10.0.0.1", True),
        ("example.org", True),
    ],
)
def test_a_demo_that_other_machines_can_reach_has_a_warning(host: str, warned: bool) -> None:
    assert (exposure_warning(load({}, {"host": host})) is not None) is warned
