"""The v2 routes of the running service: a legacy client signs in, records, lists, plays and deletes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Server, command, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("v2") / "data", "--demo") as server:
        make_user(server.data, "Ada", "s3cret-word")
        yield server


def make_user(data: Path, name: str, password: str) -> None:
    words = ("user", "create", "--account", DEMO_ACCOUNT, "--username", name, "--admin", "--password", password)
    made = command(*words, data=data)
    assert made.returncode == 0, made.stderr


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    digest = hashlib.md5(b"ada:s3cret-word", usedforsecurity=False).hexdigest()
    sign_in = {"data": {"credentials": digest, "method": "md5", "account_name": "Demo"}}
    answer = httpx.put(f"{server.url}/v2/user_auth", json=sign_in)
    assert answer.status_code == 201, answer.text
    token = answer.json()["auth_token"]
    with httpx.Client(base_url=f"{server.url}/v2/accounts/{DEMO_ACCOUNT}", headers={"X-Auth-Token": token}) as http:
        yield http


def listed(http: httpx.Client) -> list[Any]:
    answer = http.get("/recordings", params={"paginate": "false"})
    assert answer.status_code == 200
    found: list[Any] = answer.json()["data"]
    return found


def test_a_legacy_client_lists_plays_and_deletes(http: httpx.Client) -> None:
    before = listed(http)
    path = f"/recordings/{before[-1]['id']}"
    audio = http.get(path, params={"accept": "audio/mpeg", "inline": "true"}, headers={"Range": "bytes=0-99"})
    assert (audio.status_code, len(audio.content)) == (206, 100)
    assert http.delete(path).json()["data"]["_read_only"] == {"deleted": True}
    assert http.get(path).status_code == 404
    assert [found["id"] for found in listed(http)] == [found["id"] for found in before[:-1]]


def test_a_metaflow_records_a_live_call(server: Server, http: httpx.Client) -> None:
    before = {found["id"] for found in listed(http)}
    with server.call(8) as call:
        flow = {"module": "record_call", "data": {"action": "start", "format": "wav"}}
        answer = http.put(f"/channels/{call.id}", json={"data": {"action": "metaflow", "data": flow}})
        assert (answer.status_code, answer.json()["data"]) == (201, "metaflow sent")
        call.process.wait(40)
    new = until(lambda: [found for found in listed(http) if found["id"] not in before])
    assert new[0]["origin"].startswith("inbound from ")
    assert "@" in new[0]["from"]


def test_v1_answers_as_v2(server: Server, http: httpx.Client) -> None:
    path = http.base_url.path.replace("/v2/", "/v1/")
    with httpx.Client(base_url=f"{server.url}{path}", headers=http.headers) as older:
        assert [found["id"] for found in listed(older)] == [found["id"] for found in listed(http)]


def test_the_forwarded_address_is_trusted_only_from_the_local_proxy(server: Server) -> None:
    def login(client: httpx.Client, forwarded_for: str) -> httpx.Response:
        data = {"data": {"api_key": "0" * 64}}
        return client.put(f"{server.url}/v2/api_auth", json=data, headers={"X-Forwarded-For": forwarded_for})

    # Each login costs 35 of the 100 tokens of a client.
    with httpx.Client() as proxy:
        for client in ("192.0.2.1", "192.0.2.2"):
            assert [login(proxy, client).status_code for _ in range(3)] == [404, 404, 429]
    # The header of any other client is ignored.
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as other:
        assert [login(other, f"192.0.2.{number}").status_code for number in (3, 4, 5)] == [404, 404, 429]


def test_a_sign_in_can_name_the_account_by_its_phone_number(server: Server) -> None:
    digest = hashlib.md5(b"ada:s3cret-word", usedforsecurity=False).hexdigest()
    data = {"data": {"credentials": digest, "phone_number": "+1 415 555 0123"}}

    def sign_in(address: str) -> int:
        # From its own address, because three logins are more than one client may do.
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
            return client.put(f"{server.url}/v2/user_auth", json=data).status_code

    assert sign_in("127.0.0.3") == 401
    made = command("account", "set", DEMO_ACCOUNT, "--number", "+14155550123", "--number", "+4930", data=server.data)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["numbers"] == ["+14155550123", "+4930"]
    assert sign_in("127.0.0.4") == 201
    refused = command("account", "set", DEMO_ACCOUNT, "--number", "nonsense", data=server.data)
    assert refused.returncode != 0
    assert "digits" in refused.stderr
    assert command("account", "set", DEMO_ACCOUNT, "--number", "", data=server.data).returncode == 0
    assert sign_in("127.0.0.5") == 401
