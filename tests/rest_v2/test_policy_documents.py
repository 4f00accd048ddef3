"""The documents of accounts, users and devices, with their recording policies (`docs/v2_contract.md`, section 9.4)."""

import hashlib
from typing import Any

import pytest
import pytest_asyncio

from recordings.model.account import GRANTABLE, Scope
from recordings.model.recording_policy import Lock, LockKind, PolicyScope
from recordings.model.user import PrivLevel, User
from recordings.use_cases.policies import PolicyChange
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOUR = {
    direction: {network: {"enabled": True} for network in ("offnet", "onnet")} for direction in ("inbound", "outbound")
}
UNKNOWN = {
    "smartpbx": {"call_recording": {"enabled": True}},
    "caller_id": {"x.y": [1, None, {"$z": 2**70}]},
    "ui_metadata": {"ui": "monster-ui"},
}


@pytest_asyncio.fixture(loop_scope="session")
async def admin(v2: V2Client) -> V2Client:
    v2.headers = {"X-Auth-Token": v2.token(*GRANTABLE)}
    return v2


async def send(client: V2Client, method: str, path: str, data: Any, status: int = 200) -> Any:
    response = await client.send(method, f"{client.path}{path}", json={"data": data})
    assert response.status_code == status, response.text
    return response.json()["data"]


async def get(client: V2Client, path: str = "") -> Any:
    response = await client.get(f"{client.path}{path}")
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def user(client: V2Client, name: str = "ada", **given: Any) -> User:
    return await client.installation.users.create(client.account.id, name, **given)


async def test_bar_3_monster_ui_saves_the_whole_account(admin: V2Client) -> None:
    """As kazoo-classic/monster-ui-recordings does: GET, then POST of the document with all four cells."""
    await send(admin, "PATCH", "", {**UNKNOWN, "call_recording": {"endpoint": {"any": {"onnet": {"enabled": False}}}}})
    document = await get(admin)
    document["call_recording"]["account"] = FOUR
    assert await send(admin, "POST", "", document) == document
    assert await get(admin) == document
    assert document["call_recording"]["endpoint"] == {"any": {"onnet": {"enabled": False}}}
    assert {name: document[name] for name in UNKNOWN if name != "caller_id"} == {
        name: value for name, value in UNKNOWN.items() if name != "caller_id"
    }


async def test_unknown_fields_are_returned_as_they_were(admin: V2Client) -> None:
    ada = await user(admin)
    for path in ("", f"/users/{ada.id}", "/devices/" + "d" * 32):
        document = await send(admin, "POST", path, UNKNOWN)
        assert {name: document[name] for name in UNKNOWN} == UNKNOWN
        again = await get(admin, path)
        assert again == document
        assert list(again["caller_id"]) == ["x.y"]


async def test_bar_4_smartpbx_removes_default_cells_and_the_empty_object(admin: V2Client) -> None:
    ada = await user(admin)
    path = f"/users/{ada.id}"
    cell = {"enabled": True, "time_limit": 60, "url": "https://x.example/", "format": "mp3"}
    document = await get(admin, path)
    await send(admin, "POST", path, {**document, "call_recording": {"inbound": {"onnet": cell, "offnet": cell}}})
    document = await get(admin, path)
    del document["call_recording"]["inbound"]["onnet"]
    assert (await send(admin, "POST", path, document))["call_recording"] == {"inbound": {"offnet": cell}}
    del document["call_recording"]
    assert await send(admin, "POST", path, document) == document
    assert "call_recording" not in await get(admin, path)


async def test_bar_5_a_patch_of_one_cell_leaves_the_rest(admin: V2Client) -> None:
    ada = await user(admin)
    path = f"/users/{ada.id}"
    before = await send(admin, "POST", path, {**UNKNOWN, "call_recording": FOUR})
    after = await send(admin, "PATCH", path, {"call_recording": {"inbound": {"onnet": {"time_limit": 60}}}})
    assert after["call_recording"]["inbound"]["onnet"] == {"enabled": True, "time_limit": 60}
    after["call_recording"]["inbound"]["onnet"].pop("time_limit")
    # A stored null is removed, as in Kazoo; an array is no object, so its nulls stay.
    assert after == before


async def test_null_in_a_patch_removes_a_key(admin: V2Client) -> None:
    await send(admin, "POST", "", {"a": {"b": 1, "c": None}, "call_recording": {"account": FOUR, "endpoint": FOUR}})
    document = await send(admin, "PATCH", "", {"call_recording": {"account": None, "endpoint": {"inbound": None}}})
    assert document["call_recording"] == {"endpoint": {"outbound": FOUR["outbound"]}}
    assert document["a"] == {"b": 1}
    assert "call_recording" not in await send(admin, "PATCH", "", {"call_recording": None})


def at(leaf: Any, path: str = "inbound.any") -> dict[str, Any]:
    for name in reversed(path.split(".")):
        leaf = {name: leaf}
    found: dict[str, Any] = leaf
    return found


