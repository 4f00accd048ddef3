"""The webhooks of the v2 API, as Kazoo's `cb_webhooks` serves them (`docs/v2_contract.md`, section 9.5)."""

from dataclasses import replace
from typing import Any, Final

import pytest
import pytest_asyncio

from recordings.model.account import GRANTABLE, Scope
from recordings.model.webhook import DisabledReason, WebhookAnswer, WebhookFormat
from tests.rest_v2.v2_installation import V2Client, client_of, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")
CUSTOM: Final = {"type": "call_recording", "action": "doc_created", "tag": "crm"}
NEW: Final = {"name": "CRM", "uri": "http://crm.example.org/hook.php", "hook": "object", "custom_data": CUSTOM}
DEFAULTS: Final = {
    "http_verb": "post", "format": "form-data", "retries": 2, "enabled": True, "include_internal_legs": True,
    "include_subaccounts": False,
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def admin(v2: V2Client) -> V2Client:
    v2.headers = {"X-Auth-Token": v2.token(*GRANTABLE)}
    return v2


async def send(client: V2Client, method: str, path: str, data: Any, status: int = 200) -> Any:
    response = await client.send(method, f"{client.path}/webhooks{path}", json={"data": data})
    assert response.status_code == status, response.text
    return response.json()["data"]


async def create(client: V2Client, **fields: Any) -> dict[str, Any]:
    return await send(client, "PUT", "", {**NEW, **fields}, 201)  # type: ignore[no-any-return]


async def get(client: V2Client, path: str = "", status: int = 200, **query: Any) -> Any:
    response = await client.get(f"{client.path}/webhooks{path}", **query)
    assert response.status_code == status, response.text
    return response.json()["data"]


async def errors(client: V2Client, data: Any, method: str = "PUT", path: str = "") -> dict[str, Any]:
    """Return the broken rules of each invalid value."""
    found = await send(client, method, path, data, 400)
    return {name: sorted(rules) for name, rules in found.items()}


async def test_a_webhook_is_created_listed_changed_and_deleted(admin: V2Client) -> None:
    assert await get(admin) == []
    made = await create(admin)
    assert made == {**DEFAULTS, **NEW, "id": made["id"]}
    assert await get(admin, f"/{made['id']}") == made
    assert await get(admin) == [
        {"id": made["id"], "hook": "object", "name": "CRM", "uri": NEW["uri"], "enabled": True}
    ]  # fmt: skip
    changed = await send(admin, "PATCH", f"/{made['id']}", {"http_verb": "put", "custom_data": {"tag": None}})
    assert changed == {**made, "http_verb": "put", "custom_data": {"type": "call_recording", "action": "doc_created"}}
    # POST replaces the document: the verb has its default again.
    replaced = await send(admin, "POST", f"/{made['id']}", {**NEW, "name": "Other", "include_subaccounts": True})
    assert replaced == {**made, "name": "Other", "include_subaccounts": True}
    deleted = await send(admin, "DELETE", f"/{made['id']}", {})
    assert deleted == {**replaced, "_read_only": {"deleted": True}}
    assert await get(admin) == []
    assert (await get(admin, f"/{made['id']}", 404)) == {"message": "bad identifier", "cause": made["id"]}


async def test_a_document_that_a_client_read_can_be_sent_back(admin: V2Client) -> None:
    made = await create(admin, format="json", retries=3, modifiers={"action": ["doc_created"]}, group="sales")
    document = await get(admin, f"/{made['id']}")
    assert document["group"] == "sales"
    assert await send(admin, "POST", f"/{made['id']}", {**document, "ui_metadata": {"ui": "monster-ui"}}) == document
    assert (await get(admin))[0]["group"] == "sales"


async def test_texts_are_converted_as_kazoo_does(admin: V2Client) -> None:
    made = await create(admin, enabled="false", retries="4", include_subaccounts="true")
    assert (made["enabled"], made["retries"], made["include_subaccounts"]) == (False, 4, True)


async def test_an_invalid_document_names_each_value(admin: V2Client) -> None:
    assert await errors(admin, {}) == {
        "name": ["required"], "uri": ["required"], "hook": ["required"],
        "custom_data.type": ["required"], "custom_data.action": ["required"],
    }  # fmt: skip
    wrong = {
        **NEW, "hook": "channel_create", "http_verb": "delete", "format": "xml", "retries": 6, "enabled": "maybe",
        "name": 7, "custom_data": {"type": "user", "action": "doc_gone", "tag": 1},
    }  # fmt: skip
    assert await errors(admin, wrong) == {
        "hook": ["enum"], "http_verb": ["enum"], "format": ["enum"], "retries": ["maximum"], "enabled": ["type"],
        "name": ["type"], "custom_data.type": ["enum"], "custom_data.action": ["enum"], "custom_data.tag": ["type"],
    }  # fmt: skip
    assert await errors(admin, {**NEW, "retries": -1}) == {"retries": ["minimum"]}
    assert await errors(admin, {**NEW, "custom_data": "x"}) == {"custom_data": ["type"]}
    assert await errors(admin, {**NEW, "custom_data": {**CUSTOM, "x": "y" * 5_000}}) == {"custom_data": ["maxLength"]}
    for uri in ("not a url", "ftp://crm.example.org", "https://internal.example/", "", 5):
        assert list(await errors(admin, {**NEW, "uri": uri})) == ["uri"], uri
    assert await get(admin) == []
    data = await send(admin, "PUT", "", {**NEW, "hook": "channel_create"}, 400)
    assert data["hook"]["enum"] == {
        "message": "Value not found in enumerated list of values", "target": ["object"], "value": "channel_create",
        "cause": "This service sends the events of recordings only: hook must be object",
    }  # fmt: skip
    made = await create(admin)
    assert await errors(admin, {**NEW, "hook": "all"}, "POST", f"/{made['id']}") == {"hook": ["enum"]}
    assert await errors(admin, {"uri": None}, "PATCH", f"/{made['id']}") == {"uri": ["required"]}


@pytest.mark.parametrize("action", ["all", "doc_created", "doc_edited", "doc_deleted"])
@pytest.mark.parametrize("object_type", ["all", "call_recording"])
async def test_type_and_action_are_shown_as_they_were_given(admin: V2Client, object_type: str, action: str) -> None:
    custom = {"type": object_type, "action": action}
    made = await create(admin, custom_data=custom)
    assert (await get(admin, f"/{made['id']}"))["custom_data"] == custom


async def test_webhooks_of_other_formats_and_accounts_are_not_shown(admin: V2Client) -> None:
    webhooks, principal = admin.installation.webhooks, admin.principal(*GRANTABLE)
    other = (await webhooks.create(principal, {"url": "https://a.example.org"})).endpoint.webhook.id
    child = await new_account(admin.installation, tree=(admin.account.id,))
    values = {"url": "https://a.example.org", "format": WebhookFormat.KAZOO, "custom_data": {"type": "x"}}
    below = (await webhooks.create(principal, values, child.id)).endpoint.webhook.id
    own = (await webhooks.create(principal, values)).endpoint.webhook.id
    assert [each["id"] for each in await get(admin)] == [own]
    document = await get(admin, f"/{own}")
    assert document["custom_data"] == {"type": "call_recording", "action": "all"}
    for hidden in (other, below, "f" * 32, "x"):
        await get(admin, f"/{hidden}", 404)
        await send(admin, "PATCH", f"/{hidden}", {"name": "x"}, 404)
        await send(admin, "DELETE", f"/{hidden}", {}, 404)
        await get(admin, f"/{hidden}/attempts", 404)


async def test_an_administrator_is_needed(admin: V2Client) -> None:
    made = await create(admin)
    scopes = (Scope.READ, Scope.CONTROL, Scope.DELETE, Scope.LISTEN)
    for token in (admin.token(*scopes), admin.token(*GRANTABLE, owner_id="ada")):
        admin.headers = {"X-Auth-Token": token}
        await get(admin, "", 403)
        await send(admin, "PUT", "", NEW, 403)
    await get(admin, f"/{made['id']}", 404)


async def test_lists_have_pages_and_filters(admin: V2Client) -> None:
    ids = sorted([(await create(admin, name=f"n{number}"))["id"] for number in range(3)])
    response = (await admin.get(f"{admin.path}/webhooks", page_size=2)).json()
    assert [each["id"] for each in response["data"]] == ids[:2]
    rest = (await admin.get(f"{admin.path}/webhooks", page_size=2, start_key=response["next_start_key"])).json()
    assert [each["id"] for each in rest["data"]] == ids[2:]
    assert "next_start_key" not in rest
    assert [each["name"] for each in await get(admin, filter_name="n1")] == ["n1"]


async def test_disabled_webhooks_are_enabled_together(admin: V2Client) -> None:
    child = await new_account(admin.installation, tree=(admin.account.id,))
    failing, gone, by_client = [(await create(admin))["id"] for _ in range(3)]
    await send(admin, "PATCH", f"/{by_client}", {"enabled": False})
    below = (
        await admin.installation.webhooks.create(
            admin.principal(*GRANTABLE), {"url": "https://a.example.org", "format": WebhookFormat.KAZOO}, child.id
        )
    ).endpoint.webhook.id
    for webhook_id, reason in ((failing, "FAILING"), (gone, "GONE"), (below, "GONE")):
        await disable(admin, webhook_id, DisabledReason[reason])
    shown = {each["id"]: each.get("disable_reason") for each in await get(admin)}
    assert shown == {failing: "too many failed attempts", gone: "the receiver answered 410", by_client: None}
    assert (await get(admin, f"/{gone}"))["enabled"] is False
    assert await errors(admin, {}, "PATCH") == {"re-enable": ["required"]}
    assert await errors(admin, {"re-enable": False}, "PATCH") == {"re-enable": ["enum"]}
    assert await send(admin, "PATCH", "", {"re-enable": True}) == "hooks updated"
    enabled = {each["id"]: each["enabled"] for each in await get(admin)}
    assert enabled == {failing: True, gone: True, by_client: False}
    assert (await admin.installation.store.webhook(below)).webhook.disabled is DisabledReason.GONE  # type: ignore[union-attr]
    response = await admin.send("PATCH", f"{admin.path}/descendants/webhooks", json={"data": {"re-enable": True}})
    assert (response.status_code, response.json()["data"]) == (200, "hooks updated")
    assert (await admin.installation.store.webhook(below)).webhook.enabled  # type: ignore[union-attr]
    # A change with `enabled` enables one, too.
    await disable(admin, gone, DisabledReason.FAILING)
    assert (await send(admin, "PATCH", f"/{gone}", {"enabled": True}))["enabled"] is True


async def disable(client: V2Client, webhook_id: str, reason: DisabledReason) -> None:
    """Disable a webhook, as the sender does."""
    found = await client.installation.store.webhook(webhook_id)
    assert found is not None
    webhook = replace(found.webhook, disabled=reason, disabled_at=1, revision=found.webhook.revision + 1)
    assert await client.installation.store.save_webhook(webhook)


async def test_attempts_are_listed(admin: V2Client) -> None:
    first, second = [(await create(admin))["id"] for _ in range(2)]
    receiver, principal = admin.installation.receiver, admin.principal(*GRANTABLE)
    answers = iter(
        [WebhookAnswer(200, {"server": "x"}, "ok"), WebhookAnswer(500, {}, "broken"), WebhookAnswer(error="no")]
    )
    receiver.answer = lambda _: next(answers)
    for webhook_id in (first, first, second):
        await admin.installation.webhooks.test(principal, webhook_id)
        admin.installation.clock.move(1_000)
    newest, middle, oldest = await get(admin, "/attempts")
    now = admin.now
    assert newest == newest | {
        "hook_id": second, "hook_event": "object", "result": "failure", "reason": "kazoo http client error",
        "client_error": "no", "timestamp": now - 1, "method": "post", "try": 1,
    }  # fmt: skip
    assert middle == middle | {
        "hook_id": first, "result": "failure", "reason": "bad response code", "resp_status_code": "500",
        "resp_body": "broken",
    }  # fmt: skip
    assert (oldest["result"], oldest["resp_status_code"], oldest["resp_headers"]) == ("success", "200", {"server": "x"})
    assert await get(admin, f"/{first}/attempts") == [middle, oldest]
    assert await get(admin, "/attempts", created_from=now - 2, created_to=now - 2) == [middle]
    page = (await admin.get(f"{admin.path}/webhooks/attempts", page_size=1)).json()
    assert page["data"] == [newest]
    rest = (await admin.get(f"{admin.path}/webhooks/attempts", start_key=page["next_start_key"])).json()
    assert rest["data"] == [middle, oldest]


async def test_the_catalogue_and_the_samples_need_no_token(v2: V2Client) -> None:
    async with client_of(v2.installation.app()) as client:
        catalogue = (await client.get("/v2/webhooks")).json()
        assert [each["id"] for each in catalogue["data"]] == ["object"]
        assert catalogue["page_size"] == 1
        assert catalogue["data"][0]["modifiers"]["type"]["items"] == ["all", "call_recording"]
        assert (await client.get("/v2/webhooks/samples")).json()["data"] == ["webhooks_object"]
        samples = (await client.get("/v2/webhooks/samples/webhooks_object")).json()
        assert [each["action"] for each in samples["data"]] == ["doc_created", "doc_edited", "doc_deleted"]
        assert samples["page_size"] == 3
        one = await client.get("/v2/webhooks/samples/webhooks_object", params={"filter_action": "doc_created"})
        assert [each["action"] for each in one.json()["data"]] == ["doc_created"]
        unknown = await client.get("/v2/webhooks/samples/webhooks_parking")
        assert (unknown.status_code, unknown.json()["data"]["cause"]) == (404, "webhooks_parking")
        assert (await client.put("/v2/webhooks", json={"data": NEW})).status_code == 405
        assert (await client.get(f"/v2/accounts/{v2.account.id}/webhooks")).status_code == 401
