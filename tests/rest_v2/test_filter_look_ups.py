"""Filters by id and by call: look-ups, not searches (`docs/v2_contract.md`, section 1.6)."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio

from recordings.model.fields import RecordingRow
from recordings.model.instants import DAY, SECOND
from recordings.model.query import Page, PageRequest, Query
from recordings.model.recording import Recording, State
from tests.rest_v2.v2_installation import V2Client, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 300


@pytest_asyncio.fixture(loop_scope="session")
async def made(v2: V2Client) -> list[Recording]:
    """Recordings of the last days, the newest first. Each pair has the same time."""
    return [await v2.add(at=(at // 2) * DAY, audio=None, owner_id=f"{at % 2}" * 32) for at in range(8)]


async def found(v2: V2Client, *wanted: str, path: str = "", **params: Any) -> list[str]:
    query = [("filter_id", each) for each in wanted] + list(params.items())
    response = await v2.send("GET", path or v2.recordings, params=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["data"]]


async def test_one_id(v2: V2Client, made: list[Recording]) -> None:
    assert await found(v2, made[5].id) == [made[5].id]
    for wanted in (
        "",
        "x",
        made[5].id.upper(),
        made[5].id[:-1],
        "null",
        '["\\ud800"]',
        "\0",
        '["\\u0000"]',
        "x" * 9_000,
    ):
        assert await found(v2, wanted) == [], wanted
    body = (await v2.get(filter_id=made[5].id)).json()
    assert (body["page_size"], "next_start_key" in body, "revision" in body) == (1, False, True)


async def test_several_ids_are_in_the_order_of_the_list(v2: V2Client, made: list[Recording]) -> None:
    everything = await v2.ids()
    wanted = [made[at].id for at in (6, 1, 0, 3)]
    text = "[" + ",".join(f'"{each}"' for each in wanted) + "]"
    expected = [each for each in everything if each in wanted]
    assert await found(v2, text) == expected
    assert await found(v2, text, ascending="true") == expected[::-1]
    assert await found(v2, f'"{wanted[0]}"') == [wanted[0]]
    assert await found(v2, text, wanted[0]) == [wanted[0]]
    assert await found(v2, wanted[0], wanted[1]) == []
    for direction in ({}, {"ascending": "true"}):
        seen: list[str] = []
        params: dict[str, str] = {"page_size": "1", "filter_id": text, **direction}
        while True:
            body = (await v2.get(**params)).json()
            seen += [item["id"] for item in body["data"]]
            if "next_start_key" not in body:
                break
            params["start_key"] = body["next_start_key"]
        assert seen == (expected[::-1] if direction else expected)


async def test_the_other_conditions_of_the_list_apply(v2: V2Client, made: list[Recording]) -> None:
    old = made[7]
    assert await found(v2, old.id, created_from=str(v2.now - 86_400)) == []
    assert await found(v2, old.id, created_to=str(v2.now - 2 * 86_400)) == [old.id]
    assert await found(v2, old.id, filter_call_id=old.call_id) == [old.id]
    assert await found(v2, old.id, filter_call_id=made[0].call_id) == []
    assert await found(v2, old.id, has_key="url") == []
    assert await found(v2, old.id, path=f"{v2.path}/users/{'1' * 32}/recordings") == [old.id]
    assert await found(v2, old.id, path=f"{v2.path}/users/{'0' * 32}/recordings") == []
    ancient = await v2.add(at=60 * DAY, audio=None)
    live = await v2.add(state=State.RECORDING, audio=None, ended=None, reason=None)
    for hidden in (ancient, live):
        assert await found(v2, hidden.id) == []
    other = await new_account(v2.installation)
    theirs = await v2.add(account_id=other.id, audio=None)
    assert await found(v2, theirs.id) == []
    headers = {"X-Auth-Token": v2.token(owner_id="0" * 32)}
    response = await v2.send("GET", headers=headers, params={"filter_id": old.id})
    assert response.json()["data"] == []


async def test_other_forms_of_the_response(v2: V2Client, made: list[Recording]) -> None:
    wanted = made[3].id
    for params in ({"paginate": "false"}, {"is_chunked": "true"}):
        assert await found(v2, wanted, **params) == [wanted]
    (row,) = csv.DictReader(io.StringIO((await v2.get(filter_id=wanted, accept="csv")).text))
    assert row["ID"] == wanted
    assert (await v2.get(filter_id="x", accept="csv")).status_code == 204


async def test_a_look_up_reads_the_recordings_that_it_finds(v2: V2Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store examines no others, however many there are."""
    now = v2.installation.clock.now()
    ages = [at * 23 * DAY // MANY // SECOND * SECOND for at in range(MANY)]
    await asyncio.gather(*(v2.add(audio=None, created=now - age, call_id=f"c{age}") for age in ages))
    last = (await v2.get(ascending="true", page_size="1")).json()["data"][0]
    store, read = v2.installation.store, Counter[str]()
    page, rows = store.page, store.rows

    async def counted_page(query: Query, request: PageRequest) -> Page:
        found = await page(query, request)
        read["rows"] += len(found.rows) + found.examined
        read["calls"] += 1
        return found

    async def counted_rows(*arguments: Any) -> Mapping[str, RecordingRow]:
        found = await rows(*arguments)
        read["rows"] += len(found)
        read["calls"] += 1
        return found

    monkeypatch.setattr(store, "page", counted_page)
    monkeypatch.setattr(store, "rows", counted_rows)
    for name in ("id", "call_id"):
        for value in (last[name], f'["{last[name]}","y"]', "nothing"):
            read.clear()
            found_ids = await v2.ids(**{f"filter_{name}": value})
            assert found_ids == ([last["id"]] if value != "nothing" else []), (name, value)
            assert read["rows"] <= 2, (name, value, read)
            assert len(found_ids) <= read["calls"] <= 2, (name, value, read)
