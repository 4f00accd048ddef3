"""Sections 1.1 to 1.5: the envelope, the order, paging and the range, over HTTP."""

import base64
import hashlib
import re
from typing import Any

import pytest

from adapters.rest_v2.dependencies import Choices
from adapters.rest_v2.listing import list_recordings as listing
from adapters.rest_v2.listing.start_key import HIGH, decode, encode
from recordings.model.recording import State
from tests.rest_v2.v2_installation import OFFSET, VERSION, Site, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400
MAX = 2_682_000


async def test_the_envelope(site: Site) -> None:
    made = await site.add()
    response = await site.send("GET", headers={"X-Request-ID": "abc"})
    body = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert isinstance(body["data"], list)
    assert body["page_size"] == 1
    assert body["start_key"] == encode([site.now, HIGH])
    assert "next_start_key" not in body
    assert body["status"] == "success"
    assert body["request_id"] == "abc" == response.headers["x-request-id"]
    assert body["auth_token"] == site.headers["X-Auth-Token"]
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


async def test_the_envelope_of_nothing(site: Site) -> None:
    response = await site.get()
    body = response.json()
    assert (body["data"], body["page_size"]) == ([], 0)
    assert "revision" not in body
    assert "etag" not in response.headers
    assert re.fullmatch(r"[0-9a-f]{32}", body["request_id"])


async def test_a_list_item(site: Site) -> None:
    with_audio, wav = await site.add(at=1), await site.add(format="wav")
    without = await site.add(at=2, audio=None)
    items = {item["id"]: item for item in (await site.get()).json()["data"]}
    assert items[with_audio.id]["_read_only"] == {"content_types": ["audio/mpeg"]}
    assert items[wav.id]["_read_only"] == {"content_types": ["audio/x-wav"]}
    assert items[without.id]["_read_only"] == {"content_types": []}
    one = (await site.get(f"{site.recordings}/{with_audio.id}")).json()["data"]
    assert {**one, "_read_only": {"content_types": ["audio/mpeg"]}} == items[with_audio.id]
    assert not [name for name in one if name.startswith(("_", "pvt_"))]


async def test_newest_first_then_by_id(site: Site) -> None:
    new = await site.add(at=1)
    same = [await site.add(at=5_000, id=f"202401-{site.account.id}{name}") for name in "bca"]
    old = await site.add(at=9_000_000)
    expected = [new.id, *(each.id for each in (same[1], same[0], same[2])), old.id]
    assert await site.ids() == expected
    for name in ("descending", "ascending"):
        assert await site.ids(**{name: "false"}) == expected
    assert await site.ids(ascending="true", descending="true") == expected
    for params in ({"ascending": "true"}, {"ascending": "x"}, {"ascending": "true", "descending": "false"}):
        assert await site.ids(**params) == expected[::-1]


async def test_which_recordings_are_known(site: Site) -> None:
    shown = [await site.add(at=n, state=state) for n, state in enumerate((State.FINALIZING, State.FAILED, State.LOST))]
    for state in (State.REQUESTED, State.ARMED, State.RECORDING, State.PAUSED, State.MASKED, State.DISCARDED):
        hidden = await site.add(state=state, audio=None)
        assert (await site.get(f"{site.recordings}/{hidden.id}")).status_code == 404
    for state in (State.TRASHED, State.PURGED):
        hidden = await site.add(state=state, trashed_from=State.STORED)
        assert (await site.get(f"{site.recordings}/{hidden.id}")).status_code == 404
    assert await site.ids() == [each.id for each in shown]


