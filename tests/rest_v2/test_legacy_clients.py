"""What real clients send, one test a row: three Monster UI apps, a mail receiver and the reference's own SDK."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from recordings.model.account import DEFAULT_SCOPES
from recordings.model.recording import State
from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import AUDIO, OFFSET, Site, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

SDK = {"Content-Type": "application/json", "Accept": "*/*"}


async def test_the_menu_of_users_comes_first(site: Site) -> None:
    assert (await site.get(f"{site.path}/users", paginate="false")).json()["data"] == []
    user = await site.world.members.create(site.account.id, "ada", first_name="Ada")
    (item,) = (await site.get(f"{site.path}/users", paginate="false")).json()["data"]
    assert set(item) == {"id", "username", "first_name", "last_name", "email", "features", "priv_level"}
    response = await site.get(f"{site.path}/users/{user.id}/recordings", paginate="false")
    assert (response.status_code, response.json()["data"]) == (200, [])


async def test_the_name_of_the_account(site: Site) -> None:
    data = (await site.get(site.path)).json()["data"]
    assert {"id", "name", "realm", "language", "timezone"} <= set(data)


@pytest.mark.parametrize("paging", [{"paginate": "false"}, {"page_size": "20"}])
async def test_whole_days(site: Site, paging: dict[str, str]) -> None:
    day = 86_400
    midnight = (site.now - OFFSET) // day * day + OFFSET
    made = await site.add(owner_id="u" * 32)
    span = {"created_from": str(midnight - 30 * day), "created_to": str(midnight + day - 1)}
    for path in (site.recordings, f"{site.path}/users/{'u' * 32}/recordings"):
        assert await site.ids(path, **span, **paging) == [made.id]


@pytest.mark.parametrize("state", [State.STORED, State.FINALIZING, State.LOST, State.FAILED])
async def test_what_is_read_unasked_is_there(site: Site, state: State) -> None:
    bare: dict[str, Any] = {"caller_id_name": None, "caller_id_number": None, "direction": None, "duration_ms": None}
    await site.add(state=state, audio=None, **bare)
    (item,) = (await site.get()).json()["data"]
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


async def test_a_recording_of_this_service_has_an_at(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "legacy")
    flow = {"module": "record_call", "data": {"action": "start"}}
    for action in ("start", "stop"):
        flow["data"] = {"action": action}
        assert (await site.put(f"{site.path}/channels/legacy", flow, action="metaflow")).status_code == 201
    (item,) = (await site.get()).json()["data"]
    assert "@" in item["from"]
    assert "@" in item["to"]


async def test_an_audio_element_plays_and_seeks(site: Site) -> None:
    made = await site.add()
    address = f"{site.recordings}/{made.id}?accept=audio/mpeg&auth_token={site.token()}"
    browser = {"Accept": "*/*", "Range": "bytes=0-"}
    first = await site.client.get(address, headers=browser)
    assert (first.status_code, first.content) == (206, AUDIO)
    assert first.headers["accept-ranges"] == "bytes"
    later = await site.client.get(address, headers={"Range": "bytes=5000-"})
    assert (later.status_code, later.content) == (206, AUDIO[5_000:])


@pytest.mark.parametrize("variables", [{}, {"Stream-SID": "x"}, {"Media-Recording-ID": "202403-of-another-system"}])
async def test_the_community_app_plays_by_a_variable_of_the_switch(site: Site, variables: dict[str, str]) -> None:
    await site.add(custom_channel_vars=variables)
    (item,) = (await site.get()).json()["data"]
    address = f"{site.recordings}/{item['custom_channel_vars']['Media-Recording-ID']}"
    audio = await site.client.get(address, params={"accept": "audio/mpeg", "auth_token": site.token()})
    assert (audio.status_code, audio.content) == (200, AUDIO)
    # It cuts this, too, without a look.
    assert isinstance(item["origin"], str)


async def test_deleting_many_at_once_and_listing_again(site: Site) -> None:
    made = [await site.add(at=at) for at in range(12)]
    paths = [f"{site.recordings}/{each.id}" for each in made]
    answers = await asyncio.gather(*(site.send("DELETE", path) for path in paths[:10]))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert await site.ids() == [each.id for each in made[10:]]


async def test_monster_ui_says_in_every_body_which_program_it_is(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "monster")
    made = await site.add()
    said = {"ui_metadata": {"version": "4.3.1", "ui": "monster-ui", "origin": "recordings"}}
    flow = {"module": "record_call", "data": {"action": "start"}, **said}
    assert (await site.put(f"{site.path}/channels/monster", flow, action="metaflow")).status_code == 201
    path = f"{site.recordings}/{made.id}"
    changed = await site.send("PATCH", path, json={"data": {"user_metadata": {"a": 1}, **said}})
    assert (changed.status_code, changed.json()["data"]["user_metadata"]) == (200, {"a": 1})
    assert "ui_metadata" not in changed.json()["data"]
    assert (await site.send("PATCH", path, json={"data": said})).status_code == 400
    assert (await site.send("DELETE", path, json={"data": said})).status_code == 200


async def test_the_mail_receiver(site: Site) -> None:
    made = await site.add(name="x.mp3")
    key = await site.world.administration.create_key(site.account.id, None, frozenset(DEFAULT_SCOPES))
    login = await site.client.put("/v2/api_auth", json={"data": {"api_key": key.secret}})
    headers = {"X-Auth-Token": login.json()["auth_token"], "Accept": "audio/mpeg"}
    audio = await site.client.get(f"{site.recordings}/{made.id}", headers=headers)
    assert audio.headers["content-type"] == "audio/mpeg"
    assert audio.content == AUDIO


async def test_the_sdk_sends_a_content_type_and_reads_json(site: Site) -> None:
    made = await site.add()
    response = await site.send("GET", headers=SDK)
    assert response.json()["data"][0]["id"] == made.id
    error = await site.send("GET", f"{site.recordings}/nothing", headers=SDK)
    assert {"error", "message", "data", "request_id"} <= set(error.json())
    assert (await site.send("DELETE", f"{site.recordings}/{made.id}", headers=SDK)).json()["status"] == "success"


async def test_the_sdk_logs_in_with_a_password(site: Site) -> None:
    name = f"sdk {site.account.id}"
    account = await new_account(site.world, name)
    await site.world.members.create(account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
    credentials = hashlib.md5(b"admin:secret", usedforsecurity=False).hexdigest()
    body: Any = json.dumps({"data": {"credentials": credentials, "account_name": name}})
    response = await site.client.put("/v2/user_auth", content=body, headers=SDK)
    assert response.status_code == 201
    assert response.json()["auth_token"]
