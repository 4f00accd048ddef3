"""`record_call` on a live call, and its parameters (`docs/v2_contract.md`, sections 6.1 and 6.2)."""

from typing import Any

import pytest

from recordings.model.recording import State
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


def flow(action: str | None = "start", **parameters: Any) -> dict[str, Any]:
    data = {**({"action": action} if action else {}), **parameters}
    return {"module": "record_call", "data": data}


async def ask(v2: V2Client, call: str, data: Any) -> Any:
    return await v2.put(f"{v2.path}/channels/{call}", data, action="metaflow")


async def test_start_mask_unmask_and_stop(v2: V2Client) -> None:
    call = "YjM5ZmE2@10.26.0.91"
    v2.installation.recorder.ring(v2.account.id, call)
    seen = []
    for action in ("start", "mask", "unmask", "stop"):
        response = await ask(v2, call, flow(action, **({"label": "Desk"} if action == "start" else {})))
        assert response.status_code == 201
        assert (response.json()["status"], response.json()["data"]) == ("success", "metaflow sent")
        active = await v2.installation.store.find_active(v2.account.id, call)
        seen.append(active.state if active else None)
    assert seen == [State.RECORDING, State.MASKED, State.RECORDING, None]
    (item,) = (await v2.get()).json()["data"]
    assert item["call_id"] == call
    assert item["origin"] == "inbound from 1001 to +14155550123 : Desk"
    assert "@" in item["from"]
    assert "@" in item["to"]


