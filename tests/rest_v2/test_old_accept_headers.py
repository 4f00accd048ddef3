"""The `Accept` headers of old clients, on every path (`docs/v2_contract.md`, section 2.1)."""

import hashlib
from typing import Any

import pytest

from adapters.rest_v2.v2_routes import OPERATIONS, Operation
from recordings.model.account import DEFAULT_SCOPES, Scope
from recordings.model.user import PrivLevel
from tests.adapters.http.test_accept import JAVA
from tests.rest_v2.v2_installation import AUDIO, V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEVICE = "d" * 32
WEBHOOK = {
    "name": "CRM",
    "uri": "https://crm.example.org/hook",
    "hook": "object",
    "custom_data": {"type": "all", "action": "all"},
}
ANYTHING = [JAVA, "*", "*; q=.2", "text/html, *; q=.2", "application/json;q=1.,*;q=0."]


async def send(v2: V2Client, operation: Operation, accept: str) -> Any:
    """Send a request that succeeds."""
    made = await v2.add(owner_id="u" * 32)
    user = await v2.installation.users.create(v2.account.id, made.id[:20], "x", priv_level=PrivLevel.ADMIN)
    key = await v2.installation.administration.create_key(v2.account.id, None, frozenset(DEFAULT_SCOPES))
    v2.installation.recorder.ring(v2.account.id, made.id)
    user_id = "u" * 32 if "recording" in operation.name else user.id
    names = {"account_id": v2.account.id, "recording_id": made.id, "user_id": user_id, "channel_id": made.id}
    names["device_id"] = DEVICE
    credentials = hashlib.md5(f"{made.id[:20]}:x".encode(), usedforsecurity=False).hexdigest()
    bodies: dict[str | None, Any] = {
        "Metaflow": {"action": "metaflow", "data": {"module": "record_call"}},
        "ApiAuth": {"data": {"api_key": key.secret}},
        "UserAuth": {"data": {"credentials": credentials, "realm": v2.account.realm}},
        "RecordingPatch": {"data": {"user_metadata": {"a": 1}}},
        "StorageRequest": {"data": {}},
        "DocumentRequest": {"data": {"call_recording": {}}},
        "WebhookRequest": {"data": WEBHOOK},
        "ReEnable": {"data": {"re-enable": True}},
    }
    body = {"json": bodies[operation.body]} if operation.body else {}
    if "{device_id}" in operation.path:
        await v2.send("POST", f"{v2.path}/devices/{DEVICE}", json=bodies["DocumentRequest"])
    if "{webhook_id}" in operation.path:
        made_webhook = await v2.send("PUT", f"{v2.path}/webhooks", json=bodies["WebhookRequest"])
        names["webhook_id"] = made_webhook.json()["data"]["id"]
    names["sample_id"] = "webhooks_object"
    path = "/v2" + operation.path.format(**names)
    return await v2.send(operation.method, path, headers={"Accept": accept}, **body)


@pytest.mark.parametrize("accept", ANYTHING)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_every_operation_answers_json(v2: V2Client, operation: Operation, accept: str) -> None:
    v2.installation.ticks.now += 100
    v2.headers = {"X-Auth-Token": v2.token(*DEFAULT_SCOPES, Scope.ADMIN)}
    response = await send(v2, operation, accept)
    assert response.status_code in operation.success, response.text
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "accept",
    ["audio/mpeg;q=.9, */*;q=.1", "audio/mpeg, *; q=.1", "*;q=.1, audio/mp3;q=1.", "text/html;q=.9,audio/*;q=.3"],
)
async def test_a_short_quality_selects_the_audio(v2: V2Client, accept: str) -> None:
    made = await v2.add()
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept})
    assert (response.status_code, response.content) == (200, AUDIO)


async def test_a_malformed_header_is_400_without_a_body(v2: V2Client) -> None:
    for accept in ("audio/", "audio/mpeg;q=.", "audio/mpeg;q=.1234", "text/html;level"):
        response = await v2.send("GET", headers={"Accept": accept})
        assert (response.status_code, response.content) == (400, b""), accept
