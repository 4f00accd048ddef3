"""GET, DELETE and PATCH of one recording (`docs/v2_contract.md`, sections 2 and 3)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from recordings.model.account import Scope
from recordings.model.recording import State
from recordings.use_cases.finalizer import is_stored_here
from tests.rest_v2.v2_installation import AUDIO, V2Client, client_of, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

MPEG = {"Accept": "audio/mpeg"}


async def test_the_document(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.get(f"{v2.recordings}/{made.id}")
    body = response.json()
    assert response.status_code == 200
    assert body["data"]["id"] == made.id
    assert "_read_only" not in body["data"]
    assert not {"page_size", "start_key", "next_start_key"} & set(body)
    revision, _, digest = body["revision"].partition("-")
    assert (int(revision), len(digest)) == (1, 32)
    assert response.headers["etag"] == f'"{body["revision"]}"'
    assert response.headers["expires"] == "Fri, 01 Jan 1999 00:00:00 GMT"


@pytest.mark.parametrize(
    ("accept", "params", "audio"),
    [
        (None, {}, False),
        ("*/*", {}, False),
        ("application/json", {}, False),
        ("application/x-json", {}, False),
        ("audio/mpeg", {}, True),
        ("audio/mp3", {}, True),
        ("audio/*", {}, True),
        (None, {"accept": "audio/mpeg"}, True),
        ("application/json", {"accept": "audio/mpeg"}, True),
        ("audio/mpeg", {"accept": "application/json"}, False),
        ("audio/mpeg", {"accept": "mp3"}, True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", {}, False),
    ],
)
async def test_document_or_audio(v2: V2Client, accept: str | None, params: dict[str, str], audio: bool) -> None:
    made = await v2.add()
    v2.client.headers.pop("accept")
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept}, params=params)
    assert response.status_code == 200
    if audio:
        assert response.content == AUDIO
        assert response.headers["content-type"] == "audio/mpeg"
    else:
        assert response.json()["data"]["id"] == made.id


@pytest.mark.parametrize("accept", ["audio/midi", "video/*", "text/html", "application/xml"])
async def test_an_unsupported_accept_is_406(v2: V2Client, accept: str) -> None:
    made = await v2.add()
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept})
    assert (response.status_code, response.content) == (406, b"")


async def test_several_lines_of_accept_are_one_list(v2: V2Client) -> None:
    made = await v2.add()
    v2.client.headers.pop("accept")
    lines = [("X-Auth-Token", v2.token()), ("Accept", "text/html"), ("Accept", "audio/mpeg")]
    response = await v2.client.get(f"{v2.recordings}/{made.id}", headers=lines)
    assert (response.status_code, response.content) == (200, AUDIO)


async def test_a_malformed_accept(v2: V2Client) -> None:
    response = await v2.send("GET", headers={"Accept": "nonsense"})
    assert (response.status_code, response.content) == (400, b"")


async def test_accept_in_the_body(v2: V2Client) -> None:
    made = await v2.add()
    for body in ({"data": {"accept": "audio/mpeg"}}, {"data": {}, "accept": "audio/mpeg"}):
        response = await v2.send("GET", f"{v2.recordings}/{made.id}", json=body)
        assert response.content == AUDIO


@pytest.mark.parametrize("accept", ["audio/mpeg", "audio/wav", "audio/x-wav", "audio/*"])
async def test_a_stored_wav(v2: V2Client, accept: str) -> None:
    made = await v2.add(format="wav", name="a.wav")
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept})
    assert (response.status_code, response.content) == (200, AUDIO)
    assert response.headers["content-type"] == "audio/x-wav"
    assert response.headers["content-disposition"] == "attachment; filename=a.wav"
    by_parameter = await v2.get(f"{v2.recordings}/{made.id}", accept="audio/x-wav")
    assert by_parameter.content == AUDIO


async def test_the_file_name_has_the_extension_of_the_served_audio(v2: V2Client) -> None:
    made = await v2.add(name="a.mp3")
    media = await v2.keep(made, AUDIO, wav=True)
    await v2.installation.store.save(replace(made, media=media, revision=1), 0)
    for accept in ("audio/mpeg", "audio/wav"):
        response = await v2.get(f"{v2.recordings}/{made.id}", accept=accept)
        assert response.headers["content-type"] == "audio/x-wav"
        assert response.headers["content-disposition"] == "attachment; filename=a.wav"


async def test_the_headers_of_audio(v2: V2Client) -> None:
    made = await v2.add(name="9b1d.mp3")
    path = f"{v2.recordings}/{made.id}"
    response = await v2.send("GET", path, headers=MPEG)
    assert response.headers["content-length"] == str(len(AUDIO))
    assert response.headers["content-disposition"] == "attachment; filename=9b1d.mp3"
    assert response.headers["etag"] == (await v2.get(path)).headers["etag"]
    assert response.headers["expires"] == "Fri, 01 Jan 1999 00:00:00 GMT"
    assert response.headers["vary"] == "accept-language, accept"
    assert not {"accept-ranges", "content-range"} & set(response.headers)


@pytest.mark.parametrize(
    ("inline", "shown"), [("true", "inline"), ("false", "attachment"), ("TRUE", "attachment"), ("1", "attachment")]
)
async def test_inline_audio(v2: V2Client, inline: str, shown: str) -> None:
    made = await v2.add(name="a b;c.mp3")
    response = await v2.get(f"{v2.recordings}/{made.id}", accept="audio/mpeg", inline=inline)
    assert response.headers["content-disposition"] == f'{shown}; filename="a b;c.mp3"'


@pytest.mark.parametrize(
    ("given", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, 10_240),
        ("bytes=0-", 206, 0, 10_240),
        ("bytes=-5", 206, 10_235, 10_240),
        ("bytes=10-99999", 206, 10, 10_240),
        ("bytes=0-1,5-6", 200, 0, 10_240),
        ("bytes=x", 200, 0, 10_240),
        ("bytes=9-3", 200, 0, 10_240),
        ("lines=1-2", 200, 0, 10_240),
    ],
)
async def test_ranges(v2: V2Client, given: str, status: int, start: int, end: int) -> None:
    made = await v2.add()
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={**MPEG, "Range": given})
    assert response.status_code == status
    assert response.content == AUDIO[start:end]
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers.get("content-range") == (f"bytes {start}-{end - 1}/10240" if status == 206 else None)


async def test_a_range_after_the_end(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={**MPEG, "Range": "bytes=10240-"})
    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */10240"
    assert response.json()["error"] == "416"


async def test_a_range_of_another_revision(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    tag = (await v2.get(path)).headers["etag"]
    for given, status in ((tag, 206), ('"other"', 200)):
        response = await v2.send("GET", path, headers={**MPEG, "Range": "bytes=0-1", "If-Range": given})
        assert response.status_code == status


@pytest.mark.parametrize("accept", ["application/json", "audio/mpeg"])
async def test_conditional_requests(v2: V2Client, accept: str) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    tag = (await v2.get(path)).headers["etag"]
    for header, value, status in (
        ("If-None-Match", tag, 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", '"x"', 200),
        ("If-Match", tag, 200),
        ("If-Match", '"x"', 412),
    ):
        response = await v2.send("GET", path, headers={"Accept": accept, header: value})
        assert response.status_code == status
        if status != 200:
            assert response.content == b""
        if status == 304:
            assert response.headers["etag"] == tag
            assert response.headers["expires"]


async def test_the_error_of_an_unknown_id(v2: V2Client) -> None:
    unknown = "202403-" + "0" * 32
    deleted = await v2.add()
    await v2.send("DELETE", f"{v2.recordings}/{deleted.id}")
    for identity in (unknown, deleted.id):
        for accept in ("application/json", "audio/mpeg"):
            response = await v2.send("GET", f"{v2.recordings}/{identity}", headers={"Accept": accept})
            body = response.json()
            assert response.headers["content-type"] == "application/json"
            assert (response.status_code, body["error"], body["message"]) == (404, "404", "bad_identifier")
            assert body["data"] == {"message": "bad identifier", "cause": identity}


@pytest.mark.parametrize("identity", ["nonsense", "abcdef-0", "20240-0", "x" * 500, "a%2Fb", "202403-", "%00"])
@pytest.mark.parametrize("accept", ["application/json", "audio/mpeg"])
async def test_the_error_of_an_invalid_id(v2: V2Client, identity: str, accept: str) -> None:
    response = await v2.send("GET", f"{v2.recordings}/{identity}", headers={"Accept": accept})
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (404, "404", "bad identifier")
    expected = {"a%2Fb": "a/b", "%00": "\0"}.get(identity, identity)
    assert body["data"] == [expected]


async def test_a_recording_without_audio(v2: V2Client) -> None:
    for state in (State.FINALIZING, State.LOST, State.FAILED):
        made = await v2.add(state=state, audio=None)
        response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers=MPEG)
        assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")
        assert response.json()["data"] == {"message": "bad identifier", "details": made.id}


async def test_audio_that_is_missing_in_the_store(v2: V2Client) -> None:
    made = await v2.add()
    assert made.media is not None
    await v2.installation.media.delete(made.media.url)
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers=MPEG)
    assert (response.status_code, response.json()["data"].get("details")) == (404, made.id)


async def test_a_media_store_that_fails(v2: V2Client) -> None:
    made = await v2.add()

    async def read(url: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        raise ConnectionResetError(url)
        yield b""

    async with client_of(v2.installation.app(read=read)) as client:
        response = await client.get(f"{v2.recordings}/{made.id}", headers={**v2.headers, **MPEG})
    assert (response.status_code, response.json()["message"]) == (500, "datastore_fault")
    assert response.json()["data"] == {"message": "unknown failure", "cause": "ConnectionResetError"}
    assert made.media is not None
    assert made.media.url not in response.text


async def test_an_extra_path_segment(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.get(f"{v2.recordings}/{made.id}/x")
    assert (response.status_code, response.json()["message"]) == (404, "not_found")
    assert response.json()["data"] == {"message": "not found"}


async def test_a_recording_of_another_account(v2: V2Client) -> None:
    other = V2Client(v2.installation, await new_account(v2.installation, tree=(v2.account.id,)), v2.client)
    made = await other.add()
    assert (await v2.get(f"{v2.recordings}/{made.id}")).status_code == 404
    assert (await v2.get(f"{other.recordings}/{made.id}")).status_code == 200


# DELETE


async def test_delete(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    before = (await v2.get(path)).json()
    woken = v2.installation.woken
    response = await v2.send("DELETE", path)
    body = response.json()
    assert response.status_code == 200
    assert body["data"] == {**before["data"], "_read_only": {"deleted": True}}
    assert body["revision"] == before["revision"]
    assert (await v2.get(path)).status_code == 404
    assert await v2.ids() == []
    again = await v2.send("DELETE", path)
    assert (again.status_code, again.json()["data"]["cause"]) == (404, made.id)
    kept = await v2.installation.store.load(made.id)
    assert kept is not None
    assert (kept.state, kept.purge_at) == (State.TRASHED, v2.installation.clock.now())
    assert kept.due_at == v2.installation.clock.now()
    assert v2.installation.woken > woken


@pytest.mark.parametrize("verb", ["DELETE", "delete", "Delete"])
async def test_delete_through_a_post(v2: V2Client, verb: str) -> None:
    one, two = await v2.add(), await v2.add(at=1)
    assert (await v2.send("POST", f"{v2.recordings}/{one.id}", params={"verb": verb})).status_code == 200
    assert (await v2.send("POST", f"{v2.recordings}/{two.id}", json={"verb": verb})).status_code == 200
    assert await v2.ids() == []


async def test_a_recording_under_legal_hold_is_not_deleted(v2: V2Client) -> None:
    made = await v2.add()
    await v2.installation.service.hold(v2.principal(Scope.ADMIN), made.id, "a case")
    response = await v2.send("DELETE", f"{v2.recordings}/{made.id}")
    assert (response.status_code, response.json()["message"]) == (409, "datastore_conflict")
    assert await v2.ids() == [made.id]


async def test_only_audio_of_this_service_is_deleted(v2: V2Client) -> None:
    own, external = await v2.add(format="mp3"), await v2.add(format="mp3")
    assert own.media is not None
    assert is_stored_here(own, own.media)
    assert external.media is not None
    for url in ("s3://somebody/else.mp3", "https://example.com/x.mp3", own.media.url):
        assert not is_stored_here(external, replace(external.media, url=url))
    for beginning in ("s3://bucket/folder/", "file:///data/", "local:"):
        url = beginning + own.media.url.removeprefix("local:")
        assert is_stored_here(own, replace(own.media, url=url))


async def test_should_soft_delete_has_no_effect(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.send("DELETE", f"{v2.recordings}/{made.id}", params={"should_soft_delete": "false"})
    assert response.status_code == 200
    assert (await v2.get(f"{v2.recordings}/{made.id}")).status_code == 404


async def test_a_recording_in_finalization_is_not_deleted(v2: V2Client) -> None:
    made = await v2.add(state=State.FINALIZING, audio=None)
    response = await v2.send("DELETE", f"{v2.recordings}/{made.id}")
    assert (response.status_code, response.json()["message"]) == (409, "datastore_conflict")
    assert response.json()["data"]["message"] == "conflicting documents"
    response = await v2.send("DELETE")
    assert (response.status_code, response.json()["message"]) == (405, "invalid_method")


async def test_delete_with_another_revision(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    refused = await v2.send("DELETE", path, headers={"If-Match": '"x"'})
    assert (refused.status_code, refused.content) == (412, b"")
    tag = (await v2.get(path)).headers["etag"]
    assert (await v2.send("DELETE", path, headers={"If-Match": tag})).status_code == 200


# PATCH


async def test_patch_merges_user_metadata(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    response = await v2.send("PATCH", path, json={"data": {"user_metadata": {"a": 1, "b": {"c": [None, 2.5]}}}})
    assert response.status_code == 200
    assert response.json()["data"]["user_metadata"] == {"a": 1, "b": {"c": [None, 2.5]}}
    assert "_read_only" not in response.json()["data"]
    changed = await v2.send("PATCH", path, json={"data": {"user_metadata": {"a": None, "d": "e"}}})
    assert changed.json()["data"]["user_metadata"] == {"b": {"c": [None, 2.5]}, "d": "e"}
    one = await v2.get(path)
    assert one.json()["data"] == changed.json()["data"]
    assert one.json()["revision"] == changed.json()["revision"] != response.json()["revision"]


@pytest.mark.parametrize(
    ("body", "key", "rule"),
    [
        ({"data": {}}, "user_metadata", "required"),
        ({"data": {"user_metadata": []}}, "user_metadata", "type"),
        ({"data": {"user_metadata": {"a": "x" * 20_000}}}, "user_metadata", "maximum"),
        ({"data": {"user_metadata": {}, "name": "x"}}, "name", "additionalProperties"),
        ({"data": []}, "data", "type"),
        ({}, "data", "required"),
    ],
)
async def test_invalid_patches(v2: V2Client, body: Any, key: str, rule: str) -> None:
    made = await v2.add()
    response = await v2.send("PATCH", f"{v2.recordings}/{made.id}", json=body)
    assert (response.status_code, response.json()["message"]) == (400, "validation error")
    assert rule in response.json()["data"][key]


async def test_patch_of_an_unknown_recording(v2: V2Client) -> None:
    response = await v2.send("PATCH", f"{v2.recordings}/202403-0", json={"data": {"user_metadata": {}}})
    assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")


async def test_operations_outside_the_scopes(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    headers = {"X-Auth-Token": v2.token(Scope.READ)}
    assert (await v2.send("GET", path, headers=headers)).status_code == 200
    for method, options in (
        ("DELETE", {}),
        ("PATCH", {"json": {"data": {"user_metadata": {}}}}),
        ("GET", {"params": {"accept": "audio/mpeg"}}),
    ):
        response = await v2.send(method, path, headers=headers, **options)
        assert (response.status_code, response.json()["message"]) == (403, "forbidden")
        data = {"message": "forbidden", "cause": "access denied by token restrictions"}
        assert response.json()["data"] == data
