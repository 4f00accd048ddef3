"""The documents of accounts and users (`docs/v2_contract.md`, section 9)."""

from dataclasses import replace
from typing import Any

import pytest

from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_account_document(v2: V2Client) -> None:
    body = (await v2.get(v2.path)).json()
    assert body["data"] == {
        "id": v2.account.id,
        "name": "Acme",
        "realm": v2.account.realm,
        "language": "en-us",
        "timezone": "UTC",
    }


async def test_the_list_of_users(v2: V2Client) -> None:
    for paginate in ({"paginate": "false"}, {}):
        assert (await v2.get(f"{v2.path}/users", **paginate)).json()["data"] == []
    create = v2.installation.users.create
    ada = await create(v2.account.id, "Ada", first_name="A", last_name="R", email="a@x", priv_level=PrivLevel.ADMIN)
    await create(v2.account.id, "bob")
    body = (await v2.get(f"{v2.path}/users", paginate="false")).json()
    assert body["data"][0] == {
        "id": ada.id,
        "username": "Ada",
        "first_name": "A",
        "last_name": "R",
        "email": "a@x",
        "features": [],
        "priv_level": "admin",
    }
    assert [user["username"] for user in body["data"]] == ["Ada", "bob"]
    assert not {"page_size", "start_key", "next_start_key"} & set(body)


async def test_the_list_of_users_has_pages(v2: V2Client) -> None:
    for name in ("d", "B", "a", "C"):
        await v2.installation.users.create(v2.account.id, name)
    seen, params = [], {"page_size": "3"}
    while True:
        body = (await v2.get(f"{v2.path}/users", **params)).json()
        seen += [user["username"] for user in body["data"]]
        assert body["page_size"] == len(body["data"])
        if "next_start_key" not in body:
            break
        params["start_key"] = body["next_start_key"]
    assert seen == ["a", "B", "C", "d"]
    assert (await v2.get(f"{v2.path}/users", start_key="x")).status_code == 400
    assert (await v2.get(f"{v2.path}/users", page_size="0")).status_code == 404


async def test_an_owner_sees_only_its_own_user(v2: V2Client) -> None:
    ada, _ = [await v2.installation.users.create(v2.account.id, name) for name in ("ada", "bob")]
    headers = {"X-Auth-Token": v2.token(owner_id=ada.id)}
    users: Any = (await v2.send("GET", f"{v2.path}/users", headers=headers)).json()["data"]
    assert [user["id"] for user in users] == [ada.id]


async def test_a_realm_is_in_the_account_and_in_new_recordings(v2: V2Client) -> None:
    realm = f"{v2.account.id[:8]}.sip.example.com"
    await v2.installation.store.save_account(replace(v2.account, sip_realm=realm))
    assert (await v2.get(v2.path)).json()["data"]["realm"] == realm
    v2.installation.recorder.ring(v2.account.id, "realm", to="them")
    for action in ("start", "stop"):
        flow = {"module": "record_call", "data": {"action": action}}
        assert (await v2.put(f"{v2.path}/channels/realm", flow, action="metaflow")).status_code == 201
    (item,) = (await v2.get()).json()["data"]
    assert (item["from"], item["to"]) == (f"1001@{realm}", f"them@{realm}")
