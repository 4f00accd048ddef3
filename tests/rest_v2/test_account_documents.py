"""The neighbouring paths that clients of the recordings need: an account and its users."""

from typing import Any

import pytest

from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_account(site: Site) -> None:
    body = (await site.get(site.path)).json()
    assert body["data"] == {
        "id": site.account.id,
        "name": "Acme",
        "realm": site.account.realm,
        "language": "en-us",
        "timezone": "UTC",
    }


async def test_users(site: Site) -> None:
    for paginate in ({"paginate": "false"}, {}):
        assert (await site.get(f"{site.path}/users", **paginate)).json()["data"] == []
    create = site.world.members.create
    ada = await create(site.account.id, "Ada", first_name="A", last_name="R", email="a@x", priv_level=PrivLevel.ADMIN)
    await create(site.account.id, "bob")
    body = (await site.get(f"{site.path}/users", paginate="false")).json()
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


async def test_pages_of_users(site: Site) -> None:
    for name in ("d", "B", "a", "C"):
        await site.world.members.create(site.account.id, name)
    seen, params = [], {"page_size": "3"}
    while True:
        body = (await site.get(f"{site.path}/users", **params)).json()
        seen += [user["username"] for user in body["data"]]
        assert body["page_size"] == len(body["data"])
        if "next_start_key" not in body:
            break
        params["start_key"] = body["next_start_key"]
    assert seen == ["a", "B", "C", "d"]
    assert (await site.get(f"{site.path}/users", start_key="x")).status_code == 400
    assert (await site.get(f"{site.path}/users", page_size="0")).status_code == 404


async def test_an_owner_finds_only_itself(site: Site) -> None:
    ada, _ = [await site.world.members.create(site.account.id, name) for name in ("ada", "bob")]
    headers = {"X-Auth-Token": site.token(owner_id=ada.id)}
    users: Any = (await site.send("GET", f"{site.path}/users", headers=headers)).json()["data"]
    assert [user["id"] for user in users] == [ada.id]