async def test_a_users_list(site: Site) -> None:
    mine, other = await site.add(owner_id="u" * 32), await site.add(owner_id="v" * 32)
    nobodys = await site.add(at=1)
    assert await site.ids(f"{site.path}/users/{'u' * 32}/recordings") == [mine.id]
    assert set(await site.ids()) == {mine.id, other.id, nobodys.id}
    response = await site.get(f"{site.path}/users/{'u' * 32}/recordings/{mine.id}")
    assert response.json()["data"]["id"] == mine.id
    assert (await site.get(f"{site.path}/users/{'u' * 32}/recordings/{other.id}")).status_code == 404


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("owner", [None, "0" * 32])
async def test_pages_hold_everything_once(site: Site, ascending: bool, owner: str | None) -> None:
    # Within one second, within one millisecond, and apart.
    times = [0, 0, 0, 1, 2, 999, 1_000, 1_000, 5_000, 5_001, 70_000]
    for at in times:
        await site.add(at=at, owner_id=owner)
    path = f"{site.path}/users/{owner}/recordings" if owner else site.recordings
    params: dict[str, Any] = {"created_to": site.now, "created_from": site.now - 500}
    if ascending:
        params["ascending"] = "true"
    whole = await site.ids(path, **params)
    assert len(whole) == len(times)
    for size in (1, 2, 3, 11):
        seen, key, sizes = [], None, []
        while True:
            body = (await site.get(path, page_size=size, **params, **({"start_key": key} if key else {}))).json()
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


