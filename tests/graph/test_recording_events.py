"""The feed of events: `recordingEvents`, `GET /events`, and the JSON Schemas."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import jsonschema_rs
import pytest

from recordings.model.errors import InvalidCursor
from recordings.model.events import Annotated, Created, Held, Purged, Trashed
from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.recording import Recording
from recordings.use_cases import event_feed
from recordings.use_cases.save_event import RecordingWriter
from tests.graph.api import Api, recording
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

EVENTS = """query($first: Int!, $since: String, $filter: RecordingEventFilter, $account: ID, $below: Boolean) {
  recordingEvents(first: $first, since: $since, filter: $filter, accountId: $account, descendants: $below) {
    cursor pageInfo { hasNextPage endCursor }
    edges { cursor node {
      id type time accountId subject revision state reason durationMs recording { plainId label modified } } } } }"""
NUMBER = "+4930123456"


async def create(api: Api, **fields: Any) -> Recording:
    """Create a recording through the writer, so that it has an event."""
    api.made += 1
    new = replace(recording(api.installation.clock.now() + api.made), caller_id_number=NUMBER, **fields)
    return await RecordingWriter(api.installation.store).create(new, Created(at=new.created))


async def save(api: Api, item: Recording, event: Any) -> Recording:
    return await RecordingWriter(api.installation.store).save_event(item, event)


async def page(api: Api, caller: str = "me", first: int = 100, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(EVENTS, caller, first=first, **variables))["recordingEvents"]
    return found


def subjects(found: dict[str, Any]) -> list[str]:
    return [edge["node"]["subject"] for edge in found["edges"]]


async def get(api: Api, caller: str = "me", path: str = "/events", **parameters: Any) -> httpx.Response:
    query = {name: str(value) for name, value in parameters.items()}
    return await api.http.get(
        f"http://api.test{path}", params=query, headers={"authorization": f"Bearer {caller}"}, timeout=20
    )


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_each_change_is_an_event_and_pages_continue(api: Api) -> None:
    made = await create(api, label="first")
    held = await save(api, made, Held(at=made.created + 5, by="x", reason="y"))
    found = await page(api, first=1)
    assert found["pageInfo"]["hasNextPage"]
    (edge,) = found["edges"]
    assert edge["cursor"] == found["cursor"] == found["pageInfo"]["endCursor"]
    node = edge["node"]
    assert node["id"].startswith("evt_")
    assert (node["type"], node["state"], node["revision"]) == ("STORED", "STORED", 0)
    assert node["recording"]["label"] == "first"
    following = await page(api, since=found["cursor"])
    assert [edge["node"]["type"] for edge in following["edges"]] == ["HELD"]
    assert following["edges"][0]["node"]["revision"] == held.revision
    assert not following["pageInfo"]["hasNextPage"]
    empty = await page(api, since=following["cursor"])
    assert empty["edges"] == []
    await save(api, held, Annotated(at=made.created + 6, changes={"label": "new"}))
    assert [edge["node"]["type"] for edge in (await page(api, since=empty["cursor"]))["edges"]] == ["AMENDED"]


async def test_events_are_filtered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await create(api, label="a"), await create(api, label="b")
    await save(api, first, Held(at=first.created, by="x", reason="y"))
    assert subjects(await page(api, filter={"types": ["HELD"]})) == [first.id]
    assert subjects(await page(api, filter={"recordingId": second.id})) == [second.id]
    assert subjects(await page(api, filter={"recording": {"label": {"equal": "b"}}})) == [second.id]
    assert subjects(await page(api, since="2100-01-01T00:00:00Z")) == []
    assert subjects(await page(api, since="now")) == []
    # A page without an event of the filter still moves on.
    monkeypatch.setattr(event_feed, "MAX_EXAMINED", 1)
    found = await page(api, filter={"types": ["PURGED"]})
    assert found["edges"] == []
    assert subjects(await page(api, since=found["cursor"])) == []


async def test_callers_get_the_events_of_their_recordings_only(api: Api) -> None:
    mine, adas = await create(api), await create(api, owner_id="ada")
    child = await create(api, account_id=CHILD)
    await create(api, account_id=SIBLING)
    assert subjects(await page(api)) == [mine.id, adas.id]
    assert subjects(await page(api, below=True)) == [mine.id, adas.id, child.id]
    assert subjects(await page(api, account=CHILD)) == subjects(await page(api, "child")) == [child.id]
    assert subjects(await page(api, "ada", below=True)) == [adas.id]
    assert (await api.refused(EVENTS, first=1, account=SIBLING))["extensions"]["code"] == "NOT_FOUND"
    assert (await api.refused(EVENTS, "no_read", first=1))["extensions"]["code"] == "FORBIDDEN"
    owner = {"recording": {"ownerId": {"equal": "bob"}}}
    assert (await page(api, "ada", filter=owner))["edges"] == []
    assert len(lines(await get(api, descendants="true"))) == 3
    assert [line["subject"] for line in lines(await get(api, "ada"))] == [adas.id]
    assert (await get(api, account=SIBLING)).status_code == 404
    assert (await get(api, "no_read")).status_code == 403
    assert (await get(api, "unknown")).status_code == 401


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_a_size(api: Api, first: int) -> None:
    assert (await api.refused(EVENTS, first=first))["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize("since", ["", "x", "2026-11-22", "now ", "bWlzdGFrZQ"])
async def test_a_place_must_be_a_time_or_a_cursor(api: Api, since: str) -> None:
    error = await api.refused(EVENTS, first=1, since=since)
    assert error["extensions"]["code"] == InvalidCursor.code
    response = await get(api, since=since)
    assert (response.status_code, response.json()["error"]["code"]) == (400, InvalidCursor.code)


async def test_a_cursor_of_a_list_is_not_one_of_events(api: Api) -> None:
    await create(api)
    text = "{ recordings(first: 1) { pageInfo { endCursor } } }"
    cursor = (await api.ask(text))["recordings"]["pageInfo"]["endCursor"]
    assert (await api.refused(EVENTS, first=1, since=cursor))["extensions"]["code"] == InvalidCursor.code


async def test_a_purged_recording_shows_ids_only(api: Api) -> None:
    made = await create(api, label="secret label", owner_id="ada")
    trashed = await save(api, made, Trashed(at=made.created, by="x", purge_at=made.created))
    await save(api, trashed, Purged(at=made.created + 1))
    found = await page(api)
    assert [edge["node"]["type"] for edge in found["edges"]] == ["STORED", "TRASHED", "PURGED"]
    assert {edge["node"]["recording"] for edge in found["edges"]} == {None}
    response = await get(api, include="PARTIES,METADATA")
    assert len(lines(response)) == 3
    for secret in ("secret label", NUMBER, '"ada"', made.call_id):
        assert secret not in response.text


async def test_a_line_is_a_cloud_event_with_thin_data(api: Api) -> None:
    made = await create(api, user_metadata={"crm": "case 7"}, owner_id="ada")
    response = await get(api)
    (line,) = lines(response)
    assert line["specversion"] == "1.0"
    assert line["source"] == f"http://api.test/accounts/{ACCOUNT}"
    assert (line["type"], line["subject"]) == ("call-recording-api.recording.stored.v1", made.id)
    assert line["dataschema"] == "http://api.test/events/schemas/recording.stored.v1.json"
    assert line["data"]["apiUrl"] == f"http://api.test/v2/accounts/{ACCOUNT}/recordings/{made.id}"
    assert line["data"]["durationMs"] == made.duration_ms
    assert NUMBER not in response.text
    assert "signature" not in response.text
    assert lines(await get(api, since=response.headers["events-cursor"])) == []
    (full,) = lines(await get(api, include="PARTIES,METADATA"))
    assert (full["id"], full["data"]["callerIdNumber"]) == (line["id"], NUMBER)
    assert full["data"]["userMetadata"] == {"crm": "case 7"}
    assert lines(await get(api, since=line["cursor"])) == []


async def test_the_data_of_every_type_fits_its_schema(api: Api) -> None:
    made = await create(api)
    for number, kind in enumerate(EventType, 1):
        event = FeedEvent(
            account_id=ACCOUNT, subject=ACCOUNT if kind.is_of_account else made.id, revision=number, type=kind, time=1,
            state=None if kind.is_of_account else "STORED",
        )  # fmt: skip
        await api.installation.store.add_event(event)
    found = lines(await get(api, include="PARTIES,METADATA", limit=1_000))
    assert len(found) == len(EventType) + 1
    for line in found:
        response = await get(api, path=line["dataschema"].removeprefix("http://api.test"))
        schema = response.json()
        assert schema["$id"] == line["dataschema"]
        validator = jsonschema_rs.validator_for(schema)
        validator.validate(line["data"])
        assert line["data"].keys() == schema["properties"].keys()
        assert not validator.is_valid({**line["data"], "revision": "1"})
        assert not validator.is_valid({name: line["data"][name] for name in line["data"] if name != "accountId"})
    assert (await get(api, path="/events/schemas/recording.unknown.v1.json")).status_code == 404


async def test_a_request_waits_for_an_event(api: Api) -> None:
    made = await create(api)
    start = (await get(api)).headers["events-cursor"]
    waiting = asyncio.create_task(get(api, since=start, wait=20))
    other = asyncio.create_task(get(api, since=start, wait=20, types="recording.held,recording.released"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await save(api, made, Annotated(at=made.created, changes={"label": "new"}))
    (line,) = lines(await waiting)
    assert line["type"].endswith("recording.amended.v1")
    assert not other.done()
    held = await api.installation.store.load(made.id)
    assert held is not None
    await save(api, held, Held(at=made.created, by="x", reason="y"))
    assert [line["type"] for line in lines(await other)] == ["call-recording-api.recording.held.v1"]
    response = await get(api, since=(await other).headers["events-cursor"], wait=1)
    assert lines(response) == []
    assert response.headers["events-cursor"]


async def test_few_requests_of_an_account_may_wait(api: Api) -> None:
    waiting = [asyncio.create_task(get(api, since="now", wait=2)) for _ in range(17)]
    statuses = sorted([(await each).status_code for each in waiting])
    assert statuses == [200] * 16 + [429]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "1001"), ("limit", "x"), ("wait", "31"), ("wait", "-1"), ("types", "stored"),
        ("include", "AUDIO"), ("descendants", "1"), ("filter", "{"), ("after", "x"),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(api: Api, name: str, value: str) -> None:
    response = await get(api, **{name: value})
    assert response.status_code == 400
    assert name in response.json()["error"]["message"]


async def test_a_changed_policy_is_an_event_of_the_account(api: Api) -> None:
    text = """mutation { setRecordingPolicy(input: {scope: ACCOUNT, cells: []}) {
      policy { revision } errors { __typename } } }"""
    payload = (await api.ask(text, "root"))["setRecordingPolicy"]
    assert payload["errors"] == []
    (edge,) = (await page(api, filter={"types": ["POLICY_CHANGED"]}))["edges"]
    assert (edge["node"]["accountId"], edge["node"]["revision"]) == (ACCOUNT, payload["policy"]["revision"])
    assert edge["node"]["recording"] is None
    assert (await page(api, "ada"))["edges"] == []
