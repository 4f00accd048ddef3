"""Failed logins of v2 clients: by account, in addition to the limit of each address."""

from typing import Any

import httpx
import pytest

from tests.rest_v2.test_auth import basic, digest
from tests.rest_v2.v2_installation import V2Client, client_of, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Logins:
    """Sends logins from addresses of the test's choice to one app."""

    def __init__(self, v2: V2Client) -> None:
        self.v2 = v2
        self.app = v2.installation.app()

    async def user_auth(self, address: str, credentials: str, **names: str) -> httpx.Response:
        names = names or {"account_realm": self.v2.account.realm}
        async with client_of(self.app, (address, 1)) as client:
            return await client.put("/v2/user_auth", json={"data": {"credentials": credentials, **names}})

    async def basic(self, address: str, credentials: str) -> httpx.Response:
        headers: dict[str, Any] = {"Authorization": basic(self.v2.account.id, credentials)["Authorization"]}
        async with client_of(self.app, (address, 1)) as client:
            return await client.get(self.v2.recordings, headers=headers)


async def test_guesses_from_many_addresses_must_wait(v2: V2Client) -> None:
    await v2.installation.users.create(v2.account.id, "ada", "Sesame")
    logins, right = Logins(v2), digest("ada", "Sesame")
    assert (await logins.user_auth("192.0.2.1", right)).status_code == 201
    sent = [await logins.user_auth(f"198.51.100.{each}", digest("ada", f"x{each}")) for each in range(14)]
    assert [each.status_code for each in sent] == [401] * 10 + [429] * 4
    refused = await logins.user_auth("203.0.113.1", right)
    assert (refused.status_code, refused.json()["message"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    # The same for a user that does not exist, and for Basic.
    unknown = await logins.user_auth("203.0.113.2", digest("eve", "x"))
    assert (unknown.status_code, unknown.json()["data"]) == (429, refused.json()["data"])
    assert (await logins.basic("203.0.113.2", right)).status_code == 429
    # An address that has logged in before, a token, and another account are not affected.
    assert (await logins.user_auth("192.0.2.1", right)).status_code == 201
    assert (await v2.get()).status_code == 200
    other = await new_account(v2.installation)
    await v2.installation.users.create(other.id, "bob", "Sesame")
    of_other = await logins.user_auth("203.0.113.3", digest("bob", "Sesame"), account_realm=other.realm)
    assert of_other.status_code == 201
    v2.installation.ticks.now += 1
    assert (await logins.user_auth("203.0.113.4", right)).status_code == 201
    assert (await logins.basic("203.0.113.4", right)).status_code == 200


async def test_a_client_waits_after_its_own_failures_also_if_it_logged_in_before(v2: V2Client) -> None:
    await v2.installation.users.create(v2.account.id, "ada", "Sesame")
    logins, right = Logins(v2), digest("ada", "Sesame")
    for round_ in range(2):
        address = f"198.51.100.{round_}"
        if round_:
            assert (await logins.basic(address, right)).status_code == 200
        # The same wrong password each time.
        statuses = [(await logins.basic(address, digest("ada", "wrong"))).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        # Valid credentials that are remembered are not a guess.
        assert (await logins.basic(address, right)).status_code == (200 if round_ else 429)
        v2.installation.ticks.now += 1
        assert (await logins.basic(address, right)).status_code == 200


async def test_an_account_that_does_not_exist_waits_like_one_that_does(v2: V2Client) -> None:
    logins = Logins(v2)
    answers = []
    for name in (v2.account.realm, "nobody.example.com"):
        sent = [
            await logins.user_auth(f"198.51.100.{each}", digest("ada", str(each)), account_realm=name)
            for each in range(12)
        ]
        answers.append([(each.status_code, each.json()["data"], each.headers.get("retry-after")) for each in sent])
    assert answers[0] == answers[1]
    assert answers[0][-1] == (429, {"message": "too many requests"}, "1")
