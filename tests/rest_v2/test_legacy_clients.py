"""The requests of real clients: three Monster UI apps, a mail receiver and 2600Hz's SDK."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from recordings.model.account import DEFAULT_SCOPES
from recordings.model.recording import State
from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import AUDIO, OFFSET, V2Client, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

SDK = {"Content-Type": "application/json", "Accept": "*/*"}


async def test_the_menu_of_users(v2: V2Client) -> None:
    assert (await v2.get(f"{v2.path}/users", paginate="false")).json()["data"] == []
    user = await v2.installation.users.create(v2.account.id, "ada", first_name="Ada")
    (item,) = (await v2.get(f"{v2.path}/users", paginate="false")).json()["data"]
    assert set(item) == {"id", "username", "first_name", "last_name", "email", "features", "priv_level"}
    response = await v2.get(f"{v2.path}/users/{user.id}/recordings", paginate="false")
    assert (response.status_code, response.json()["data"]) == (200, [])


async def test_the_name_of_the_account(v2: V2Client) -> None:
    data = (await v2.get(v2.path)).json()["data"]
    assert {"id", "name", "realm", "language", "timezone"} <= set(data)


@pytest.mark.parametrize("paging", [{"paginate": "false"}, {"page_size": "20"}])
async def test_a_list_of_whole_days(v2: V2Client, paging: dict[str, str]) -> None:
    day = 86_400
    midnight = (v2.now - OFFSET) // day * day + OFFSET
    made = await v2.add(owner_id="u" * 32)
    span = {"created_from": str(midnight - 30 * day), "created_to": str(midnight + day - 1)}
    for path in (v2.recordings, f"{v2.path}/users/{'u' * 32}/recordings"):
        assert await v2.ids(path, **span, **paging) == [made.id]


@pytest.mark.parametrize("state", [State.STORED, State.FINALIZING, State.LOST, State.FAILED])
async def test_the_fields_that_clients_read_without_a_check(v2: V2Client, state: State) -> None:
    bare: dict[str, Any] = {"caller_id_name": None, "caller_id_number": None, "direction": None, "duration_ms": None}
    await v2.add(state=state, audio=None, **bare)
    (item,) = (await v2.get()).json()["data"]
    assert item["from"].split("@")[0]
    assert item["to"].split("@")[0]
    for name, kind in (
        ("duration_ms", int),
        ("duration", int),
        ("start", int),
        ("direction", str),
        ("caller_id_name", str),
        ("call_id", str),
    ):
        assert type(item[name]) is kind


async def test_both_parties_have_an_at_sign(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "legacy")
    flow = {"module": "record_call", "data": {"action": "start"}}
    for action in ("start", "stop"):
        flow["data"] = {"action": action}
        assert (await v2.put(f"{v2.path}/channels/legacy", flow, action="metaflow")).status_code == 201
    (item,) = (await v2.get()).json()["data"]
    assert "@" in item["from"]
    assert "@" in item["to"]


async def test_an_audio_element_plays_and_seeks(v2: V2Client) -> None:
    made = await v2.add()
    address = f"{v2.recordings}/{made.id}?accept=audio/mpeg&auth_token={v2.token()}"
    browser = {"Accept": "*/*", "Range": "bytes=0-"}
    first = await v2.client.get(address, headers=browser)
    assert (first.status_code, first.content) == (206, AUDIO)
    assert first.headers["accept-ranges"] == "bytes"
    later = await v2.client.get(address, headers={"Range": "bytes=5000-"})
    assert (later.status_code, later.content) == (206, AUDIO[5_000:])


@pytest.mark.parametrize("variables", [{}, {"Stream-SID": "x"}, {"Media-Recording-ID": "202403-of-another-system"}])
async def test_the_community_app_plays_by_a_channel_variable(v2: V2Client, variables: dict[str, str]) -> None:
    await v2.add(custom_channel_vars=variables)
    (item,) = (await v2.get()).json()["data"]
    address = f"{v2.recordings}/{item['custom_channel_vars']['Media-Recording-ID']}"
    audio = await v2.client.get(address, params={"accept": "audio/mpeg", "auth_token": v2.token()})
    assert (audio.status_code, audio.content) == (200, AUDIO)
    # The app also cuts this text without a check.
    assert isinstance(item["origin"], str)


async def test_deleting_many_recordings_and_listing_again(v2: V2Client) -> None:
    made = [await v2.add(at=at) for at in range(12)]
    paths = [f"{v2.recordings}/{each.id}" for each in made]
    answers = await asyncio.gather(*(v2.send("DELETE", path) for path in paths[:10]))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert await v2.ids() == [each.id for each in made[10:]]


async def test_the_ui_metadata_of_monster_ui_is_ignored(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "monster")
    made = await v2.add()
    metadata = {"ui_metadata": {"version": "4.3.1", "ui": "monster-ui", "origin": "recordings"}}
    flow = {"module": "record_call", "data": {"action": "start"}, **metadata}
    assert (await v2.put(f"{v2.path}/channels/monster", flow, action="metaflow")).status_code == 201
    path = f"{v2.recordings}/{made.id}"
    changed = await v2.send("PATCH", path, json={"data": {"user_metadata": {"a": 1}, **metadata}})
    assert (changed.status_code, changed.json()["data"]["user_metadata"]) == (200, {"a": 1})
    assert "ui_metadata" not in changed.json()["data"]
    assert (await v2.send("PATCH", path, json={"data": metadata})).status_code == 400
    assert (await v2.send("DELETE", path, json={"data": metadata})).status_code == 200


async def test_the_mail_receiver(v2: V2Client) -> None:
    made = await v2.add(name="x.mp3")
    key = await v2.installation.administration.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    login = await v2.client.put("/v2/api_auth", json={"data": {"api_key": key.secret}})
    headers = {"X-Auth-Token": login.json()["auth_token"], "Accept": "audio/mpeg"}
    audio = await v2.client.get(f"{v2.recordings}/{made.id}", headers=headers)
    assert audio.headers["content-type"] == "audio/mpeg"
    assert audio.content == AUDIO


async def test_the_sdk_sends_a_content_type_and_reads_json(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.send("GET", headers=SDK)
    assert response.json()["data"][0]["id"] == made.id
    error = await v2.send("GET", f"{v2.recordings}/nothing", headers=SDK)
    assert {"error", "message", "data", "request_id"} <= set(error.json())
    assert (await v2.send("DELETE", f"{v2.recordings}/{made.id}", headers=SDK)).json()["status"] == "success"


async def test_the_sdk_logs_in_with_a_password(v2: V2Client) -> None:
    name = f"sdk {v2.account.id}"
    account = await new_account(v2.installation, name)
    await v2.installation.users.create(account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
    credentials = hashlib.md5(b"admin:secret", usedforsecurity=False).hexdigest()
    body: Any = json.dumps({"data": {"credentials": credentials, "account_name": name}})
    response = await v2.client.put("/v2/user_auth", content=body, headers=SDK)
    assert response.status_code == 201
    assert response.json()["auth_token"]
