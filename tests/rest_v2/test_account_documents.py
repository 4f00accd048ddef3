"""The documents of accounts and users (`docs/v2_contract.md`, section 9)."""

import re
from dataclasses import replace
from typing import Any

import pytest

from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import V2Client, client_of, new_account

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


async def test_the_document_of_a_user(v2: V2Client) -> None:
    ada, bob = [await v2.installation.users.create(v2.account.id, name) for name in ("ada", "bob")]
    body = (await v2.get(f"{v2.path}/users/{ada.id}")).json()
    assert body["data"] == {
        "id": ada.id, "username": "ada", "first_name": "", "last_name": "", "email": "", "features": [],
        "priv_level": "user", "enabled": True, "language": "en-us", "timezone": "UTC",
    }  # fmt: skip
    other = await new_account(v2.installation)
    theirs = await v2.installation.users.create(other.id, "eve")
    for unknown in ("x", "0" * 32, theirs.id, ada.id.upper()):
        response = await v2.get(f"{v2.path}/users/{unknown}")
        assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")
        assert response.json()["data"] == {"message": "bad identifier", "cause": unknown}
    headers = {"X-Auth-Token": v2.token(owner_id=ada.id)}
    assert (await v2.send("GET", f"{v2.path}/users/{ada.id}", headers=headers)).status_code == 200
    assert (await v2.send("GET", f"{v2.path}/users/{bob.id}", headers=headers)).status_code == 404


@pytest.mark.parametrize(("params", "keys"), [({}, {"page_size", "start_key"}), ({"paginate": "false"}, set())])
async def test_there_are_no_devices(v2: V2Client, params: dict[str, str], keys: set[str]) -> None:
    body = (await v2.get(f"{v2.path}/devices", **params)).json()
    assert (body["data"], body["status"]) == ([], "success")
    assert {"page_size", "start_key", "next_start_key"} & set(body) == keys
    assert (await v2.get(f"{v2.path}/devices", page_size="0")).status_code == 404


async def test_the_accounts_below_an_account(v2: V2Client) -> None:
    top = v2.account.id
    beta, alpha = [await new_account(v2.installation, name, (top,)) for name in ("Beta", "alpha")]
    below = await new_account(v2.installation, "Below", (top, beta.id))
    await new_account(v2.installation, "Elsewhere")
    children = (await v2.get(f"{v2.path}/children")).json()
    assert children["data"] == [
        {"id": each.id, "name": each.name, "realm": each.realm, "tree": [top]} for each in (alpha, beta)
    ]
    names = [each["name"] for each in (await v2.get(f"{v2.path}/descendants", paginate="false")).json()["data"]]
    assert names == ["alpha", "Below", "Beta"]
    first = (await v2.get(f"{v2.path}/children", page_size="1")).json()
    second = (await v2.get(f"{v2.path}/children", page_size="1", start_key=first["next_start_key"])).json()
    assert [each["id"] for each in (*first["data"], *second["data"])] == [alpha.id, beta.id]
    assert "next_start_key" not in second
    of_beta = (await v2.get(f"/v2/accounts/{beta.id}/children")).json()["data"]
    assert [each["id"] for each in of_beta] == [below.id]
    headers = {"X-Auth-Token": v2.token(owner_id="u" * 32)}
    assert (await v2.send("GET", f"{v2.path}/children", headers=headers)).json()["data"] == []


@pytest.mark.parametrize(
    ("media", "handler", "settings"),
    [
        (None, "file", {}),
        ("s3://bucket/a/b", "s3", {"bucket": "bucket", "folder_base_path": "a/b"}),
        ("s3a://bucket", "s3", {"bucket": "bucket"}),
        ("gs://bucket/", "google_storage", {"bucket": "bucket"}),
        ("abfs://box/x", "azure", {"container": "box", "folder_base_path": "x"}),
        ("https://dav.example.com/in/", "http", {"url": "https://dav.example.com/in/"}),
        ("sftp://host/srv/audio", "sftp", {}),
        ("file:///srv/audio", "file", {}),
    ],
)
async def test_the_storage_plan_describes_the_media_store(
    v2: V2Client, media: str | None, handler: str, settings: dict[str, str]
) -> None:
    await v2.installation.store.save_account(replace(v2.account, media=media))
    plan = (await v2.get(f"{v2.path}/storage")).json()["data"]
    (key,) = plan["attachments"]
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert plan["plan"]["modb"]["types"]["call_recording"]["attachments"]["handler"] == key
    assert (plan["attachments"][key]["handler"], plan["attachments"][key]["settings"]) == (handler, settings)
    assert plan["id"] == v2.account.id
    for data in ({}, plan, {"ui_metadata": {"ui": "monster-ui"}}):
        response = await v2.put(f"{v2.path}/storage", data)
        assert (response.status_code, response.json()["data"]) == (201, plan)


@pytest.mark.parametrize("data", [{"attachments": {}}, {"plan": {"modb": {}}}, {"attachments": None}, {"other": 1}])
async def test_a_request_for_another_storage_is_rejected(v2: V2Client, data: dict[str, Any]) -> None:
    response = await v2.put(f"{v2.path}/storage", data)
    assert (response.status_code, response.json()["message"]) == (400, "validation error")
    assert "account set ID --media" in response.json()["data"][next(iter(data))]["error"]["message"]
    for method in ("POST", "PATCH", "DELETE"):
        assert (await v2.send(method, f"{v2.path}/storage", json={"data": data})).status_code == 405


async def test_the_common_media_store_does_not_show_its_location(v2: V2Client) -> None:
    app = v2.installation.app(V2Settings(storage="s3://shared-bucket/secret"))
    async with client_of(app) as client:
        response = await client.get(f"{v2.path}/storage", headers=v2.headers)
    assert [entry["handler"] for entry in response.json()["data"]["attachments"].values()] == ["s3"]
    assert "shared-bucket" not in response.text


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
