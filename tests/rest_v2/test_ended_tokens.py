"""`DELETE /v2/token_auth` ends a token on every path (`docs/v2_contract.md`, section 4.3)."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.identity import Credentials, Identity, Revocations
from recordings.model.account import DEFAULT_SCOPES
from recordings.use_cases.access_control import TTL
from tests.rest_v2.v2_installation import V2Client, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = {"X-Auth-Token": None}


async def test_an_ended_token_is_rejected_on_every_path(v2: V2Client) -> None:
    made, token = await v2.add(), v2.token()
    assert (await v2.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": token})).status_code == 200
    one = f"{v2.recordings}/{made.id}"
    for method, path in (
        ("GET", v2.recordings),
        ("GET", one),
        ("GET", f"{one}?accept=audio/mpeg"),
        ("DELETE", one),
        ("PATCH", one),
        ("GET", f"{v2.path}/users"),
        ("GET", v2.path),
        ("PUT", f"{v2.path}/channels/x"),
        ("GET", "/v2/token_auth"),
        ("DELETE", "/v2/token_auth"),
    ):
        for headers in ({"X-Auth-Token": token}, {**NOBODY, "Authorization": f"Bearer {token}"}):
            response = await v2.send(method, path, headers=headers)
            assert (response.status_code, response.json()["message"]) == (401, "invalid_credentials"), (method, path)
    assert (await v2.client.get(f"{v2.recordings}?auth_token={token}")).status_code == 401
    assert (await v2.get(one)).status_code == 200


async def test_a_token_can_be_ended_from_every_place(v2: V2Client) -> None:
    for way in ("header", "query", "bearer", "body", "verb"):
        token = v2.token()
        headers: dict[str, str | None] = {"X-Auth-Token": token} if way in {"header", "verb"} else {**NOBODY}
        if way == "bearer":
            headers["Authorization"] = f"Bearer {token}"
        response = await v2.send(
            "POST" if way == "verb" else "DELETE",
            "/v2/token_auth",
            headers=headers,
            params={"query": {"auth_token": token}, "verb": {"verb": "delete"}}.get(way),
            json={"auth_token": token} if way == "body" else None,
        )
        assert (response.status_code, response.json()["data"]) == (200, {}), way
        assert (await v2.send("GET", headers={"X-Auth-Token": token})).status_code == 401, way


async def test_other_processes_reject_the_token_within_seconds(v2: V2Client) -> None:
    installation = v2.installation
    other = Identity(
        installation.store,
        installation.tokens,
        Credentials(installation.store, installation.ticks),
        revocations=Revocations(installation.store, installation.ticks),
    )
    other_process = Starlette(
        routes=[Mount("/v2", installation.shim(authenticate=other.authenticate_token, end_token=other.end_token))]
    )
    headers = {"X-Auth-Token": v2.token()}
    async with client_of(other_process) as client:
        assert (await client.get(v2.recordings, headers=headers)).status_code == 200
        await v2.send("DELETE", "/v2/token_auth", headers=headers)
        installation.ticks.now += TTL
        assert (await client.get(v2.recordings, headers=headers)).status_code == 401


async def test_only_the_token_that_signed_in_is_ended(v2: V2Client) -> None:
    token = v2.token()
    signature = token.rpartition(".")[2]
    touched = token.removesuffix(signature) + signature[::-1]
    response = await v2.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": touched})
    assert response.status_code == 401
    # The header wins, so the token in the query did not sign in.
    response = await v2.send("DELETE", "/v2/token_auth", params={"auth_token": token})
    assert response.status_code == 200
    assert (await v2.send("GET", headers={"X-Auth-Token": token})).status_code == 200


async def test_an_api_key_is_not_revoked(v2: V2Client) -> None:
    key = await v2.installation.administration.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    headers = {"X-Auth-Token": key.secret}
    login = {"data": {"api_key": key.secret}}
    token = (await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json=login)).json()["auth_token"]
    assert (await v2.send("DELETE", "/v2/token_auth", headers=headers)).status_code == 200
    for still in (headers, {"X-Auth-Token": token}):
        assert (await v2.send("GET", headers=still)).status_code == 200
    # To end the token of a key does not revoke the key either.
    assert (await v2.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": token})).status_code == 200
    assert (await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json=login)).status_code == 201