STRICT = "Strict checking of data is enabled; only include schema-defined properties"
WRONG: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    (
        at({"time_limit": 4}),
        "inbound.any.time_limit",
        "minimum",
        {"message": "Value must be at least 5", "target": 5, "value": 4},
    ),
    (
        at({"time_limit": 10_801}),
        "inbound.any.time_limit",
        "maximum",
        {"message": "Value must be at most 10800", "target": 10_800, "value": 10_801},
    ),
    (
        at({"time_limit": "x"}),
        "inbound.any.time_limit",
        "type",
        {"message": "Value did not match type(s): integer", "target": "integer", "value": "x"},
    ),
    (
        at({"format": "mp4"}),
        "inbound.any.format",
        "enum",
        {"message": "Value not found in enumerated list of values", "target": ["mp3", "wav"], "value": "mp4"},
    ),
    (
        at({"enabled": "maybe"}),
        "inbound.any.enabled",
        "type",
        {"message": "Value did not match type(s): boolean", "target": "boolean", "value": "maybe"},
    ),
    (
        at({"enabled": 1}),
        "inbound.any.enabled",
        "type",
        {"message": "Value did not match type(s): boolean", "target": "boolean", "value": 1},
    ),
    (
        at({"url": "no url"}),
        "inbound.any.url",
        "wrong_format",
        {"message": "Field is not in the correct format", "value": "no url", "format": "uri"},
    ),
    (
        at({"method": "put"}),
        "inbound.any.method",
        "additionalProperties",
        {"message": STRICT, "value": {"method": "put"}},
    ),
    (
        at({"enabled": True}, "inbound.wan"),
        "inbound.wan",
        "additionalProperties",
        {"message": STRICT, "value": {"wan": {"enabled": True}}},
    ),
    (
        at({}, "sideways.any"),
        "sideways",
        "additionalProperties",
        {"message": STRICT, "value": {"sideways": {"any": {}}}},
    ),
    (
        at(True),
        "inbound.any",
        "type",
        {"message": "Value did not match type(s): object", "target": "object", "value": True},
    ),
    (
        {"inbound": []},
        "inbound",
        "type",
        {"message": "Value did not match type(s): object", "target": "object", "value": []},
    ),
]


@pytest.mark.parametrize("owner", ["account", "user", "device"])
async def test_bar_2_schema_errors_are_those_of_crossbar(admin: V2Client, owner: str) -> None:
    ada = await user(admin)
    path = {"account": "", "user": f"/users/{ada.id}", "device": "/devices/" + "d" * 32}[owner]
    for policy, key, rule, broken in WRONG:
        under = "call_recording.account." if owner == "account" else "call_recording."
        data = {"call_recording": {"account": policy} if owner == "account" else policy}
        for method in ("POST", "PATCH"):
            response = await admin.send(method, f"{admin.path}{path}", json={"data": data})
            assert (response.status_code, response.json()["message"]) == (400, "validation error"), policy
            assert response.json()["error"] == "400"
            assert response.json()["data"] == {f"{under}{key}": {rule: broken}}
    if owner != "device":
        assert "call_recording" not in await get(admin, path)


async def test_bar_2_every_unknown_key_has_an_error(admin: V2Client) -> None:
    data = {
        "call_recording": {"account": at({"label": "x", "origin": "y", "should_follow_transfer": True}), "users": {}}
    }
    found = await send(admin, "POST", "", data, 400)
    assert set(found) == {
        "call_recording.users",
        *(f"call_recording.account.inbound.any.{name}" for name in ("label", "origin", "should_follow_transfer")),
    }


@pytest.mark.parametrize("limit", [5, 10_800])
async def test_bar_2_the_limits_themselves_are_valid(admin: V2Client, limit: int) -> None:
    policy = at({"time_limit": limit, "enabled": True, "url": ""})
    assert (await send(admin, "PATCH", "", {"call_recording": {"account": policy}}))["call_recording"][
        "account"
    ] == policy


async def test_texts_that_look_like_other_types_are_converted(admin: V2Client) -> None:
    given = {"enabled": "true", "time_limit": "600", "record_on_answer": "false", "record_min_sec": "-1"}
    document = await send(admin, "POST", "/devices/" + "d" * 32, {"call_recording": at(given)})
    assert document["call_recording"] == at(
        {"enabled": True, "time_limit": 600, "record_on_answer": False, "record_min_sec": -1}
    )


async def test_fields_of_this_service_cannot_change(admin: V2Client) -> None:
    ada = await user(admin)
    for path, name in (
        ("", "name"),
        ("", "realm"),
        (f"/users/{ada.id}", "username"),
        (f"/users/{ada.id}", "priv_level"),
    ):
        found = await send(admin, "POST", path, {name: "other"}, 400)
        assert list(found[name]) == ["error"]
        assert (await get(admin, path))[name] != "other"
    document = await send(admin, "POST", "", {"_rev": "1", "pvt_tree": [], "name": admin.account.name})
    assert not {"_rev", "pvt_tree"} & set(document)


