"""`DELETE /v2/token_auth`: whoever has an ended token gets nothing for it, on any path (section 4.3)."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.identity import Credentials, Identity, Revocations
from adapters.identity.hashed_credentials import TTL
from recordings.model.account import DEFAULT_SCOPES
from tests.rest_v2.v2_installation import Site, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = {"X-Auth-Token": None}


async def test_an_ended_token_opens_nothing(site: Site) -> None:
    made, token = await site.add(), site.token()
    assert (await site.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": token})).status_code == 200
    one = f"{site.recordings}/{made.id}"
    for method, path in (
        ("GET", site.recordings),
        ("GET", one),
        ("GET", f"{one}?accept=audio/mpeg"),
        ("DELETE", one),
        ("PATCH", one),
        ("GET", f"{site.path}/users"),
        ("GET", site.path),
        ("PUT", f"{site.path}/channels/x"),
        ("GET", "/v2/token_auth"),
        ("DELETE", "/v2/token_auth"),
    ):
        for headers in ({"X-Auth-Token": token}, {**NOBODY, "Authorization": f"Bearer {token}"}):
            response = await site.send(method, path, headers=headers)
            assert (response.status_code, response.json()["message"]) == (401, "invalid_credentials"), (method, path)
    assert (await site.client.get(f"{site.recordings}?auth_token={token}")).status_code == 401
    assert (await site.get(one)).status_code == 200


async def test_it_is_ended_however_it_is_sent(site: Site) -> None:
    for way in ("header", "query", "bearer", "body", "verb"):
        token = site.token()
        headers: dict[str, str | None] = {"X-Auth-Token": token} if way in {"header", "verb"} else {**NOBODY}
        if way == "bearer":
            headers["Authorization"] = f"Bearer {token}"
        response = await site.send(
            "POST" if way == "verb" else "DELETE",
            "/v2/token_auth",
            headers=headers,
            params={"query": {"auth_token": token}, "verb": {"verb": "delete"}}.get(way),
            json={"auth_token": token} if way == "body" else None,
        )
        assert (response.status_code, response.json()["data"]) == (200, {}), way
        assert (await site.send("GET", headers={"X-Auth-Token": token})).status_code == 401, way


async def test_other_processes_know_within_seconds(site: Site) -> None:
    world = site.world
    other = Identity(
        world.store,
        world.tokens,
        Credentials(world.store, world.ticks),
        revocations=Revocations(world.store, world.ticks),
    )
    elsewhere = Starlette(routes=[Mount("/v2", world.shim(identity=other))])
    headers = {"X-Auth-Token": site.token()}
    async with client_of(elsewhere) as client:
        assert (await client.get(site.recordings, headers=headers)).status_code == 200
        await site.send("DELETE", "/v2/token_auth", headers=headers)
        world.ticks.now += TTL
        assert (await client.get(site.recordings, headers=headers)).status_code == 401


async def test_nobody_ends_what_is_not_theirs(site: Site) -> None:
    token = site.token()
    signature = token.rpartition(".")[2]
    touched = token.removesuffix(signature) + signature[::-1]
    response = await site.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": touched})
    assert response.status_code == 401
    # The token in the query is not the one that signed in.
    response = await site.send("DELETE", "/v2/token_auth", params={"auth_token": token})
    assert response.status_code == 200
    assert (await site.send("GET", headers={"X-Auth-Token": token})).status_code == 200


async def test_an_api_key_is_not_revoked_by_it(site: Site) -> None:
    key = await site.world.administration.create_key(site.account.id, None, frozenset(DEFAULT_SCOPES))
    headers = {"X-Auth-Token": key.secret}
    login = {"data": {"api_key": key.secret}}
    token = (await site.send("PUT", "/v2/api_auth", headers=NOBODY, json=login)).json()["auth_token"]
    assert (await site.send("DELETE", "/v2/token_auth", headers=headers)).status_code == 200
    for still in (headers, {"X-Auth-Token": token}):
        assert (await site.send("GET", headers=still)).status_code == 200
    # Nor by ending the token that it got; and it gets another one.
    assert (await site.send("DELETE", "/v2/token_auth", headers={"X-Auth-Token": token})).status_code == 200
    assert (await site.send("PUT", "/v2/api_auth", headers=NOBODY, json=login)).status_code == 201
