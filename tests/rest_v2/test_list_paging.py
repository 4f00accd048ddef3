"""The envelope, order, paging and time range of a list (`docs/v2_contract.md`, sections 1.1 to 1.5)."""

import base64
import hashlib
import re
from collections.abc import Collection
from typing import Any

import pytest

from adapters.rest_v2.listing import list_recordings as listing
from adapters.rest_v2.listing.start_key import HIGH, decode, encode
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.recording import State
from tests.rest_v2.v2_installation import OFFSET, VERSION, V2Client, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400
MAX = 2_682_000


async def test_the_envelope_of_a_list(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.send("GET", headers={"X-Request-ID": "abc"})
    body = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert isinstance(body["data"], list)
    assert body["page_size"] == 1
    assert body["start_key"] == encode([v2.now, HIGH])
    assert "next_start_key" not in body
    assert body["status"] == "success"
    assert body["request_id"] == "abc" == response.headers["x-request-id"]
    assert body["auth_token"] == v2.headers["X-Auth-Token"]
    assert re.fullmatch(r"[0-9a-f]{32}", body["revision"])
    assert response.headers["etag"] == f'"{body["revision"]}"'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["node"] == base64.urlsafe_b64encode(
        hashlib.md5(b"node-1", usedforsecurity=False).digest()
    ).decode().rstrip("=")
    assert body["version"] == VERSION
    assert set(body["tokens"]) == {"consumed", "remaining"}
    assert body["data"][0]["id"] == made.id
    without = body["revision"]
    raw = response.content.replace(f',"revision":"{without}"'.encode(), b"")
    assert hashlib.md5(raw, usedforsecurity=False).hexdigest() == without


async def test_the_envelope_of_an_empty_list(v2: V2Client) -> None:
    response = await v2.get()
    body = response.json()
    assert (body["data"], body["page_size"]) == ([], 0)
    assert "revision" not in body
    assert "etag" not in response.headers
    assert re.fullmatch(r"[0-9a-f]{32}", body["request_id"])


async def test_a_list_item(v2: V2Client) -> None:
    with_audio, wav = await v2.add(at=1), await v2.add(format="wav")
    without = await v2.add(at=2, audio=None)
    items = {item["id"]: item for item in (await v2.get()).json()["data"]}
    assert items[with_audio.id]["_read_only"] == {"content_types": ["audio/mpeg"]}
    assert items[wav.id]["_read_only"] == {"content_types": ["audio/x-wav"]}
    assert items[without.id]["_read_only"] == {"content_types": []}
    one = (await v2.get(f"{v2.recordings}/{with_audio.id}")).json()["data"]
    assert {**one, "_read_only": {"content_types": ["audio/mpeg"]}} == items[with_audio.id]
    assert not [name for name in one if name.startswith(("_", "pvt_"))]


async def test_newest_first_then_by_id(v2: V2Client) -> None:
    new = await v2.add(at=1)
    same = [await v2.add(at=5_000, id=f"202401-{v2.account.id}{name}") for name in "bca"]
    old = await v2.add(at=9_000_000)
    expected = [new.id, *(each.id for each in (same[1], same[0], same[2])), old.id]
    assert await v2.ids() == expected
    for name in ("descending", "ascending"):
        assert await v2.ids(**{name: "false"}) == expected
    assert await v2.ids(ascending="true", descending="true") == expected
    for params in ({"ascending": "true"}, {"ascending": "x"}, {"ascending": "true", "descending": "false"}):
        assert await v2.ids(**params) == expected[::-1]


async def test_the_states_that_are_listed(v2: V2Client) -> None:
    shown = [await v2.add(at=n, state=state) for n, state in enumerate((State.FINALIZING, State.FAILED, State.LOST))]
    for state in (State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED, State.DISCARDED):
        hidden = await v2.add(state=state, audio=None)
        assert (await v2.get(f"{v2.recordings}/{hidden.id}")).status_code == 404
    for state in (State.TRASHED, State.PURGED):
        hidden = await v2.add(state=state, trashed_from=State.STORED)
        assert (await v2.get(f"{v2.recordings}/{hidden.id}")).status_code == 404
    assert await v2.ids() == [each.id for each in shown]


@pytest.mark.parametrize(
    "hidden",
    [(), range(3, 40, 7), range(0, 40, 2), sorted({*range(40)} - {5, 14, 23}), range(30), range(10, 40), range(40)],
    ids=["none", "few", "half", "most", "first", "last", "all"],
)
async def test_discarded_recordings_leave_no_gap_in_a_page(v2: V2Client, hidden: Collection[int]) -> None:
    shown = []
    for at in range(40):
        made = await v2.add(at=at, audio=None, state=State.DISCARDED if at in hidden else State.LOST)
        shown += [] if at in hidden else [made.id]
    for params in ({"paginate": "false"}, {"page_size": "40"}, {"paginate": "false", "has_key": "id"}):
        assert await v2.ids(**params) == shown
    for size in (1, 4, 13):
        seen: list[str] = []
        page: dict[str, Any] = {"created_to": v2.now, "page_size": size}
        while True:
            body = (await v2.get(**page)).json()
            seen += [item["id"] for item in body["data"]]
            if "next_start_key" not in body:
                break
            assert body["page_size"] == size
            page["start_key"] = body["next_start_key"]
        assert seen == shown


async def test_the_list_of_a_user(v2: V2Client) -> None:
    mine, other = await v2.add(owner_id="u" * 32), await v2.add(owner_id="v" * 32)
    without_owner = await v2.add(at=1)
    assert await v2.ids(f"{v2.path}/users/{'u' * 32}/recordings") == [mine.id]
    assert set(await v2.ids()) == {mine.id, other.id, without_owner.id}
    response = await v2.get(f"{v2.path}/users/{'u' * 32}/recordings/{mine.id}")
    assert response.json()["data"]["id"] == mine.id
    assert (await v2.get(f"{v2.path}/users/{'u' * 32}/recordings/{other.id}")).status_code == 404


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("owner", [None, "0" * 32])
async def test_pages_hold_every_recording_once(v2: V2Client, ascending: bool, owner: str | None) -> None:
    # Times within one second, within one millisecond, and further apart.
    times = [0, 0, 0, 1, 2, 999, 1_000, 1_000, 5_000, 5_001, 70_000]
    for at in times:
        await v2.add(at=at, owner_id=owner)
    path = f"{v2.path}/users/{owner}/recordings" if owner else v2.recordings
    params: dict[str, Any] = {"created_to": v2.now, "created_from": v2.now - 500}
    if ascending:
        params["ascending"] = "true"
    whole = await v2.ids(path, **params)
    assert len(whole) == len(times)
    for size in (1, 2, 3, 11):
        seen, key, sizes = [], None, []
        while True:
            body = (await v2.get(path, page_size=size, **params, **({"start_key": key} if key else {}))).json()
            seen += [item["id"] for item in body["data"]]
            sizes.append(body["page_size"])
            if key:
                assert body["start_key"] == key
            if "next_start_key" not in body:
                break
            key = body["next_start_key"]
            assert (decode(key)[0] == owner) is (owner is not None)
        assert seen == whole
        assert sizes == [size] * (11 // size) + ([11 % size] if 11 % size else [])


async def test_a_start_key_of_kazoo_is_accepted(v2: V2Client) -> None:
    # Kazoo's keys and imported recordings have whole seconds.
    second = v2.installation.clock.now() // 1_000 * 1_000
    a, b = [await v2.add(id=f"202401-{v2.account.id}{name}", created=second, start=second) for name in "ab"]
    key = encode([second // 1_000 + OFFSET, b.id])
    assert await v2.ids(start_key=key) == [b.id, a.id]
    assert await v2.ids(start_key=key, ascending="true") == [b.id]
    first = (await v2.get(page_size=1)).json()
    assert first["next_start_key"] == encode([second // 1_000 + OFFSET, a.id])
    ascending = (await v2.get(ascending="true", created_from=v2.now - 5)).json()
    assert ascending["start_key"] == encode([v2.now - 5])


async def test_page_sizes(v2: V2Client) -> None:
    for at in range(130):
        await v2.add(at=at * 10, audio=None)
    assert len(await v2.ids()) == 50
    assert len(await v2.ids(page_size="120")) == 120
    for size in ("1000000", str(2**63 - 1), "9" * 40):
        body = (await v2.get(page_size=size)).json()
        assert (len(body["data"]), body["page_size"]) == (130, 130)
    for params in ({"paginate": "false"}, {"paginate": "x", "page_size": "0"}):
        body = (await v2.get(**params)).json()
        assert len(body["data"]) == 130
        assert not {"start_key", "next_start_key", "page_size"} & set(body)
        assert body["revision"]
    assert len(await v2.ids(paginate="true", end_key="whatever")) == 50


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "page size must be at least 1"),
        ("-3", "page size must be at least 1"),
        ("x", "invalid page size"),
        ("", "invalid page size"),
        ("1.5", "invalid page size"),
    ],
)
async def test_invalid_page_sizes(v2: V2Client, value: str, message: str) -> None:
    response = await v2.get(page_size=value)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (404, "404", "faulty_request")
    assert body["data"] == {"message": message}


@pytest.mark.parametrize(
    "key", ["nonsense", "g2wAAAACbgUAEkRl3w5oAWpqAA", encode([]), encode(["x", 1]), encode([1, 2, 3, 4])]
)
async def test_invalid_start_keys(v2: V2Client, key: str) -> None:
    response = await v2.get(start_key=key)
    assert response.status_code == 400
    assert set(response.json()["data"]) == {"start_key"}


async def test_a_start_key_of_another_list(v2: V2Client) -> None:
    await v2.add(owner_id="u")
    response = await v2.get(f"{v2.path}/users/u/recordings", start_key=encode(["v", 63877497874, HIGH]))
    assert response.status_code == 400


async def test_a_page_is_full_of_matches(v2: V2Client) -> None:
    wanted = []
    for number in range(230):
        made = await v2.add(at=number * 20, audio=None, name="wanted" if number % 40 == 39 else "other")
        if number % 40 == 39:
            wanted.append(made.id)
    first = (await v2.get(filter_name="wanted", page_size=3)).json()
    assert [item["id"] for item in first["data"]] == wanted[:3]
    assert first["page_size"] == 3
    second = (await v2.get(filter_name="wanted", page_size=3, start_key=first["next_start_key"])).json()
    assert [item["id"] for item in second["data"]] == wanted[3:]
    assert "next_start_key" not in second


async def test_filters_over_http(v2: V2Client) -> None:
    one = await v2.add(
        at=1, call_id="c1", user_metadata={"tag": "x", "n": 7, "on": True, "o": {"p": "q"}}, caller_id_number="7"
    )
    two = await v2.add(call_id="c2", owner_id="o", direction="outbound")
    for params, expected in (
        ({"filter_call_id": "c1"}, [one.id]),
        ({"filter_call_id": '["c1", "c2"]'}, [two.id, one.id]),
        ({"filter_not_call_id": "c1"}, [two.id]),
        ({"filter_user_metadata.tag": "x"}, [one.id]),
        ({"filter_user_metadata.tag": '"x"'}, [one.id]),
        ({"filter_user_metadata.tag": '["x", "y"]'}, [one.id]),
        ({"filter_user_metadata.n": "7"}, [one.id]),
        ({"filter_user_metadata.n": "7.0"}, []),
        ({"filter_user_metadata.on": "true"}, [one.id]),
        ({"filter_user_metadata.o.p": "q"}, [one.id]),
        ({"filter_user_metadata.tag": "y"}, []),
        ({"filter_user_metadata.tag": ""}, [two.id]),
        ({"filter_not_user_metadata.tag": "x"}, [two.id]),
        ({"filter_direction": "outbound"}, [two.id]),
        ({"filter_id": one.id}, [one.id]),
        ({"filter_duration_ms": "42380"}, [two.id, one.id]),
        ({"filter_pvt_created": str(v2.now), "filter_call_id": "c2"}, [two.id]),
        ({"filter_pvt_account_id": v2.account.id}, []),
        ({"filter__id": one.id}, []),
        ({"has_key": "owner_id"}, [two.id]),
        ({"key_missing": "owner_id"}, [one.id]),
        ({"has_value": "user_metadata"}, [one.id]),
        ({"modified_from": str(v2.now + 1)}, []),
        ({"modified_to": str(v2.now)}, [two.id, one.id]),
        ({"created_from": "x", "has_key": "id"}, []),
        ({"sort": "x", "caller_id_number_ilike": "z"}, [two.id, one.id]),
    ):
        assert await v2.ids(**params) == expected, params
    response = await v2.client.get(f"{v2.recordings}?filter_call_id=c1&filter_call_id=c2", headers=v2.headers)
    assert response.json()["data"] == []


async def test_the_time_range(v2: V2Client) -> None:
    second = v2.installation.clock.now() // 1_000 * 1_000
    begin, end = second // 1_000 + OFFSET - 20, second // 1_000 + OFFSET - 10
    inside = [await v2.add(created=at) for at in (second - 20_000, second - 10_000, second - 9_001)]
    for at in (second - 20_001, second - 9_000):
        await v2.add(created=at)
    found = await v2.ids(created_from=begin, created_to=end)
    assert set(found) == {each.id for each in inside}


async def test_the_default_time_range(v2: V2Client) -> None:
    now = v2.installation.clock.now()
    inside = await v2.add(at=now - (now // 1_000 - MAX) * 1_000)
    outside = await v2.add(at=MAX * 1_000 + 1_000)
    assert await v2.ids() == [inside.id]
    assert outside.id in await v2.ids(created_to=v2.now - 1)
    for value in ("x", "0", "-5", ""):
        assert await v2.ids(created_from=value, created_to=value) == [inside.id]


async def test_invalid_time_ranges(v2: V2Client) -> None:
    response = await v2.get(created_from=200, created_to=100)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (400, "400", "validation error")
    message = "created_to 100 is prior to created_from 200"
    assert body["data"] == {"created_from": {"date_range": {"message": message, "cause": 200}}}
    begin, end = 63_000_000_000, 63_000_000_000 + MAX
    assert (await v2.get(created_from=begin, created_to=end)).status_code == 200
    response = await v2.get(created_from=begin, created_to=end + 1)
    message = f"created_to {end + 1} is more than 2682000 seconds from created_from {begin}"
    expected = {"created_from": {"date_range": {"message": message, "cause": end + 1}}}
    assert (response.status_code, response.json()["data"]) == (400, expected)
    assert (await v2.get(created_from=v2.now - MAX - 1)).status_code == 400


async def test_time_ranges_without_recordings(v2: V2Client) -> None:
    for at in (1, 10**15, 10**17):
        assert await v2.ids(created_from=at, created_to=at + 1) == []


async def test_an_unpaged_response_has_a_maximum_size(v2: V2Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(30):
        await v2.add(at=at, audio=None)
    monkeypatch.setattr(listing, "MAX_BUFFERED", 5)
    for choices in (V2Settings(max_rows=29), V2Settings(max_bytes=1_000)):
        async with client_of(v2.installation.app(choices)) as client:
            response = await client.get(v2.recordings, params={"paginate": "false"}, headers=v2.headers)
        body = response.json()
        assert (response.status_code, body["error"], body["message"]) == (416, "416", "range not satisfiable")
        assert body["data"] == {}
    async with client_of(v2.installation.app(V2Settings(max_rows=30))) as client:
        for pretty in ("false", "true"):
            params = {"paginate": "false", "pretty_print": pretty}
            body = (await client.get(v2.recordings, params=params, headers=v2.headers)).json()
            assert len({item["id"] for item in body["data"]}) == 30
            assert (body["status"], body.get("page_size")) == ("success", None)
            assert body["revision"]