async def test_a_key_of_the_reference_is_a_place(site: Site) -> None:
    # Its keys have whole seconds, and so have imported recordings.
    second = site.world.clock.now() // 1_000 * 1_000
    a, b = [await site.add(id=f"202401-{site.account.id}{name}", created=second, start=second) for name in "ab"]
    key = encode([second // 1_000 + OFFSET, b.id])
    assert await site.ids(start_key=key) == [b.id, a.id]
    assert await site.ids(start_key=key, ascending="true") == [b.id]
    first = (await site.get(page_size=1)).json()
    assert first["next_start_key"] == encode([second // 1_000 + OFFSET, a.id])
    ascending = (await site.get(ascending="true", created_from=site.now - 5)).json()
    assert ascending["start_key"] == encode([site.now - 5])


async def test_the_default_page_and_large_ones(site: Site) -> None:
    for at in range(130):
        await site.add(at=at * 10, audio=None)
    assert len(await site.ids()) == 50
    assert len(await site.ids(page_size="120")) == 120
    body = (await site.get(page_size="1000000")).json()
    assert (len(body["data"]), body["page_size"]) == (130, 130)
    for params in ({"paginate": "false"}, {"paginate": "x", "page_size": "0"}):
        body = (await site.get(**params)).json()
        assert len(body["data"]) == 130
        assert not {"start_key", "next_start_key", "page_size"} & set(body)
        assert body["revision"]
    assert len(await site.ids(paginate="true", end_key="whatever")) == 50


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
async def test_page_sizes_that_are_none(site: Site, value: str, message: str) -> None:
    response = await site.get(page_size=value)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (404, "404", "faulty_request")
    assert body["data"] == {"message": message}


@pytest.mark.parametrize(
    "key", ["nonsense", "g2wAAAACbgUAEkRl3w5oAWpqAA", encode([]), encode(["x", 1]), encode([1, 2, 3, 4])]
)
async def test_keys_that_are_none(site: Site, key: str) -> None:
    response = await site.get(start_key=key)
    assert response.status_code == 400
    assert set(response.json()["data"]) == {"start_key"}


async def test_a_key_of_another_list(site: Site) -> None:
    await site.add(owner_id="u")
    response = await site.get(f"{site.path}/users/u/recordings", start_key=encode(["v", 63877497874, HIGH]))
    assert response.status_code == 400


async def test_a_page_is_full_of_matches(site: Site) -> None:
    wanted = []
    for number in range(230):
        made = await site.add(at=number * 20, audio=None, name="wanted" if number % 40 == 39 else "other")
        if number % 40 == 39:
            wanted.append(made.id)
    first = (await site.get(filter_name="wanted", page_size=3)).json()
    assert [item["id"] for item in first["data"]] == wanted[:3]
    assert first["page_size"] == 3
    second = (await site.get(filter_name="wanted", page_size=3, start_key=first["next_start_key"])).json()
    assert [item["id"] for item in second["data"]] == wanted[3:]
    assert "next_start_key" not in second


async def test_filters_over_http(site: Site) -> None:
    one = await site.add(at=1, call_id="c1", user_metadata={"tag": "x"}, caller_id_number="7")
    two = await site.add(call_id="c2", owner_id="o", direction="outbound")
    for params, expected in (
        ({"filter_call_id": "c1"}, [one.id]),
        ({"filter_call_id": '["c1", "c2"]'}, [two.id, one.id]),
        ({"filter_not_call_id": "c1"}, [two.id]),
        ({"filter_user_metadata.tag": "x"}, [one.id]),
        ({"filter_direction": "outbound"}, [two.id]),
        ({"filter_id": one.id}, [one.id]),
        ({"filter_duration_ms": "42380"}, [two.id, one.id]),
        ({"filter_pvt_created": str(site.now), "filter_call_id": "c2"}, [two.id]),
        ({"filter_pvt_account_id": site.account.id}, []),
        ({"filter__id": one.id}, []),
        ({"has_key": "owner_id"}, [two.id]),
        ({"key_missing": "owner_id"}, [one.id]),
        ({"has_value": "user_metadata"}, [one.id]),
        ({"modified_from": str(site.now + 1)}, []),
        ({"modified_to": str(site.now)}, [two.id, one.id]),
        ({"created_from": "x", "has_key": "id"}, []),
        ({"sort": "x", "caller_id_number_ilike": "z"}, [two.id, one.id]),
    ):
        assert await site.ids(**params) == expected, params
    response = await site.client.get(f"{site.recordings}?filter_call_id=c1&filter_call_id=c2", headers=site.headers)
    assert response.json()["data"] == []


async def test_the_range(site: Site) -> None:
    second = site.world.clock.now() // 1_000 * 1_000
    begin, end = second // 1_000 + OFFSET - 20, second // 1_000 + OFFSET - 10
    inside = [await site.add(created=at) for at in (second - 20_000, second - 10_000, second - 9_001)]
    for at in (second - 20_001, second - 9_000):
        await site.add(created=at)
    found = await site.ids(created_from=begin, created_to=end)
    assert set(found) == {each.id for each in inside}


async def test_the_default_range(site: Site) -> None:
    now = site.world.clock.now()
    inside = await site.add(at=now - (now // 1_000 - MAX) * 1_000)
    outside = await site.add(at=MAX * 1_000 + 1_000)
    assert await site.ids() == [inside.id]
    assert outside.id in await site.ids(created_to=site.now - 1)
    for value in ("x", "0", "-5", ""):
        assert await site.ids(created_from=value, created_to=value) == [inside.id]


async def test_ranges_that_are_refused(site: Site) -> None:
    response = await site.get(created_from=200, created_to=100)
    body = response.json()
    assert (response.status_code, body["error"], body["message"]) == (400, "400", "validation error")
    message = "created_to 100 is prior to created_from 200"
    assert body["data"] == {"created_from": {"date_range": {"message": message, "cause": 200}}}
    begin, end = 63_000_000_000, 63_000_000_000 + MAX
    assert (await site.get(created_from=begin, created_to=end)).status_code == 200
    response = await site.get(created_from=begin, created_to=end + 1)
    message = f"created_to {end + 1} is more than 2682000 seconds from created_from {begin}"
    expected = {"created_from": {"date_range": {"message": message, "cause": end + 1}}}
    assert (response.status_code, response.json()["data"]) == (400, expected)
    assert (await site.get(created_from=site.now - MAX - 1)).status_code == 400


async def test_ranges_beyond_all_time(site: Site) -> None:
    for at in (1, 10**15, 10**17):
        assert await site.ids(created_from=at, created_to=at + 1) == []


async def test_what_is_not_paged_has_a_guard(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(30):
        await site.add(at=at, audio=None)
    monkeypatch.setattr(listing, "HELD", 5)
    for choices in (Choices(max_rows=29), Choices(max_bytes=1_000)):
        async with client_of(site.world.app(choices)) as client:
            response = await client.get(site.recordings, params={"paginate": "false"}, headers=site.headers)
        body = response.json()
        assert (response.status_code, body["error"], body["message"]) == (416, "416", "range not satisfiable")
        assert body["data"] == {}
    async with client_of(site.world.app(Choices(max_rows=30))) as client:
        for pretty in ("false", "true"):
            params = {"paginate": "false", "pretty_print": pretty}
            body = (await client.get(site.recordings, params=params, headers=site.headers)).json()
            assert len({item["id"] for item in body["data"]}) == 30
            assert (body["status"], body.get("page_size")) == ("success", None)
            assert body["revision"]
