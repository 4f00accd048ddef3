"""Access to webhooks, with random principals and accounts, is compared with a short model."""

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given, settings

from recordings.model.account import Principal, Scope
from recordings.model.errors import Forbidden, NotFound, Refused
from recordings.model.ids import new_id
from recordings.model.webhook import Webhook, WebhookProgress, start_of
from recordings.ports.secret_store import AccountSecret
from recordings.rules.webhook_signature import new_secret_pair
from recordings.use_cases.webhooks import Webhooks
from tests.domain.test_access_property import Installation, World, comparable, use_cases, worlds
from tests.support.webhook_parts import ScriptedReceiver, sealer, webhooks_on

WEBHOOK = "f" * 32
BY_WEBHOOK: dict[str, Callable[[Webhooks, Principal, str], Awaitable[Any]]] = {
    "find": Webhooks.find,
    "public_keys": Webhooks.public_keys,
    "attempts": Webhooks.attempts,
    "update": lambda service, caller, id: service.update(caller, id, {"name": "new"}),
    "delete": Webhooks.delete,
    "rotate_secret": Webhooks.rotate_secret,
    "replay": lambda service, caller, id: service.replay(caller, id, 1),
    "test": Webhooks.test,
}
WEBHOOKS_OF: dict[str, Callable[[Webhooks, Principal, str], Awaitable[Any]]] = {
    "of_account": Webhooks.of_account,
    "create": lambda service, caller, id: service.create(caller, {"url": "https://example.org"}, id),
}


def test_every_use_case_of_webhooks_is_checked() -> None:
    assert use_cases(Webhooks).keys() == BY_WEBHOOK.keys() | WEBHOOKS_OF.keys()


async def _webhook_call(world: World, owner: str, call: Callable[[Webhooks, Principal], Awaitable[Any]]) -> Any:
    """Return the result of a call when the account `owner` has a webhook. An error must not change anything."""
    installation = Installation(world)
    store, receiver = installation.store, ScriptedReceiver()
    service = webhooks_on(store, installation.clock, installation.audit, receiver)
    webhook = Webhook(id=WEBHOOK, account_id=owner, url="https://example.org", created=0, modified=0)
    await store.insert_webhook(webhook, WebhookProgress(webhook_id=WEBHOOK, cursor=start_of(0)))
    secret = sealer().seal(new_secret_pair().text, f"{owner}:webhook/{WEBHOOK}")
    await store.save_account_secret(AccountSecret(owner, f"webhook/{WEBHOOK}", (secret,)), ())
    before = dict(store.endpoints), dict(store.secrets)
    try:
        return await call(service, world.principal)
    except Refused as refused:
        assert (store.endpoints, store.secrets, receiver.requests, installation.audit.entries) == (*before, [], [])
        assert len(installation.audit.refusals) == 1
        return refused


@given(world=worlds())
@settings(max_examples=60)
async def test_access_to_webhooks(world: World) -> None:
    unknown = new_id()
    for name, case in BY_WEBHOOK.items():
        for account_id in world.parents:
            result = await _webhook_call(world, account_id, lambda service, caller: case(service, caller, WEBHOOK))  # noqa: B023 - called at once
            if not world.has_scope(Scope.ADMIN):
                assert isinstance(result, Forbidden), name
            elif world.principal.owner_id is not None or not world.can_access_account(account_id):
                missing = await _webhook_call(world, account_id, lambda service, caller: case(service, caller, unknown))  # noqa: B023
                assert isinstance(result, NotFound), name
                assert comparable(result, WEBHOOK) == comparable(missing, unknown), name
            else:
                assert not isinstance(result, Refused), name
    for name, case in WEBHOOKS_OF.items():
        for account_id in (*world.parents, unknown):
            result = await _webhook_call(
                world,
                next(iter(world.parents)),
                lambda service, caller: case(service, caller, account_id),  # noqa: B023
            )
            if not world.has_scope(Scope.ADMIN):
                assert isinstance(result, Forbidden), name
            elif account_id == unknown or not world.can_access_account(account_id):
                assert isinstance(result, NotFound), name
            elif world.principal.owner_id is not None:
                assert isinstance(result, Forbidden), name
            else:
                assert not isinstance(result, Refused), name