async def test_action_is_start_by_default(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c1")
    assert (await ask(v2, "c1", {"module": "record_call"})).status_code == 201
    assert await v2.installation.store.find_active(v2.account.id, "c1")


@pytest.mark.parametrize("form", ["in data", "nested"])
async def test_other_forms_of_a_metaflow(v2: V2Client, form: str) -> None:
    v2.installation.recorder.ring(v2.account.id, "c2")
    data = {"action": "metaflow", **flow()} if form == "in data" else {"action": "metaflow", "data": flow()}
    assert (await v2.put(f"{v2.path}/channels/c2", data)).status_code == 201


PARAMETERS = {
    "format": "wav",
    "label": "Desk",
    "media_name": "name.wav",
    "method": "post",
    "record_min_sec": 3,
    "record_on_answer": True,
    "record_on_bridge": True,
    "record_sample_rate": 16_000,
    "should_follow_transfer": False,
    "time_limit": 60,
    "url": "https://example.com/x",
}


@pytest.mark.parametrize("as_text", [False, True])
async def test_every_parameter_is_accepted(v2: V2Client, as_text: bool) -> None:
    call = f"all-{as_text}"
    v2.installation.recorder.ring(v2.account.id, call)
    given: dict[str, Any] = {
        name: str(value).lower() if as_text and not isinstance(value, str) else value
        for name, value in PARAMETERS.items()
    }
    assert (await ask(v2, call, flow("start", skip_module=False, **given))).status_code == 201
    active = await v2.installation.store.find_active(v2.account.id, call)
    assert active is not None
    assert {name: getattr(active.options, name) for name in PARAMETERS} == PARAMETERS
    assert active.state is State.ARMED


@pytest.mark.parametrize(
    ("name", "value", "rule", "target"),
    [
        ("format", "mp4", "enum", ["mp3", "wav"]),
        ("label", 5, "type", "string"),
        ("media_name", "../x", "pattern", None),
        ("media_name", "x" * 256, "maxLength", None),
        ("method", "get", "enum", ["put", "post"]),
        ("origin", 5, "type", "string"),
        ("origin", "a\nb", "pattern", None),
        ("record_min_sec", "x", "type", "integer"),
        ("record_on_answer", "yes", "type", "boolean"),
        ("record_on_bridge", 1, "type", "boolean"),
        ("record_sample_rate", 44_100.5, "type", "integer"),
        ("should_follow_transfer", "x", "type", "boolean"),
        ("skip_module", "x", "type", "boolean"),
        ("time_limit", True, "type", "integer"),
        ("time_limit", "1h", "type", "integer"),
        ("url", "ftp://x", "pattern", None),
        ("action", "hangup", "enum", ["start", "stop", "mask", "unmask", "toggle"]),
        ("action", None, "enum", None),
    ],
)
async def test_invalid_parameters(v2: V2Client, name: str, value: Any, rule: str, target: Any) -> None:
    v2.installation.recorder.ring(v2.account.id, "c3")
    response = await ask(v2, "c3", {"module": "record_call", "data": {name: value}})
    body = response.json()
    assert (response.status_code, body["message"]) == (400, "validation error"), body
    assert list(body["data"]) == [f"data.{name}"]
    entry = body["data"][f"data.{name}"][rule]
    assert entry["message"]
    if target is not None:
        assert entry["target"] == target
    assert await v2.installation.store.find_active(v2.account.id, "c3") is None


async def test_every_invalid_value_has_an_entry(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c4")
    response = await ask(v2, "c4", flow(time_limit="x", format="x", origin=1))
    wrong = "Value did not match type(s): "
    assert response.json()["data"] == {
        "data.time_limit": {"type": {"message": f"{wrong}integer", "target": "integer", "value": "x"}},
        "data.origin": {"type": {"message": f"{wrong}string", "target": "string", "value": 1}},
        "data.format": {
            "enum": {"message": "Value not found in enumerated list of values", "target": ["mp3", "wav"], "value": "x"}
        },
    }


async def test_an_unknown_channel(v2: V2Client) -> None:
    for action in ("start", "stop", "mask"):
        response = await ask(v2, "nobody", flow(action))
        assert (response.status_code, response.json()["message"]) == (404, "bad identifier")
        assert response.json()["data"] == ["nobody"]


async def test_invalid_metaflows(v2: V2Client) -> None:
    path = f"{v2.path}/channels/c5"
    response = await v2.put(path, {"module": "record_call"}, action="hangup")
    assert (response.status_code, response.json()["message"]) == (400, "invalid data")
    assert response.json()["data"] == {"module": "record_call"}
    response = await ask(v2, "c5", {"data": {}})
    assert (response.status_code, list(response.json()["data"]["module"])) == (400, ["required"])
    response = await ask(v2, "c5", {"module": "say"})
    assert (response.status_code, list(response.json()["data"]["module"])) == (400, ["enum"])
    response = await ask(v2, "c5", {"module": "record_call", "data": []})
    assert (response.status_code, list(response.json()["data"]["data"])) == (400, ["type"])
    assert (await v2.send("POST", path, json={"data": {"action": "hangup"}})).status_code == 405


async def test_a_second_start_is_a_conflict(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c6")
    assert (await ask(v2, "c6", flow())).status_code == 201
    response = await ask(v2, "c6", flow())
    assert (response.status_code, response.json()["message"]) == (409, "datastore_conflict")


async def test_without_a_recording_stop_succeeds_and_mask_fails(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c7")
    assert (await ask(v2, "c7", flow("stop"))).status_code == 201
    assert (await ask(v2, "c7", flow("mask"))).status_code == 409


async def test_a_switch_that_rejects_the_start(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c8")
    v2.installation.recorder.refusal = "no disk"
    response = await ask(v2, "c8", flow())
    v2.installation.recorder.refusal = ""
    assert (response.status_code, response.json()["message"]) == (503, "datastore_unreachable")
    assert response.json()["data"] == {"message": "datastore timeout"}


async def test_an_owner_controls_its_own_calls(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "c9", owner_id="other")
    headers = {"X-Auth-Token": v2.token(owner_id="mine")}
    for action in ("start", "stop"):
        body = {"action": "metaflow", "data": flow(action)}
        response = await v2.send("PUT", f"{v2.path}/channels/c9", headers=headers, json=body)
        assert response.status_code == 404
