"""The queries and mutations of webhooks."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from graph.execution.request_limits import Limits
from recordings.model.webhook import MAX_WEBHOOKS, WebhookAnswer
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

FIELDS = """id accountId url name types filter include format descendants enabled disabledReason disabledAt
  kazoo { verb body customData } publicKeys secretOverlapSeconds formerSecretUntil waiting failures failingSince givenUp
  givenUpSince lastSuccess replay { since until types } created modified revision"""
ERRORS = "errors { __typename ... on UserError { code message path } ... on InvalidInputError { given allowed } }"
RESULTS = {
    "createWebhook": f"webhook {{ {FIELDS} }} secret",
    "updateWebhook": f"webhook {{ {FIELDS} }}",
    "deleteWebhook": "id",
    "testWebhook": "attempt { eventId type subject attempt succeeded status error response headers durationMs }",
    "rotateWebhookSecret": f"webhook {{ {FIELDS} }} secret",
    "replayWebhook": f"webhook {{ {FIELDS} }}",
}
URL = "https://hooks.example.org/in"


async def mutate(api: Api, name: str, /, caller: str = "admin", **input: Any) -> dict[str, Any]:
    kind = f"{name[0].upper()}{name[1:]}Input"
    text = f"mutation($input: {kind}!) {{ done: {name}(input: $input) {{ {RESULTS[name]} {ERRORS} }} }}"
    done: dict[str, Any] = (await api.ask(text, caller, input=input))["done"]
    return done


async def do(api: Api, name: str, /, **input: Any) -> dict[str, Any]:
    """Return the payload of a mutation that must succeed."""
    done = await mutate(api, name, **input)
    assert done["errors"] == []
    return done


async def error(api: Api, name: str, /, caller: str = "admin", **input: Any) -> dict[str, Any]:
    """Return the error of a mutation, which has no other result."""
    done = await mutate(api, name, caller, **input)
    (found,) = done.pop("errors")
    assert set(done.values()) == {None}
    return found  # type: ignore[no-any-return]


async def create(api: Api, **input: Any) -> dict[str, Any]:
    return await do(api, "createWebhook", **{"url": URL, **input})


async def test_a_webhook_is_created_read_changed_and_deleted(api: Api) -> None:
    done = await create(api, types=["STORED", "FAILED", "STORED"], include=["PARTIES"], name="CRM", descendants=True)
    made = done["webhook"]
    assert made == made | {
        "accountId": ACCOUNT, "url": URL, "name": "CRM", "types": ["FAILED", "STORED"], "filter": None,
        "include": ["PARTIES"], "format": "STANDARD", "descendants": True, "enabled": True, "disabledReason": None,
        "kazoo": None, "secretOverlapSeconds": 86_400, "formerSecretUntil": None, "waiting": 0, "replay": None,
        "revision": 1,
    }  # fmt: skip
    assert done["secret"].startswith("whsec_")
    assert [len(key) for key in made["publicKeys"]] == [len("whpk_") + 44]
    read = await api.ask(f"query($id: ID!) {{ webhook(id: $id) {{ {FIELDS} }} }}", "admin", id=made["id"])
    assert read == {"webhook": made}
    changed = (await do(api, "updateWebhook", id=made["id"], url=f"{URL}/new", types=None, enabled=False))["webhook"]
    assert (changed["url"], changed["types"], changed["name"], changed["revision"]) == (f"{URL}/new", None, "CRM", 2)
    assert (changed["enabled"], changed["disabledReason"]) == (False, "BY_CLIENT")
    # The secret stays the same.
    assert changed["publicKeys"] == made["publicKeys"]
    assert await do(api, "deleteWebhook", id=made["id"]) == {"id": made["id"], "errors": []}
    assert await api.ask("query($id: ID!) { webhook(id: $id) { id } }", "admin", id=made["id"]) == {"webhook": None}
    assert (await error(api, "deleteWebhook", id=made["id"]))["code"] == "NOT_FOUND"


async def test_a_filter_is_returned_as_it_was_sent(api: Api) -> None:
    sent = {
        "or": [{"label": {"equal": "vip"}}, {"from": {"in": ["1001@a", "1002@a"]}}],
        "not": {"userMetadata": [{"key": "case", "equal": 7}]},
        "start": {"gte": "2026-11-22T08:19:00.000Z"},
        "state": {"equal": "STORED"},
        "hasMedia": True,
    }
    made = (await create(api, filter=sent))["webhook"]
    assert made["filter"] == sent
    assert (await do(api, "updateWebhook", id=made["id"], name="x"))["webhook"]["filter"] == sent
    assert (await do(api, "updateWebhook", id=made["id"], filter=None))["webhook"]["filter"] is None


async def test_the_settings_of_kazoo_are_merged(api: Api) -> None:
    kazoo = {"verb": "PUT", "body": "JSON", "customData": {"tag": "a"}}
    made = (await create(api, format="KAZOO", kazoo=kazoo))["webhook"]
    assert made["kazoo"] == kazoo
    assert made["types"] == ["AMENDED", "HELD", "RELEASED", "RESTORED", "STORED", "TRASHED"]
    changed = (await do(api, "updateWebhook", id=made["id"], kazoo={"verb": "GET"}))["webhook"]
    assert changed["kazoo"] == kazoo | {"verb": "GET"}
    assert (await do(api, "updateWebhook", id=made["id"], format="STANDARD"))["webhook"]["kazoo"] is None


@pytest.mark.parametrize(
    ("input", "path", "message"),
    [
        ({"url": "ftp://a.example"}, ["url"], "url must be an absolute http or https URL of at most 2048 characters"),
        ({"url": ""}, ["url"], "url must be an absolute http or https URL"),
        ({"url": "https://internal.example/x"}, ["url"], "url must be an allowed URL (the host is private)"),
        ({"types": []}, ["types"], "types must be at least one type, or null for all, not []"),
        ({"secret": "whsec_short"}, ["secret"], "secret must be whsec_ and 24 to 64 bytes in base64, not '11 char"),
        ({"secret": f"whsk_{b64encode(bytes(32)).decode()}"}, ["secret"], "secret must be whsec_ and 24 to 64 bytes"),
        ({"secret": f"whsec_{b64encode(bytes(65)).decode()}"}, ["secret"], "secret must be whsec_ and 24 to 64 bytes"),
        ({"secretOverlapSeconds": -1}, ["secretOverlapSeconds"], "secretOverlapSeconds must be an integer from 0 to"),
        ({"kazoo": {"verb": "GET"}}, ["kazoo"], "kazoo must be left out with this format, not 'STANDARD'"),
        (
            {"format": "KAZOO", "kazoo": {"customData": {"a": 1}}},
            ["kazoo", "customData"],
            "kazoo.customData must be an object of texts",
        ),
        ({"format": "KAZOO", "types": ["LOST"]}, ["types"], "types must be types that Kazoo knows: recording.amended"),
        ({"filter": {"label": {"equal": "x" * 600}}}, ["filter", "label"], "filter.label"),
    ],
)
async def test_an_error_names_the_field_and_the_allowed_values(
    api: Api, input: dict[str, Any], path: list[str], message: str
) -> None:
    found = await error(api, "createWebhook", **{"url": URL, **input})
    assert found["__typename"] == "InvalidInputError"
    assert found["message"].startswith(message)
    assert found["path"][: len(path) + 1] == ["input", *path]
    assert found["allowed"] in found["message"]


async def test_an_unknown_type_or_format_is_rejected_with_the_allowed_values(api: Api) -> None:
    for name, value, allowed in (("types", "[GONE]", "RecordingEventType"), ("format", "XML", "WebhookFormat")):
        text = f'mutation {{ createWebhook(input: {{url: "{URL}", {name}: {value}}}) {{ secret }} }}'
        response = await api.http.post(
            "http://api.test/graphql", json={"query": text}, headers={"authorization": "Bearer admin"}
        )
        assert allowed in response.text


@pytest.mark.parametrize("name", [name for name in RESULTS if name != "createWebhook"])
async def test_others_cannot_tell_a_webhook_from_an_unknown_one(api: Api, name: str) -> None:
    made = (await create(api))["webhook"]
    more = {"since": "2026-01-01T00:00:00Z"} if name == "replayWebhook" else {}
    found = await error(api, name, "me", id=made["id"], **more)
    assert (found["code"], found["path"]) == ("FORBIDDEN", [])
    unknown = await error(api, name, id="f" * 32, **more)
    assert (unknown["code"], unknown["message"]) == ("NOT_FOUND", f"there is no webhook '{'f' * 32}'")
    assert (await error(api, name, id="x", **more))["code"] == "NOT_FOUND"


async def test_a_webhook_of_another_account_does_not_exist(api: Api) -> None:
    made = (await create(api))["webhook"]
    query = """query($id: ID!, $account: ID) {
      webhook(id: $id) { id } webhooks(first: 1, accountId: $account) { totalCount } }"""
    for account, code in ((CHILD, None), (ACCOUNT, None), (SIBLING, "NOT_FOUND")):
        answer = await api.send(query, "admin", id=made["id"], account=account)
        codes = [each["extensions"]["code"] for each in answer.get("errors", ())]
        assert codes == ([] if code is None else [code])
    # Credentials of an owner, and without the scope ADMIN.
    for caller in ("ada", "reader"):
        refused = await api.refused("query($id: ID!) { webhook(id: $id) { id } }", caller, id=made["id"])
        assert refused["extensions"]["code"] == "FORBIDDEN"
    assert (await error(api, "createWebhook", url=URL, accountId=SIBLING))["code"] == "NOT_FOUND"
    below = (await create(api, accountId=CHILD))["webhook"]
    assert below["accountId"] == CHILD


async def test_webhooks_have_pages_in_both_directions(api: Api) -> None:
    ids = []
    for number in range(5):
        ids.append((await create(api, name=str(number)))["webhook"]["id"])
        api.installation.clock.move(1)
    query = """query($first: Int, $after: String, $last: Int, $before: String) {
      webhooks(first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { id } edges { cursor node { name } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""

    async def page(**arguments: Any) -> dict[str, Any]:
        return (await api.ask(query, "admin", **arguments))["webhooks"]  # type: ignore[no-any-return]

    first = await page(first=2)
    assert [node["id"] for node in first["nodes"]] == ids[:2]
    assert first["totalCount"] == 5
    assert first["pageInfo"] == {
        "hasNextPage": True, "hasPreviousPage": False, "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][1]["cursor"],
    }  # fmt: skip
    second = await page(first=10, after=first["pageInfo"]["endCursor"])
    assert [node["id"] for node in second["nodes"]] == ids[2:]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)
    last = await page(last=2, before=second["pageInfo"]["startCursor"])
    assert [edge["node"]["name"] for edge in last["edges"]] == ["0", "1"]
    empty = await page(first=0)
    assert (empty["nodes"], empty["totalCount"]) == ([], 5)
    for wrong in ({}, {"first": 101}, {"first": 1, "last": 1}, {"first": 1, "after": "x"}):
        assert (await api.refused(query, "admin", **wrong))["extensions"]["code"] in {"INVALID_INPUT", "INVALID_CURSOR"}


async def test_an_account_has_at_most_100_webhooks(api: Api) -> None:
    for _ in range(MAX_WEBHOOKS):
        await create(api)
    assert "100 webhooks at most" in (await error(api, "createWebhook", url=URL))["message"]


async def test_a_test_is_sent_at_once_and_noted(api: Api) -> None:
    done = await create(api)
    webhook_id = done["webhook"]["id"]
    attempt = (await do(api, "testWebhook", id=webhook_id))["attempt"]
    assert attempt == attempt | {"succeeded": True, "status": 200, "type": "WEBHOOK_TEST", "attempt": 1}
    (request,) = api.receiver.requests
    # A receiver that hangs must not end the request of the client first.
    assert api.receiver.limit is not None
    assert api.receiver.limit < Limits().seconds * 1_000
    assert _verifies(done["secret"], request)
    event = json.loads(request.body)
    assert (event["type"], event["data"]["id"]) == ("webhook.test", webhook_id)
    assert request.headers["webhook-id"] == attempt["eventId"]
    # A disabled webhook, whose receiver fails.
    await do(api, "updateWebhook", id=webhook_id, enabled=False)
    api.receiver.answer = lambda _: WebhookAnswer(500, {"server": "x"}, "broken", duration_ms=7)
    failed = (await do(api, "testWebhook", id=webhook_id))["attempt"]
    assert failed == failed | {"succeeded": False, "status": 500, "error": None, "response": "broken", "durationMs": 7}
    api.receiver.answer = lambda _: WebhookAnswer(error="the connection failed")
    await do(api, "testWebhook", id=webhook_id)
    query = """query($id: ID!, $first: Int!) { webhook(id: $id) { disabledReason all: attempts { status error }
      attempts(first: $first) { succeeded status error response headers } } }"""
    found = (await api.ask(query, "admin", id=webhook_id, first=2))["webhook"]
    assert found["all"] == [
        {"status": None, "error": "the connection failed"},
        {"status": 500, "error": None},
        {"status": 200, "error": None},
    ]
    assert found["attempts"][1] == {
        "succeeded": False, "status": 500, "error": None, "response": "broken", "headers": {"server": "x"},
    }  # fmt: skip
    for first in (0, 101):
        refused = await api.refused(query, "admin", id=webhook_id, first=first)
        assert refused["message"] == f"first must be an integer from 1 to 100, not {first}"


async def test_a_rotation_keeps_the_former_secret_for_a_while(api: Api) -> None:
    done = await create(api, secretOverlapSeconds=60)
    webhook_id, secrets = done["webhook"]["id"], [done["secret"]]
    given = f"whsec_{b64encode(b'x' * 32).decode()}"
    rotated = await do(api, "rotateWebhookSecret", id=webhook_id, secret=given)
    secrets.insert(0, rotated["secret"])
    assert rotated["secret"] == given
    assert rotated["webhook"]["publicKeys"][1:] == done["webhook"]["publicKeys"]
    assert rotated["webhook"]["formerSecretUntil"] is not None

    async def accepted() -> list[bool]:
        await do(api, "testWebhook", id=webhook_id)
        request = api.receiver.requests[-1]
        names = [each.partition(",")[0] for each in request.headers["webhook-signature"].split(" ")]
        assert names == sorted(names)
        return [_verifies(secret, request) for secret in secrets]

    assert await accepted() == [True, True]
    # A second rotation in this time ends the oldest secret.
    secrets.insert(0, (await do(api, "rotateWebhookSecret", id=webhook_id, secretOverlapSeconds=30))["secret"])
    assert await accepted() == [True, True, False]
    api.installation.clock.move(30_000)
    assert await accepted() == [True, False, False]
    assert (await error(api, "rotateWebhookSecret", id=webhook_id, secret="x"))["path"] == ["input", "secret"]
    assert await accepted() == [True, False, False]


def _verifies(secret: str, request: Any) -> bool:
    # The clock of the test differs from that of the library.
    headers = request.headers
    moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    expected = Webhook(secret).sign(headers["webhook-id"], moment, request.body.decode())
    return expected in headers["webhook-signature"].split(" ")


async def test_a_replay_needs_a_time_range_and_an_enabled_webhook(api: Api) -> None:
    made = (await create(api, types=["STORED", "LOST"]))["webhook"]
    since, until = "2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z"
    replay = {"id": made["id"], "since": since, "until": until}
    found = await error(api, "replayWebhook", **replay | {"since": until, "until": since})
    assert (found["path"], found["message"]) == (
        ["input", "since"], f"since must be a time before {since}, not '{until}'",
    )  # fmt: skip
    assert (await error(api, "replayWebhook", **replay, types=["HELD"]))["path"] == ["input", "types"]
    await do(api, "updateWebhook", id=made["id"], enabled=False)
    disabled = await error(api, "replayWebhook", **replay)
    assert (disabled["code"], disabled["path"]) == ("INVALID_STATE", ["input", "id"])
    await do(api, "updateWebhook", id=made["id"], enabled=True)
    done = (await do(api, "replayWebhook", **replay, types=["STORED"]))["webhook"]
    assert done["replay"] == {"since": since, "until": until, "types": ["STORED"]}
    assert "is running" in (await error(api, "replayWebhook", **replay))["message"]


async def test_a_change_may_name_the_revision(api: Api) -> None:
    made = (await create(api))["webhook"]
    assert (await do(api, "updateWebhook", id=made["id"], name="a", revision=1))["webhook"]["revision"] == 2
    found = await error(api, "updateWebhook", id=made["id"], name="b", revision=1)
    assert (found["code"], found["path"]) == ("CONFLICT", ["input", "revision"])


async def test_no_secret_is_in_the_audit_trail(api: Api) -> None:
    done = await create(api, url="https://user:hunter2@hooks.example.org/in?key=hunter3")
    webhook_id = done["webhook"]["id"]
    rotated = await do(api, "rotateWebhookSecret", id=webhook_id)
    await do(api, "testWebhook", id=webhook_id)
    await do(api, "updateWebhook", id=webhook_id, url="https://other.example.org/?key=hunter4")
    await error(api, "rotateWebhookSecret", id=webhook_id, secret="whsec_hunter5")
    await do(api, "deleteWebhook", id=webhook_id)
    trail = repr((api.installation.audit.entries, api.installation.audit.refusals, api.installation.audit.details))
    assert webhook_id in trail
    for text in ("hunter", done["secret"], rotated["secret"], "whsk_"):
        assert text not in trail
