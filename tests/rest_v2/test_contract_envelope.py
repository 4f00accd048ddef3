"""More rules of tokens and envelopes (`docs/v2_contract.md`, sections 4 and 5)."""

import base64
import gzip
import json
from typing import Any

import pytest

from tests.rest_v2.test_auth import NOBODY, digest
from tests.rest_v2.v2_installation import OFFSET, V2Client, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")


# Where the credential is


async def test_the_first_token_counts(v2: V2Client) -> None:
    token, wrong = v2.token(), "wrong"
    bearer = {"Authorization": f"Bearer {token}"}
    ways: list[tuple[int, dict[str, Any]]] = [
        (200, {"json": {"data": {"auth_token": token}, "auth_token": wrong}, "params": {"auth_token": wrong}}),
        (401, {"json": {"data": {"auth_token": wrong}, "auth_token": token}, "params": {"auth_token": token}}),
        (200, {"json": {"data": {}, "auth_token": wrong}, "params": {"auth_token": token}}),
        (200, {"headers": {"Authorization": "Bearer x"}, "params": {"auth_token": token}}),
        (401, {"headers": bearer, "params": {"auth_token": wrong}}),
        (200, {"headers": bearer, "params": {"authorization": "Bearer wrong"}}),
        (200, {"json": {"data": {"authorization": f"Bearer {token}"}}}),
        (200, {"json": {"authorization": f"Bearer {token}"}}),
    ]
    for status, way in ways:
        headers = {**NOBODY, **way.pop("headers", {})}
        assert (await v2.send("GET", headers=headers, **way)).status_code == status, way


# Tokens


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


async def test_the_response_of_a_login(v2: V2Client) -> None:
    name = f"logins {v2.account.id}"
    account = await new_account(v2.installation, name)
    user = await v2.installation.users.create(account.id, "bob", "Sesame")
    data = {"credentials": digest("bob", "Sesame").upper(), "account_name": name}
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    body = response.json()
    assert response.status_code == 201
    assert body["tokens"] == {"consumed": 35, "remaining": 65}
    assert body["data"] == {
        "account_id": account.id,
        "owner_id": user.id,
        "account_name": name,
        "apps": [],
        "language": "en-us",
        "reseller_id": account.id,
        "is_reseller": False,
        "is_master_account": False,
        "cluster_id": "",
        "capabilities": {},
        "ui_config": {},
    }
    token_claims = claims(body["auth_token"])
    assert (token_claims["account_id"], token_claims["owner_id"]) == (account.id, user.id)
    # It expires after an hour. Use does not extend it.
    assert token_claims["exp"] == v2.now - OFFSET + 3_600
    headers = {"X-Auth-Token": body["auth_token"]}
    for _ in range(2):
        described = (await v2.send("GET", "/v2/token_auth", headers=headers)).json()
        assert (described["data"]["exp"], described["auth_token"]) == (token_claims["exp"], body["auth_token"])
        assert described["data"]["owner_id"] == user.id


# Requests, envelopes and headers


async def test_a_parameter_is_searched_in_data_then_query_then_envelope(v2: V2Client) -> None:
    for at in range(4):
        await v2.add(at=at, audio=None)
    for size, body, params in (
        (1, {"data": {"page_size": 1}, "page_size": 3}, {"page_size": "2"}),
        (2, {"data": {}, "page_size": 3}, {"page_size": "2"}),
        (3, {"data": {}, "PAGE_SIZE": 3}, {}),
    ):
        response = await v2.send("GET", json=body, params=params)
        assert response.json()["page_size"] == size


@pytest.mark.parametrize("name", ["text/csv", "text/comma-separated-values"])
async def test_a_csv_body_is_not_415(v2: V2Client, name: str) -> None:
    made = await v2.add()
    response = await v2.send(
        "PATCH", f"{v2.recordings}/{made.id}", content=b'"a","b"\n', headers={"Content-Type": name}
    )
    assert (response.status_code, response.json()["message"]) == (400, "validation error")


async def test_a_dot_in_a_name_is_escaped(v2: V2Client) -> None:
    made = await v2.add()
    for method, path in (
        ("PATCH", f"{v2.recordings}/{made.id}"),
        ("PUT", f"{v2.path}/storage"),
        ("PUT", "/v2/api_auth"),
    ):
        response = await v2.send(method, path, json={"data": {"a.b": 1}})
        assert (response.status_code, list(response.json()["data"])) == (400, ["a%2Eb"])


async def test_the_cors_headers_word_for_word(v2: V2Client) -> None:
    preflight = await v2.send("OPTIONS", headers={"Origin": "https://ui.example.com", "X-Auth-Token": None})
    listed = await v2.send("GET", headers={"Origin": "https://ui.example.com"})
    for response in (preflight, listed):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-headers"] == (
            "content-type, depth, user-agent, x-http-method-override, x-file-size, x-requested-with, "
            "if-modified-since, x-file-name, cache-control, x-auth-token, x-kazoo-cluster-id, if-match"
        )
        assert response.headers["access-control-expose-headers"] == (
            "content-type, x-auth-token, x-request-id, x-kazoo-cluster-id, location, etag, etag"
        )
        assert response.headers["access-control-max-age"] == "86400"
        assert response.headers["access-control-allow-methods"].startswith("OPTIONS, ")


@pytest.mark.parametrize("status", [304, 406, 412, 415])
async def test_responses_without_a_body(v2: V2Client, status: int) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    tag = (await v2.get(path)).headers["etag"]
    method, headers, content = {
        304: ("GET", {"If-None-Match": tag}, b""),
        406: ("GET", {"Accept": "text/html"}, b""),
        412: ("GET", {"If-Match": '"x"'}, b""),
        415: ("PATCH", {"Content-Type": "text/plain"}, b"{}"),
    }[status]
    response = await v2.send(method, path, headers=headers, content=content)
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["x-request-id"]
    assert "content-type" not in response.headers


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip"])
async def test_a_compressed_body_is_415_and_changes_nothing(v2: V2Client, coding: str) -> None:
    made = await v2.add()
    content = gzip.compress(b'{"data": {"user_metadata": {"a": 1}}}')
    path, headers = f"{v2.recordings}/{made.id}", {"Content-Encoding": coding, "Content-Type": "application/json"}
    response = await v2.send("PATCH", path, headers=headers, content=content)
    assert (response.status_code, response.content, response.headers["accept-encoding"]) == (415, b"", "identity")
    assert "user_metadata" not in (await v2.get(path)).json()["data"]
    assert (await v2.send("GET", path, headers={"Content-Encoding": "gzip"})).status_code == 200
    plain = {"Content-Encoding": "identity"}
    body = {"data": {"user_metadata": {"a": 1}}}
    assert (await v2.send("PATCH", path, headers=plain, json=body)).status_code == 200


@pytest.mark.parametrize("value", [5, "x", None, True])
async def test_data_of_a_wrong_type_is_shown(v2: V2Client, value: Any) -> None:
    made = await v2.add()
    for path, body, name in (
        (f"{v2.recordings}/{made.id}", {"data": value}, "data"),
        (f"{v2.recordings}/{made.id}", {"data": {"user_metadata": value}}, "user_metadata"),
    ):
        response = await v2.send("PATCH", path, json=body)
        assert response.status_code == 400
        assert response.json()["data"][name]["type"]["value"] == value