async def test_devices_are_made_found_and_listed(admin: V2Client) -> None:
    assert await get(admin, "/devices") == []
    made = await send(admin, "PUT", "/devices", {"name": "Phone", "owner_id": "u", "sip": {"username": "x"}}, 201)
    assert await get(admin, f"/devices/{made['id']}") == made
    await send(admin, "PATCH", "/devices/" + "d" * 32, {"name": "Desk"})
    assert await get(admin, "/devices") == [
        {"id": "d" * 32, "name": "Desk"},
        {"id": made["id"], "name": "Phone", "owner_id": "u"},
    ]
    for unknown in ("e" * 32, "x"):
        response = await admin.get(f"{admin.path}/devices/{unknown}")
        assert (response.status_code, response.json()["data"]["cause"]) == (404, unknown)


async def test_unknown_users_have_no_document(admin: V2Client) -> None:
    for method in ("POST", "PATCH"):
        response = await admin.send(method, f"{admin.path}/users/{'0' * 32}", json={"data": {}})
        assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")


async def test_a_document_has_a_bound(admin: V2Client) -> None:
    assert "maxSize" in (await send(admin, "POST", "", {"x": "y" * 65_536}, 400))["data"]
    deep: Any = 1
    for _ in range(40):
        deep = {"x": deep}
    for method in ("POST", "PATCH"):
        assert "maxDepth" in (await send(admin, method, "", {"x": deep}, 400))["data"]
    wrong: tuple[Any, ...] = (None, [], "text")
    for data in wrong:
        response = await admin.send("POST", admin.path, json={"data": data})
        assert response.status_code == 400


# Access


async def test_a_change_needs_the_scope_admin(v2: V2Client) -> None:
    ada = await user(v2)
    for path in ("", f"/users/{ada.id}", "/devices/" + "d" * 32):
        for method in ("POST", "PATCH"):
            await send(v2, method, path, {}, 403)
    await send(v2, "PUT", "/devices", {}, 403)


async def test_an_administrator_sets_policies_after_a_login(v2: V2Client) -> None:
    await user(v2, "boss", password="secret", priv_level=PrivLevel.ADMIN)
    await user(v2, "ada", password="secret")
    for name, status in (("boss", 200), ("ada", 403)):
        found = await v2.installation.users.users(v2.principal(Scope.READ), v2.account.id)
        assert name in {each.username for each in found}
        digest = hashlib.md5(f"{name}:secret".encode(), usedforsecurity=False).hexdigest()
        login = await v2.put("/v2/user_auth", {"credentials": digest, "account_realm": v2.account.realm})
        headers = {"X-Auth-Token": login.json()["auth_token"]}
        body = {"data": {"call_recording": {"account": FOUR}}}
        assert (await v2.send("PATCH", v2.path, json=body, headers=headers)).status_code == status


async def test_an_owner_changes_only_the_documents_of_the_owner(admin: V2Client) -> None:
    ada, bob = await user(admin), await user(admin, "bob")
    await send(
        admin, "POST", "", {"call_recording": {"account": at({"enabled": True, "url": "ftp://u:secret@x.example/"})}}
    )
    await send(admin, "POST", "/devices/" + "b" * 32, {"owner_id": bob.id})
    await send(admin, "POST", "/devices/" + "a" * 32, {"owner_id": ada.id})
    admin.headers = {"X-Auth-Token": admin.token(*GRANTABLE, owner_id=ada.id)}
    await send(admin, "POST", "", {}, 403)
    assert (await get(admin))["call_recording"] == {"account": at({"enabled": True})}
    await send(admin, "PATCH", f"/users/{ada.id}", {"call_recording": FOUR})
    await send(admin, "PATCH", f"/users/{bob.id}", {"call_recording": FOUR}, 404)
    await send(admin, "PATCH", "/devices/" + "a" * 32, {"call_recording": FOUR})
    await send(admin, "PATCH", "/devices/" + "a" * 32, {"owner_id": bob.id}, 404)
    for status, device in ((404, "b" * 32), (404, "c" * 32)):
        await send(admin, "PATCH", f"/devices/{device}", {"call_recording": FOUR}, status)
    assert [device["id"] for device in await get(admin, "/devices")] == ["a" * 32]


async def test_a_url_is_shown_only_with_control(admin: V2Client) -> None:
    secret = {"account": at({"enabled": True, "url": "ftp://u:secret@x.example/"})}
    assert (await send(admin, "POST", "", {"call_recording": secret}))["call_recording"] == secret
    admin.headers = {"X-Auth-Token": admin.token(Scope.READ)}
    assert (await get(admin))["call_recording"] == {"account": at({"enabled": True})}
    admin.headers = {"X-Auth-Token": admin.token(Scope.LISTEN)}
    assert "call_recording" not in await get(admin)


async def test_a_lock_rejects_a_start_on_a_channel(admin: V2Client) -> None:
    change = PolicyChange(scope=PolicyScope.ACCOUNT, locks=(Lock(LockKind.NEVER),))
    await admin.installation.policies.set(admin.principal(*GRANTABLE), change)
    admin.installation.recorder.ring(admin.account.id, "locked")
    flow = {"module": "record_call", "data": {"action": "start"}}
    response = await admin.put(f"{admin.path}/channels/locked", flow, action="metaflow")
    assert (response.status_code, response.json()["message"]) == (403, "forbidden")
    assert "lock NEVER" in response.json()["data"]["cause"]
