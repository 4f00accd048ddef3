"""Credentials, tokens, authorisation and rate limits (`docs/v2_contract.md`, section 4)."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from adapters.http.token_bucket import Rate
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import DEFAULT_SCOPES, Scope
from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import V2Client, client_of, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = {"X-Auth-Token": None}


def digest(username: str, password: str, name: str = "md5") -> str:
    return hashlib.new(name, f"{username}:{password}".encode()).hexdigest()


def basic(account: str, credentials: str) -> dict[str, Any]:
    text = base64.b64encode(f"{account}:{credentials}".encode()).decode()
    return {**NOBODY, "Authorization": f"Basic {text}"}


# Where the credential is


async def test_a_token_is_read_from_headers_query_and_body(v2: V2Client) -> None:
    made, token = await v2.add(), v2.token()
    path = f"{v2.recordings}/{made.id}"
    ways: list[dict[str, Any]] = [
        {"headers": {"X-Auth-Token": token}},
        {"headers": {**NOBODY, "Authorization": f"Bearer {token}"}},
        {"headers": NOBODY, "params": {"auth_token": token}},
        {"headers": NOBODY, "params": {"authorization": f"Bearer {token}"}},
        {"headers": NOBODY, "json": {"auth_token": token}},
        {"headers": NOBODY, "json": {"data": {"auth_token": token}}},
        {"headers": {"X-Auth-Token": token, "Authorization": "Bearer wrong"}},
    ]
    for way in ways:
        response = await v2.send("GET", path, **way)
        assert response.status_code == 200, way
        assert response.json()["auth_token"] == token
    first = await v2.send("GET", path, headers={"X-Auth-Token": "wrong"}, params={"auth_token": token})
    assert first.status_code == 401


async def test_basic_credentials(v2: V2Client) -> None:
    await v2.installation.users.create(v2.account.id, "Ada", "Sesame", priv_level=PrivLevel.ADMIN)
    made = await v2.add()
    for name in ("md5", "sha1"):
        for _ in range(2):
            response = await v2.send("GET", headers=basic(v2.account.id, digest("ada", "Sesame", name)))
            assert [item["id"] for item in response.json()["data"]] == [made.id]
            assert "auth_token" not in response.json()
    for wrong in (digest("ada", "x"), "", "x:y", digest("Ada", "Sesame"), "é"):
        response = await v2.send("GET", headers=basic(v2.account.id, wrong))
        assert response.status_code == 401
    other_account = await new_account(v2.installation)
    assert (await v2.send("GET", headers=basic(other_account.id, digest("ada", "Sesame")))).status_code == 401


@pytest.mark.parametrize("authorization", ["Digest x", "Bearer", "Bearer x", "Basic", "Basic !", "x", " "])
async def test_other_authorization_is_rejected(v2: V2Client, authorization: str) -> None:
    response = await v2.send("GET", headers={**NOBODY, "Authorization": authorization})
    assert response.status_code == 401


# Tokens


async def test_the_account_header_must_equal_the_token(v2: V2Client) -> None:
    for account, status in ((v2.account.id, 200), ("0" * 32, 401)):
        assert (await v2.send("GET", headers={"X-Auth-Account-ID": account})).status_code == status


# Getting and ending a token


async def test_api_auth_returns_a_token(v2: V2Client) -> None:
    made = await v2.add()
    key = await v2.installation.administration.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    response = await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json={"data": {"api_key": key.secret}})
    body = response.json()
    assert response.status_code == 201
    assert body["status"] == "success"
    assert body["data"]["account_id"] == v2.account.id
    assert body["data"]["account_name"] == "Acme"
    assert "owner_id" not in body["data"]
    assert {
        "apps",
        "language",
        "reseller_id",
        "is_reseller",
        "is_master_account",
        "cluster_id",
        "capabilities",
        "ui_config",
    } <= set(body["data"])
    headers = {"X-Auth-Token": body["auth_token"]}
    assert (await v2.send("GET", headers=headers)).json()["data"][0]["id"] == made.id


@pytest.mark.parametrize(
    ("data", "status", "key", "rule"),
    [
        ({"api_key": "x" * 63}, 400, "api_key", "minLength"),
        ({"api_key": "x" * 65}, 400, "api_key", "maxLength"),
        ({"api_key": 5}, 400, "api_key", "type"),
        ({"api_key": "x" * 64, "extra": 1}, 400, "extra", "additionalProperties"),
        ({}, 400, "api_key", "required"),
    ],
)
async def test_invalid_api_keys(v2: V2Client, data: Any, status: int, key: str, rule: str) -> None:
    response = await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json={"data": data})
    assert (response.status_code, response.json()["message"]) == (status, "validation error")
    assert rule in response.json()["data"][key]


async def test_an_unknown_api_key(v2: V2Client) -> None:
    unknown = "0" * 64
    response = await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json={"data": {"api_key": unknown}})
    assert (response.status_code, response.json()["message"]) == (404, "bad identifier")
    assert response.json()["data"] == [unknown]


@pytest.mark.parametrize("method", [None, "md5", "sha"])
async def test_user_auth_returns_a_token(v2: V2Client, method: str | None) -> None:
    name = f"Café {v2.account.id[:8]}"
    account = await new_account(v2.installation, name)
    user = await v2.installation.users.create(account.id, "Bob", "Sésame")
    credentials = digest("bob", "Sésame", "sha1" if method == "sha" else "md5")
    number = f"+49{int(account.id[:10], 16)}"
    await v2.installation.store.save_account(replace(account, numbers=("+4930", number)))
    for named in (
        {"account_name": f"café{v2.account.id[:8]}"},
        {"account_realm": account.realm},
        {"realm": account.realm},
        {"account_realm": account.realm.upper(), "realm": "none.example.com"},
        {"account_realm": None, "realm": account.realm},
        {"account_realm": "", "realm": account.realm},
        {"phone_number": number},
        {"phone_number": f"{number[:3]} ({number[3:6]}) {number[6:]}"},
        {"phone_number": "+1", "account_realm": "none.example.com", "account_name": name},
    ):
        # The bucket does not have enough tokens for all these logins, so let it refill.
        v2.installation.ticks.now += 10
        data = {"credentials": credentials, **named, **({"method": method} if method else {})}
        response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
        assert response.status_code == 201
        assert response.json()["data"]["owner_id"] == user.id
        assert response.json()["data"]["account_id"] == account.id
    token = response.json()["auth_token"]
    own = await v2.send("GET", f"/v2/accounts/{account.id}/recordings", headers={"X-Auth-Token": token})
    assert own.status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        {"account_name": "nobody's"},
        {"account_name": "Acme", "credentials": "0" * 32},
        {"account_realm": "nobody.example.com"},
        {"realm": "nobody.example.com"},
        {"realm": 5},
        {"phone_number": "+1"},
        {},
    ],
)
async def test_wrong_credentials(v2: V2Client, data: dict[str, str]) -> None:
    data = {"credentials": digest("bob", "x"), **data}
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    body = response.json()
    assert (response.status_code, body["message"]) == (401, "invalid_credentials")
    assert body["data"] == {"message": "invalid credentials"}


@pytest.mark.parametrize(
    ("data", "key", "rule"),
    [
        ({}, "credentials", "required"),
        ({"credentials": ""}, "credentials", "minLength"),
        ({"credentials": "x" * 65}, "credentials", "maxLength"),
        ({"credentials": "x", "method": "plain"}, "method", "enum"),
    ],
)
async def test_malformed_credentials(v2: V2Client, data: Any, key: str, rule: str) -> None:
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    assert response.status_code == 400
    assert rule in response.json()["data"][key]


async def test_token_auth_describes_the_token(v2: V2Client) -> None:
    response = await v2.get("/v2/token_auth")
    assert response.status_code == 200
    assert response.json()["data"]["account_id"] == v2.account.id
    assert isinstance(response.json()["data"]["exp"], int)
    assert (await v2.send("DELETE", "/v2/token_auth")).status_code == 200
    for method in ("GET", "DELETE"):
        assert (await v2.send(method, "/v2/token_auth", headers=NOBODY)).status_code == 401


# Authorisation


async def test_a_token_reads_its_account_and_the_accounts_below(v2: V2Client) -> None:
    child = await new_account(v2.installation, tree=(v2.account.id,))
    grandchild = await new_account(v2.installation, tree=(v2.account.id, child.id))
    sibling = await new_account(v2.installation)
    for account, status in ((v2.account, 200), (child, 200), (grandchild, 200), (sibling, 403)):
        assert (await v2.get(f"/v2/accounts/{account.id}/recordings")).status_code == status
    below = V2Client(v2.installation, child, v2.client)
    response = await below.get(v2.recordings)
    assert (response.status_code, response.json()["message"]) == (403, "forbidden")
    assert response.json()["data"] == {"message": "forbidden"}


async def test_the_path_account_means_the_account_of_the_token(v2: V2Client) -> None:
    made = await v2.add()
    assert await v2.ids("/v2/account/recordings") == [made.id]
    assert (await v2.get("/v2/account")).json()["data"]["id"] == v2.account.id


async def test_an_owner_sees_its_own_recordings(v2: V2Client) -> None:
    mine, other = await v2.add(owner_id="mine", at=1), await v2.add(owner_id="other")
    headers = {"X-Auth-Token": v2.token(owner_id="mine")}
    listed = (await v2.send("GET", headers=headers)).json()["data"]
    assert [item["id"] for item in listed] == [mine.id]
    assert (await v2.send("GET", f"{v2.recordings}/{other.id}", headers=headers)).status_code == 404
    own = await v2.send("GET", f"{v2.path}/users/mine/recordings", headers=headers)
    assert [item["id"] for item in own.json()["data"]] == [mine.id]
    assert (await v2.send("GET", f"{v2.path}/users/other/recordings", headers=headers)).status_code == 404
    assert (await v2.send("DELETE", f"{v2.recordings}/{other.id}", headers=headers)).status_code == 404


async def test_an_owner_reads_the_whole_account_if_the_setting_allows_it(v2: V2Client) -> None:
    mine, other = await v2.add(owner_id="mine", at=1), await v2.add(owner_id="other")
    headers = {"X-Auth-Token": v2.token(owner_id="mine")}
    async with client_of(v2.installation.app(V2Settings(owner_sees_account=True))) as client:
        listed = (await client.get(v2.recordings, headers=headers)).json()["data"]
        assert [item["id"] for item in listed] == [other.id, mine.id]
        path = f"{v2.recordings}/{other.id}"
        assert (await client.get(path, headers=headers, params={"accept": "audio/mpeg"})).status_code == 200
        assert (await client.get(f"{v2.path}/users/other/recordings", headers=headers)).status_code == 200
        assert (await client.delete(path, headers=headers)).status_code == 404


async def test_an_administrator_reads_the_whole_account(v2: V2Client) -> None:
    other = await v2.add(owner_id="other")
    name = f"admins {v2.account.id}"
    v2.account = await new_account(v2.installation, name)
    other = await v2.add(owner_id="other")
    user = await v2.installation.users.create(v2.account.id, "root", "x", priv_level=PrivLevel.ADMIN)
    data = {"credentials": digest("root", "x"), "account_name": name}
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    assert response.json()["data"]["owner_id"] == user.id
    headers = {"X-Auth-Token": response.json()["auth_token"]}
    assert (await v2.send("GET", headers=headers)).json()["data"][0]["id"] == other.id


# Failures, and the order of the checks


@pytest.mark.parametrize("token", [None, "", "garbage", "a.b.c", "x" * 10_000, "é"])
async def test_a_missing_or_invalid_token(v2: V2Client, token: str | None) -> None:
    params = {} if token is None else {"auth_token": token}
    response = await v2.send("GET", headers=NOBODY, params=params)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (401, "401", "invalid_credentials")
    assert body["data"] == {"message": "invalid credentials"}
    assert body["auth_token"] == "undefined"
    assert body["version"]
    assert "www-authenticate" not in response.headers


async def test_a_bad_signature(v2: V2Client) -> None:
    token = v2.token()
    response = await v2.send("GET", headers={"X-Auth-Token": token[:-3] + "abc"})
    assert (response.status_code, response.json()["message"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("path", ["", "/v2/nothing", "/v2/token_auth"])
async def test_an_expired_token(v2: V2Client, path: str) -> None:
    response = await v2.send("GET", path, headers={"X-Auth-Token": v2.token(seconds=-60)})
    body = response.json()
    assert (response.status_code, body["message"], body["data"]) == (401, "invalid credentials", {})


async def test_an_invalid_account_id(v2: V2Client) -> None:
    response = await v2.get("/v2/accounts/abc/recordings")
    assert (response.status_code, response.json()["message"]) == (404, "bad identifier")
    assert response.json()["data"] == {"message": "invalid account_id 'abc'"}


@pytest.mark.parametrize("unknown", ["0" * 32, "Z" * 32, "é" * 32])
async def test_an_unknown_account(v2: V2Client, unknown: str) -> None:
    response = await v2.get(f"/v2/accounts/{unknown}/recordings")
    assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")
    assert response.json()["data"] == {"message": "bad identifier", "cause": unknown}
    assert (await v2.send("GET", f"/v2/accounts/{unknown}/recordings", headers=NOBODY)).status_code == 401


@pytest.mark.parametrize("unknown", ["0" * 32, "x", "%00", "x" * 200])
async def test_an_unknown_user(v2: V2Client, unknown: str) -> None:
    response = await v2.get(f"{v2.path}/users/{unknown}/recordings")
    assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")
    assert response.json()["data"]["cause"] == unknown.replace("%00", "\0")


async def test_a_user_is_known_once_created(v2: V2Client) -> None:
    user = await v2.installation.users.create(v2.account.id, "ada")
    assert await v2.ids(f"{v2.path}/users/{user.id}/recordings") == []


async def test_the_order_of_the_checks(v2: V2Client) -> None:
    wrong = {"X-Auth-Token": "wrong"}
    expired = {"X-Auth-Token": v2.token(seconds=-60)}
    for method, path, options, status in (
        ("PUT", v2.recordings, {"content": b"{", "headers": expired}, 400),
        ("DELETE", v2.recordings, {"headers": expired}, 401),
        ("DELETE", v2.recordings, {"headers": wrong}, 405),
        ("GET", f"{v2.path}/nothing", {"headers": wrong}, 404),
        ("GET", "/v2/accounts/abc/recordings", {"headers": wrong}, 401),
        ("GET", v2.recordings, {"headers": {"Accept": "text/html"}, "params": {"page_size": "0"}}, 406),
        ("GET", f"/v2/accounts/{'0' * 32}/recordings", {"headers": {"Accept": "text/html"}}, 404),
        ("GET", f"{v2.path}/users/nobody/recordings", {"headers": {"Accept": "text/html"}}, 406),
    ):
        assert (await v2.send(method, path, **options)).status_code == status, (method, path)


# Rate limit


async def test_the_rate_limit(v2: V2Client) -> None:
    for left in range(99, -1, -1):
        body = (await v2.send("GET", headers=NOBODY)).json()
        assert body["error"] == "401"
        assert body["tokens"] == {"consumed": 1, "remaining": left}
    response = await v2.send("GET", headers=NOBODY)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (429, "429", "too_many_requests")
    assert body["data"] == {"message": "too many requests"}
    assert "retry-after" not in response.headers
    # A valid token costs nothing. Other clients and accounts have their own buckets.
    body = (await v2.get()).json()
    assert (body["status"], body["tokens"]) == ("success", {"consumed": 0, "remaining": 0})
    async with client_of(v2.installation.app(), ("192.0.2.2", 1)) as client:
        assert (await client.get(v2.recordings)).status_code == 401
    v2.installation.ticks.now += 0.11
    assert (await v2.send("GET", headers=NOBODY)).status_code == 401
    assert (await v2.send("GET", headers=NOBODY)).status_code == 429


async def test_the_tokens_of_one_principal_share_one_rate_limit(v2: V2Client) -> None:
    settings = V2Settings(token_rate=Rate(capacity=3, per_second=1.0))
    async with client_of(v2.installation.app(settings), ("192.0.2.4", 1)) as client:

        async def status(token: str) -> int:
            return (await client.get(v2.recordings, headers={"X-Auth-Token": token})).status_code

        assert [await status(v2.token()) for _ in range(5)] == [200, 200, 200, 429, 429]
        assert await status(v2.token(owner_id="ada")) == 200
        v2.installation.ticks.now += 1.1
        assert [await status(v2.token()) for _ in range(2)] == [200, 429]


async def test_logins_cost_more(v2: V2Client) -> None:
    data = {"data": {"api_key": "0" * 64}}
    answers = [await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json=data) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    # The bucket has 30 tokens, and gains 10 per second.
    assert answers[2].headers["retry-after"] == "1"
    assert answers[0].json()["tokens"] == {"consumed": 35, "remaining": 65}


async def test_basic_is_charged(v2: V2Client) -> None:
    await v2.installation.users.create(v2.account.id, "ada", "x")
    body = (await v2.send("GET", headers=basic(v2.account.id, digest("ada", "x")))).json()
    assert body["tokens"] == {"consumed": 1, "remaining": 99}


async def test_password_guesses_are_charged_to_the_client_for_every_account_in_the_path(v2: V2Client) -> None:
    await v2.installation.users.create(v2.account.id, "ada", "x")
    async with client_of(v2.installation.app(), ("192.0.2.3", 1)) as guesser:

        def named(account: str, credentials: str) -> dict[str, Any]:
            return {"Authorization": basic(account, credentials)["Authorization"]}

        async def guess(path: str, credentials: str) -> int:
            return (await guesser.get(path, headers=named(v2.account.id, credentials))).status_code

        # Valid credentials are hashed once a minute. While they are cached, the client is not charged.
        assert [await guess(v2.recordings, digest("ada", "x")) for _ in range(20)] == [200] * 20
        statuses = []
        for number in range(100):
            # Each guess is for another account, so that the delays after failures do not apply.
            path, account = f"/v2/accounts/{number:032x}", f"{number:032x}"
            statuses.append((await guesser.get(path, headers=named(account, account))).status_code)
        assert statuses == [401] * 99 + [429]
        assert await guess(v2.recordings, digest("ada", "x")) == 200
        data = {"data": {"credentials": digest("ada", "x"), "account_realm": v2.account.realm}}
        assert (await guesser.put("/v2/user_auth", json=data)).status_code == 429
        v2.installation.ticks.now += 0.11
        assert [await guess(f"/v2/accounts/{'f' * 32}", "0" * 32) for _ in range(2)] == [401, 429]


async def test_invalid_account_ids_share_one_bucket(v2: V2Client) -> None:
    async with client_of(v2.installation.app(), ("192.0.2.4", 1)) as client:
        left = [
            (await client.get(f"/v2/accounts/{name}/recordings")).json()["tokens"]["remaining"]
            for name in ("x", "y" * 30_000, "%C3%A9", "A" * 32, "0" * 32, "1" * 32)
        ]
    assert left == [99, 98, 97, 96, 99, 99]


async def test_a_token_without_the_scope_read_cannot_list(v2: V2Client) -> None:
    headers = {"X-Auth-Token": v2.token(Scope.CONTROL)}
    assert (await v2.send("GET", headers=headers)).status_code == 403


async def test_account_realm_wins_over_realm(v2: V2Client) -> None:
    realms = [f"{v2.account.id[:8]}-{number}.example.com" for number in range(2)]
    accounts = [replace(await new_account(v2.installation), sip_realm=realm) for realm in realms]
    for account in accounts:
        await v2.installation.store.save_account(account)
        await v2.installation.users.create(account.id, "ada", "x")
    data = {"credentials": digest("ada", "x"), "account_realm": realms[1], "realm": realms[0]}
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    assert (response.status_code, response.json()["data"]["account_id"]) == (201, accounts[1].id)
    wrong = data | {"account_realm": "none.example.com"}
    response = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": wrong})
    assert response.status_code == 401
