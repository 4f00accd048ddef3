"""The requests of two Monster UI apps, as the 4.3 framework sends them from a page of another origin.

The apps are converba/monster-ui-recordingsce and vbarkasov/monster-ui-recordings-1. Each test does what the app's code
does with the responses, and fails where the app would stop.
"""

from typing import Any

import httpx
import pytest

from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import AUDIO, OFFSET, V2Client, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = {"Origin": "https://ui.example.com", "Referer": "https://ui.example.com/"}
JQUERY = {"Accept": "application/json, text/javascript, */*; q=0.01", "Content-Type": "application/json"}
"""The headers of `jquery.kazoosdk.js`, on GET too."""


async def call_api(v2: V2Client, resource: str, verb: str = "GET", **options: Any) -> Any:
    """Send a request of the SDK, after the preflight request of the browser. Return the parsed response."""
    url = f"{v2.path}/{resource}"
    preflight_headers = {
        **PAGE,
        "Access-Control-Request-Method": verb,
        "Access-Control-Request-Headers": "content-type,x-auth-token",
    }
    preflight = await v2.client.options(url, headers=preflight_headers)
    assert preflight.status_code == 200
    assert verb in preflight.headers["access-control-allow-methods"]
    # jQuery adds the time to a GET that must not come from a cache.
    params = {"_": "1731000000000"} | options.pop("params", {}) if verb == "GET" else {}
    response = await v2.send(verb, url, headers=PAGE | JQUERY, params=params, **options)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-type"] == "application/json"
    assert response.is_success, response.text
    return response.json()


async def get_all(v2: V2Client, resource: str) -> list[dict[str, Any]]:
    """Read all pages, as the apps' `getAll` does."""
    found: list[dict[str, Any]] = []
    params: dict[str, str] = {}
    while True:
        body = await call_api(v2, resource, params=params)
        assert isinstance(body["data"], list)
        found += body["data"]
        if not body.get("next_start_key") or body["next_start_key"] == params.get("start_key"):
            return found
        params = {"start_key": body["next_start_key"]}


async def get_audio(v2: V2Client, recording_id: str) -> httpx.Response:
    """Play, as the apps' `XMLHttpRequest` does."""
    return await v2.send("GET", f"{v2.recordings}/{recording_id}?accept=audio/mpeg", headers=PAGE | {"Accept": "*/*"})


def rows(recordings: list[dict[str, Any]], devices: list[Any], users: list[Any]) -> list[tuple[str, int, str]]:
    """Return the cells of the apps' tables. A missing field fails, as it would show `NaN` or `undefined`."""
    assert devices == []
    names = {user["id"]: f"{user['first_name']} {user['last_name']}" for user in users}
    found = []
    for recording in recordings:
        assert recording["start"] > OFFSET
        assert {"caller_id_number", "custom_channel_vars", "origin"} <= set(recording)
        assert recording["direction"] in {"inbound", "outbound"}
        found.append((recording["id"], int(recording["duration"]), names.get(recording.get("owner_id", ""), "")))
    return found


async def fill(v2: V2Client, count: int) -> list[tuple[str, int, str]]:
    user = await v2.installation.users.create(v2.account.id, "ada", first_name="Ada", last_name="L")
    made = [await v2.add(at=at, owner_id=user.id, custom_channel_vars={"Authorizing-ID": "x"}) for at in range(count)]
    return [(each.id, 42, "Ada L") for each in made]


@pytest.mark.parametrize("count", [0, 3, 120])
async def test_the_recordingsce_app_lists_and_plays(v2: V2Client, count: int) -> None:
    expected = await fill(v2, count)
    recordings = await get_all(v2, "recordings")
    table = rows(recordings, await get_all(v2, "devices"), await get_all(v2, "users"))
    assert table == expected
    for identity, _, _ in table[:2]:
        audio = await get_audio(v2, identity)
        assert (audio.status_code, audio.content) == (200, AUDIO)
        assert audio.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("count", [0, 3, 120])
async def test_the_recordings_1_app_lists_and_plays(v2: V2Client, count: int) -> None:
    expected = await fill(v2, count)
    storage = (await call_api(v2, "storage"))["data"]
    handler = storage["plan"]["modb"]["types"]["call_recording"]["attachments"]["handler"]
    assert storage["attachments"][handler]["handler"] == "file"
    table = rows(await get_all(v2, "recordings"), await get_all(v2, "devices"), await get_all(v2, "users"))
    assert table == expected
    for identity, _, _ in table[:2]:
        audio = await get_audio(v2, identity)
        assert (audio.status_code, audio.content) == (200, AUDIO)


async def test_the_settings_of_the_recordings_1_app(v2: V2Client) -> None:
    # The app sends this if it finds no storage plan.
    made = await call_api(v2, "storage", "PUT", json={"data": {}})
    assert made["data"] == (await call_api(v2, "storage"))["data"]
    # Its list of storages has one active item, with a name and settings.
    active = made["data"]["plan"]["modb"]["types"]["call_recording"]["attachments"]["handler"]
    assert list(made["data"]["attachments"]) == [active]
    assert {"handler", "name", "settings"} <= set(made["data"]["attachments"][active])


async def test_the_framework_signs_in(v2: V2Client) -> None:
    user = await v2.installation.users.create(v2.account.id, "admin", "x", priv_level=PrivLevel.ADMIN)
    account = (await call_api(v2, ""))["data"]
    assert account["id"] == v2.account.id
    current = (await call_api(v2, f"users/{user.id}"))["data"]
    assert (current["id"], current["priv_level"]) == (user.id, "admin")
    await new_account(v2.installation, "Child", (v2.account.id,))
    assert [child["name"] for child in await get_all(v2, "children")] == ["Child"]
