"""Disabled and deleted users and accounts on the v2 paths (`docs/v2_contract.md`, section 4.5)."""

import hashlib
from base64 import b64encode

import pytest

from recordings.model.account import DEFAULT_SCOPES
from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = {"X-Auth-Token": None}
DIGEST = hashlib.md5(b"ada:a password", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("ended", "level"),
    [
        ("user disabled", PrivLevel.USER),
        ("user deleted", PrivLevel.ADMIN),
        ("account disabled", PrivLevel.ADMIN),
        ("other user disabled", PrivLevel.USER),
    ],
)
async def test_ended_credentials_are_unknown_credentials(v2: V2Client, ended: str, level: PrivLevel) -> None:
    account, users = v2.account, v2.installation.users
    ada = await users.create(account.id, "ada", "a password", priv_level=level)
    bob = await users.create(account.id, "bob")
    key = await v2.installation.administration.create_key(account.id, ada.id, frozenset(DEFAULT_SCOPES))
    if ended == "account disabled":
        await v2.installation.store.set_disabled(account.id, "", 1)
    else:
        user = bob if ended.startswith("other") else ada
        await (users.delete(user) if ended.endswith("deleted") else users.disable(user))
    accepted = ended.startswith("other")
    names = {"credentials": DIGEST, "account_realm": account.realm}
    login = await v2.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": names})
    assert login.status_code == (201 if accepted else 401)
    by_key = await v2.send("PUT", "/v2/api_auth", headers=NOBODY, json={"data": {"api_key": key.secret}})
    assert by_key.status_code == (201 if accepted else 404)
    basic = b64encode(f"{account.id}:{DIGEST}".encode()).decode()
    for headers in ({**NOBODY, "Authorization": f"Basic {basic}"}, {"X-Auth-Token": key.secret}):
        response = await v2.send("GET", headers=headers)
        assert response.status_code == (200 if accepted else 401)


async def test_a_changed_password_replaces_the_old_one_at_once(v2: V2Client) -> None:
    ada = await v2.installation.users.create(v2.account.id, "ada", "a password")
    basic = b64encode(f"{v2.account.id}:{DIGEST}".encode()).decode()
    headers = {**NOBODY, "Authorization": f"Basic {basic}"}
    assert (await v2.send("GET", headers=headers)).status_code == 200
    await v2.installation.users.set_password(ada, "a new password")
    assert (await v2.send("GET", headers=headers)).status_code == 401
