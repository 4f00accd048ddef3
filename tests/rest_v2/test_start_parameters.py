"""The parameters that old clients send with start and stop (`docs/v2_contract.md`, sections 6.2 and 6.3)."""

import asyncio
from typing import Any

import pytest

from recordings.model.account import DEFAULT_SCOPES
from recordings.model.recording import Direction, Recording
from tests.rest_v2.test_channels import ask, flow
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def started(v2: V2Client, **given: Any) -> Recording:
    """Start a recording with these parameters."""
    v2.installation.recorder.ring(v2.account.id, "call")
    response = await ask(v2, "call", {"module": "record_call", "data": given})
    assert (response.status_code, response.json()["data"]) == (201, "metaflow sent"), response.text
    active = await v2.installation.store.find_active(v2.account.id, "call")
    assert active is not None
    return active


async def item(v2: V2Client, **given: Any) -> dict[str, Any]:
    """Record with these parameters and return the item of the list."""
    await started(v2, **given)
    assert (await ask(v2, "call", flow("stop"))).status_code == 201
    (found,) = (await v2.get()).json()["data"]
    return dict(found)


@pytest.mark.parametrize(
    "others",
    [
        {"format": "mp4", "time_limit": 1, "foo": 1},
        {"record_sample_rate": "x", "url": "ftp://x", "origin": 7, "media_name": "../x", "label": None},
        {"skip_module": True},
        {"data": {"action": "start"}, "dtmf_leg": "self", "record_on_answer": "maybe"},
    ],
)
async def test_a_stop_reads_no_other_parameter(v2: V2Client, others: dict[str, Any]) -> None:
    await started(v2)
    assert (await ask(v2, "call", flow("stop", **others))).status_code == 201
    assert await v2.installation.store.find_active(v2.account.id, "call") is None
    for action in ("mask", "stop"):
        response = await ask(v2, "call", flow(action, **others))
        assert response.status_code == (201 if action == "stop" else 409)


async def test_stops_at_the_same_time_all_succeed(v2: V2Client) -> None:
    await started(v2)
    answers = await asyncio.gather(*(ask(v2, "call", flow("stop")) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8


async def test_mask_and_unmask_read_no_other_parameter(v2: V2Client) -> None:
    await started(v2)
    for action in ("mask", "unmask"):
        assert (await ask(v2, "call", flow(action, format="mp4", foo=1, skip_module=True))).status_code == 201


@pytest.mark.parametrize("action", ["start", "toggle", None])
async def test_a_skipped_start_records_nothing(v2: V2Client, action: str | None) -> None:
    v2.installation.recorder.ring(v2.account.id, "call")
    for value in (True, "true"):
        response = await ask(v2, "call", flow(action, skip_module=value, format="mp4"))
        assert (response.status_code, response.json()["status"]) == (201, "success")
        assert response.json()["data"] == "metaflow skipped: skip_module is true, so nothing is recorded"
    assert await v2.installation.store.find_active(v2.account.id, "call") is None
    assert await v2.ids() == []
    await started(v2, skip_module=False)
    assert (await ask(v2, "nobody", flow("start", skip_module=True))).status_code == 404


@pytest.mark.parametrize("action", ["toggle", "start"])
async def test_toggle_starts_as_in_kazoo(v2: V2Client, action: str) -> None:
    await started(v2, action=action)
    assert (await ask(v2, "call", flow("toggle"))).status_code == 409


async def test_unknown_names_are_ignored(v2: V2Client) -> None:
    found = await started(v2, dtmf_leg="self", foo={"bar": [1]}, **{"": None, "a.b": True}, label="", media_name="")
    assert (found.label, found.options.media_name) == (None, None)


@pytest.mark.parametrize(
    ("wanted", "rate"),
    [(44_100, 48_000), (40_000, 48_000), (39_999, 32_000), (11_025, 8_000), (12_000, 16_000), (22_050, 24_000),
     (16_000, 16_000), ("44100", 48_000), (0, 8_000), (-5, 8_000), (192_000, 48_000), (10**30, 48_000)],
)  # fmt: skip
async def test_the_nearest_sampling_rate_is_used_and_stated(v2: V2Client, wanted: Any, rate: int) -> None:
    found = await item(v2, record_sample_rate=wanted)
    assert found["record_sample_rate"] == rate
    assert (await v2.get(f"{v2.recordings}/{found['id']}")).json()["data"]["record_sample_rate"] == rate
    assert await v2.ids(filter_record_sample_rate=str(rate)) == [found["id"]]
    recording = await v2.installation.store.load(found["id"])
    assert recording is not None
    assert recording.options.record_sample_rate == rate


async def test_a_document_without_a_sampling_rate_does_not_state_one(v2: V2Client) -> None:
    assert "record_sample_rate" not in await item(v2)


@pytest.mark.parametrize(
    ("wanted", "limit"),
    [(20_000, 10_800), ("20000", 10_800), (10**20, 10_800), (10_800, 10_800), (60, 60), (4, 4), (1, 1), (0, 3_600),
     (-1, 3_600)],
)  # fmt: skip
async def test_the_time_limit_is_clamped(v2: V2Client, wanted: Any, limit: int) -> None:
    assert (await started(v2, time_limit=wanted)).options.time_limit == limit


@pytest.mark.parametrize(("wanted", "seconds"), [(-1, 0), (0, 0), (3, 3), (10**12, 2**31 - 1)])
async def test_the_minimum_length_is_clamped(v2: V2Client, wanted: int, seconds: int) -> None:
    assert (await started(v2, record_min_sec=wanted)).options.record_min_sec == seconds


@pytest.mark.parametrize(
    ("direction", "label", "origin"),
    [
        (Direction.INBOUND, None, "inbound from 1001 to +14155550123"),
        (Direction.OUTBOUND, None, "outbound to +14155550123 from 1001"),
        (Direction.OUTBOUND, "Front desk", "outbound to +14155550123 from 1001 : Front desk"),
        (None, "Front desk", "inbound from 1001 to +14155550123 : Front desk"),
    ],
)
async def test_the_origin_begins_with_the_direction(
    v2: V2Client, direction: Direction | None, label: str | None, origin: str
) -> None:
    v2.installation.recorder.ring(v2.account.id, "call", direction=direction)
    key = await v2.installation.administration.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    login = await v2.client.put("/v2/api_auth", json={"data": {"api_key": key.secret}})
    v2.headers["X-Auth-Token"] = login.json()["auth_token"]
    for action, given in (("start", {} if label is None else {"label": label}), ("stop", {})):
        assert (await ask(v2, "call", flow(action, **given))).status_code == 201
    (found,) = (await v2.get()).json()["data"]
    assert (found["origin"], found["direction"]) == (origin, direction or "inbound")
    assert key.key.id[:8].lower() not in found["origin"].lower()


async def test_the_origin_of_the_client_is_kept_as_in_kazoo(v2: V2Client) -> None:
    assert (await item(v2, origin="callflow : Sales", label="x"))["origin"] == "callflow : Sales"
