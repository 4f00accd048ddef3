"""Every field of the document of a recording of this service (`docs/v2_contract.md`, section 8)."""

from typing import Any

import pytest

from recordings.model.account import Scope
from recordings.model.options import RecordingOptions
from tests.rest_v2.v2_installation import OFFSET, V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


KINDS = {
    "id": str, "name": str, "description": str, "content_type": str, "media_type": str, "media_source": str,
    "source_type": str, "from": str, "to": str, "request": str, "direction": str, "start": int, "duration": int,
    "duration_ms": int, "caller_id_name": str, "caller_id_number": str, "callee_id_name": str,
    "callee_id_number": str, "call_id": str, "interaction_id": str, "cdr_id": str, "owner_id": str,
    "endpoint_id": str, "origin": str, "url": str, "custom_channel_vars": dict,
}  # fmt: skip


async def complete(v2: V2Client, **given: Any) -> Any:
    return await v2.add(
        **{
            "request": "+14155550123@acme.example.com",
            "callee_id_name": "Grace",
            "callee_id_number": "+14155550123",
            "interaction_id": "63877497820-3f2a1b9c",
            "cdr_id": "202403-x",
            "owner_id": "8e248327b85591955749e53ea45b6baa",
            "endpoint_id": "63fbb9ac78e11f3ccb387928a423798a",
            "origin": "callflow : Front desk",
            "options": RecordingOptions(url="https://example.com/in"),
            "custom_channel_vars": {"Account-ID": v2.account.id},
            **given,
        }
    )


@pytest.mark.parametrize(("format", "content_type"), [("mp3", "audio/mpeg"), ("wav", "audio/x-wav")])
async def test_every_field_of_a_document(v2: V2Client, format: str, content_type: str) -> None:
    made = await complete(v2, format=format, duration_ms=42_999)
    document = (await v2.get(f"{v2.recordings}/{made.id}")).json()["data"]
    assert set(document) == set(KINDS)
    assert all(isinstance(document[name], kind) for name, kind in KINDS.items())
    assert document["name"] == f"{made.id}.{format}"
    assert document["description"] == f"recording {document['name']}"
    assert (document["content_type"], document["media_type"]) == (content_type, format)
    assert (document["media_source"], document["source_type"]) == ("recorded", "kzc_recording")
    assert document["start"] == made.start // 1_000 + OFFSET
    # Whole seconds, rounded down.
    assert (document["duration"], document["duration_ms"]) == (42, 42_999)
    assert document["custom_channel_vars"] == {"Account-ID": v2.account.id, "Media-Recording-ID": made.id}
    assert document["url"] == "https://example.com/in"
    (item,) = (await v2.get()).json()["data"]
    assert item == {**document, "_read_only": {"content_types": [content_type]}}
    deleted = (await v2.send("DELETE", f"{v2.recordings}/{made.id}")).json()["data"]
    assert deleted == {**document, "_read_only": {"deleted": True}}


async def test_the_url_is_shown_only_with_the_scope_control(v2: V2Client) -> None:
    for given in ({}, {"imported": {"id": "x", "url": "https://example.com/in", "from": "x"}}):
        made = await complete(v2, **given)
        path = f"{v2.recordings}/{made.id}"
        assert (await v2.get(path)).json()["data"]["url"] == "https://example.com/in"
        assert await v2.ids(filter_url="https://example.com/in") == [made.id]
        v2.headers = {"X-Auth-Token": v2.token(Scope.READ, Scope.DELETE)}
        assert await v2.ids(filter_url="https://example.com/in") == await v2.ids(has_key="url") == []
        for answer in (
            await v2.get(),
            await v2.get(is_chunked="true"),
            await v2.get(accept="csv"),
            await v2.get(path),
            await v2.get(path, accept="csv"),
            await v2.send("DELETE", path),
        ):
            assert answer.status_code == 200
            assert made.id in answer.text
            assert "example.com/in" not in answer.text
        v2.headers = {"X-Auth-Token": v2.token()}


async def test_a_field_without_a_value_is_left_out(v2: V2Client) -> None:
    made = await v2.add()
    document = (await v2.get(f"{v2.recordings}/{made.id}")).json()["data"]
    assert None not in document.values()
    left_out = {"request", "callee_id_name", "callee_id_number", "interaction_id", "cdr_id", "owner_id", "url"}
    assert not left_out & set(document)
