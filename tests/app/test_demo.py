"""The demo: its text can be pasted, and a second start does not create anything twice."""

import json
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.demo.demo_account import DEMO_ACCOUNT, SCENES, call_address, demo_account, demo_token, make_demo
from graph.demo.welcome import QUERY, curl, exposure_warning, welcome_text
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.query import PageRequest, Query


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
    assert await services.recordings.count(principal, Query(account_id=DEMO_ACCOUNT)) == len(SCENES)


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


def test_the_printed_text_can_be_pasted() -> None:
    settings = load({}, {"port": "9000", "data": "/srv/my data", "demo": "on"})
    lines = welcome_text(settings, "a-token", ["/opt/recordings"]).splitlines()
    printed = {line[:13].strip(): line[13:] for line in lines if line[:13].strip()}
    assert printed["GraphiQL"] == "http://127.0.0.1:9000/graphql"
    assert json.loads(printed["its headers"]) == {"X-Auth-Token": "a-token"}
    assert printed["a query"] == QUERY
    assert shlex.split(printed["with curl"]) == curl(printed["GraphiQL"], "a-token", QUERY)
    assert shlex.split(printed["a live call"]) == [
        "/opt/recordings",
        "call",
        "--port",
        "9000",
        "--data",
        "/srv/my data",
    ]


def test_the_printed_text_contains_no_password() -> None:
    settings = load({}, {"mongodb": "mongodb://ada:hunter2@db1,db2/x?replicaSet=rs0", "demo": "on"})
    text = welcome_text(settings, "a-token", ["recordings"])
    assert "hunter2" not in text
    assert "mongodb://USER:PASSWORD@db1,db2/x?replicaSet=rs0" in text


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
