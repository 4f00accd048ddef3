"""Imported documents (`docs/v2_contract.md`, section 8)."""

import json
from typing import Any

import pytest

from tests.rest_v2.v2_installation import AUDIO, OFFSET, V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


def document(v2: V2Client, number: int, **given: Any) -> dict[str, Any]:
    """Return a stored document of Kazoo, created `number` seconds ago."""
    identity = f"202403-{v2.account.id[:24]}{number:08d}"
    at = v2.now - number
    return {
        "_id": identity,
        "_rev": "2-8c1f0e1b5a7d4f2e9b6c3a1d0f8e7c6b",
        "name": f"{number}.mp3",
        "description": f"recording {number}.mp3",
        "content_type": "audio/mpeg",
        "media_type": "mp3",
        "media_source": "recorded",
        "source_type": "kzc_recording",
        "from": "1001@acme.sip.example.com",
        "to": "+14155550123@acme.sip.example.com",
        "request": "+14155550123@acme.sip.example.com",
        "direction": "inbound",
        "start": at - 43,
        "duration": 42,
        "duration_ms": 42_380,
        "caller_id_name": "Ada Reception",
        "caller_id_number": "1001",
        "callee_id_name": "",
        "callee_id_number": "+14155550123",
        "call_id": f"{number}@10.26.0.91",
        "cdr_id": f"202403-{number}@10.26.0.91",
        "interaction_id": "63877497820-3f2a1b9c",
        "owner_id": "8e248327b85591955749e53ea45b6baa",
        "origin": "callflow : Front desk",
        "custom_channel_vars": {"Account-ID": v2.account.id, "a.b": {"$x": [1, None, True, 1.5]}, "Big": 2**62},
        "_attachments": {f"{number}.mp3": {"content_type": "audio/mpeg", "length": 10_240}},
        "pvt_type": "call_recording",
        "pvt_account_id": v2.account.id,
        "pvt_created": at,
        "pvt_modified": at,
        **given,
    }


def public(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if not name.startswith(("_", "pvt_"))} | {"id": stored["_id"]}


async def test_imported_documents_are_shown_unchanged(v2: V2Client) -> None:
    strange: dict[str, Any] = {
        "media_type": ".mp3",
        "extra": {"x": []},
        "direction": "sideways",
        "from": "anonymous",
        "call_id": "",
        "empty": "",
        "null": None,
        "zero": 0,
        "minus": -1.5,
    }
    stored = [document(v2, 0), document(v2, 1, **strange), document(v2, 1) | {"_id": f"202403-{v2.account.id}"}]
    bare = {"_id": f"202402-{v2.account.id}", "pvt_created": v2.now - 9, "pvt_type": "call_recording"}
    stored.append(bare)
    for number, each in enumerate(stored):
        await v2.take_in(each, AUDIO if number != 1 else None)
    listed = {item["id"]: item for item in (await v2.get()).json()["data"]}
    for number, each in enumerate(stored):
        one = (await v2.get(f"{v2.recordings}/{each['_id']}")).json()["data"]
        assert json.dumps(one, sort_keys=True) == json.dumps(public(each), sort_keys=True)
        types = [] if number == 1 else ["audio/mpeg"]
        assert listed[each["_id"]] == {**public(each), "_read_only": {"content_types": types}}
    order = sorted(stored, key=lambda each: (each["pvt_created"], each["_id"]), reverse=True)
    assert await v2.ids() == [each["_id"] for each in order]
    audio = await v2.get(f"{v2.recordings}/{stored[0]['_id']}", accept="audio/mpeg")
    assert audio.content == AUDIO
    assert audio.headers["content-disposition"] == "attachment; filename=0.mp3"


async def test_imported_ids_of_any_form(v2: V2Client) -> None:
    stored = document(v2, 3, _id=f"no-prefix-{v2.account.id}")
    await v2.take_in(stored)
    assert (await v2.get(f"{v2.recordings}/{stored['_id']}")).json()["data"] == public(stored)


async def test_imported_recordings_have_pages_and_filters(v2: V2Client) -> None:
    stored = [document(v2, number // 3) | {"_id": f"202403-{v2.account.id}{number}"} for number in range(9)]
    stored[4] |= {"direction": "sideways", "from": "anonymous"}
    for each in stored:
        await v2.take_in(each)
    order = sorted(stored, key=lambda each: (each["pvt_created"], each["_id"]), reverse=True)
    seen, params = [], {"page_size": "2"}
    while True:
        body = (await v2.get(**params)).json()
        seen += [item["id"] for item in body["data"]]
        if "next_start_key" not in body:
            break
        params["start_key"] = body["next_start_key"]
    assert seen == [each["_id"] for each in order]
    for name, value in (("direction", "sideways"), ("from", "anonymous")):
        assert await v2.ids(**{f"filter_{name}": value}) == [stored[4]["_id"]]
    created = stored[0]["pvt_created"]
    found = await v2.ids(created_from=created, created_to=created)
    assert set(found) == {each["_id"] for each in stored[:3]}
    user = stored[0]["owner_id"]
    assert len(await v2.ids(f"{v2.path}/users/{user}/recordings")) == 9
    assert v2.now - OFFSET > 0


async def test_an_imported_recording_can_be_changed_and_deleted(v2: V2Client) -> None:
    stored = document(v2, 5, user_metadata={"a": 1})
    await v2.take_in(stored, AUDIO)
    path = f"{v2.recordings}/{stored['_id']}"
    changed = await v2.send("PATCH", path, json={"data": {"user_metadata": {"b": 2}}})
    assert changed.json()["data"] == {**public(stored), "user_metadata": {"a": 1, "b": 2}}
    emptied = await v2.send("PATCH", path, json={"data": {"user_metadata": {"a": None, "b": None}}})
    assert "user_metadata" not in emptied.json()["data"]
    assert (await v2.send("DELETE", path)).json()["data"]["_read_only"] == {"deleted": True}
    assert await v2.ids() == []
