"""The queries and mutations of webhooks."""

from collections.abc import Awaitable
from functools import partial
from typing import Annotated, Any, TypeVar, cast

import strawberry
from strawberry import UNSET

from graph.schema.error_types import WebhookError, user_errors
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.list_page import Connection, cut_page
from graph.schema.page_arguments import After, Before, First, Last, PageArguments
from graph.schema.partial_input import value_or_none
from graph.schema.policy_inputs import ACCOUNT_ID
from graph.schema.webhook_inputs import (
    CreateWebhookInput,
    DeleteWebhookInput,
    ReplayWebhookInput,
    RotateWebhookSecretInput,
    TestWebhookInput,
    UpdateWebhookInput,
)
from graph.schema.webhook_types import (
    Webhook,
    WebhookAttempt,
    attempt_source,
    webhook_source,
)
from recordings.model.errors import NotFound, Refused
from recordings.model.instants import SECOND
from recordings.model.query import Position
from recordings.ports.webhook_store import Endpoint
from recordings.rules.cursor import TimeList

_input = strawberry.argument(description="The input.")
_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of the webhook.")]
_AccountId = Annotated[strawberry.ID | None, strawberry.argument(description=ACCOUNT_ID)]
Payload = TypeVar("Payload")


async def resolve_webhook(info: Info, id: _Id) -> Webhook | None:
    """Return a webhook; `None` if it does not exist or the caller cannot access it."""
    try:
        return _source(info, await info.context.webhooks.find(info.context.principal, id))
    except NotFound:
        return None


async def resolve_webhooks(
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    account_id: _AccountId = UNSET,
) -> Connection[Webhook]:
    """Return a page of the webhooks of an account, oldest first."""
    context = info.context
    arguments = PageArguments.of(first, after, last, before)
    found = await context.webhooks.of_account(context.principal, _plain(value_or_none(account_id)))
    page = cut_page(info, TimeList.WEBHOOKS, arguments, found, _position, partial(_source, info))
    return cast("Connection[Webhook]", page)


def _position(endpoint: Endpoint) -> Position:
    return Position(endpoint.webhook.created, endpoint.webhook.id)


def _source(info: Info, endpoint: Endpoint) -> Webhook:
    return cast("Webhook", webhook_source(endpoint, info.context.clock.now()))


def _plain(account_id: str | None) -> str | None:
    return None if account_id is None else plain(account_id, ACCOUNT)


def _webhook() -> Any:
    return strawberry.field(description="The webhook now. Null if there are errors.")


def _errors() -> Any:
    return strawberry.field(description="The errors. Empty if the mutation succeeded.")


def _secret() -> Any:
    return strawberry.field(
        description="The secret, for the receiver. It cannot be read again. Null if there are errors."
    )


@strawberry.type(description="The result of `createWebhook`.")
class CreateWebhookPayload:
    webhook: Webhook | None = _webhook()
    secret: str | None = strawberry.field(
        description="The secret, for the receiver. It cannot be read again. Null if there are errors, and for a "
        "repeated request if the webhook was changed since the first one."
    )
    errors: list[WebhookError] = _errors()


@strawberry.type(description="The result of `updateWebhook`.")
class UpdateWebhookPayload:
    webhook: Webhook | None = _webhook()
    errors: list[WebhookError] = _errors()


@strawberry.type(description="The result of `deleteWebhook`.")
class DeleteWebhookPayload:
    id: strawberry.ID | None = strawberry.field(
        description="The id of the webhook that was deleted. Null if there are errors."
    )
    errors: list[WebhookError] = _errors()


@strawberry.type(description="The result of `testWebhook`.")
class TestWebhookPayload:
    attempt: WebhookAttempt | None = strawberry.field(
        description="The request and its response. Null if there are errors."
    )
    errors: list[WebhookError] = _errors()


@strawberry.type(description="The result of `rotateWebhookSecret`.")
class RotateWebhookSecretPayload:
    webhook: Webhook | None = _webhook()
    secret: str | None = _secret()
    errors: list[WebhookError] = _errors()


@strawberry.type(description="The result of `replayWebhook`.")
class ReplayWebhookPayload:
    webhook: Webhook | None = _webhook()
    errors: list[WebhookError] = _errors()


async def _payload(kind: type[Payload], values: Awaitable[dict[str, Any]], *names: str) -> Payload:
    """Return a payload with the values of an action; or, if it is refused, with the errors and without values."""
    make: Any = kind
    try:
        payload: Payload = make(**await values, errors=[])
    except Refused as refused:
        payload = make(**dict.fromkeys(names), errors=user_errors(refused))
    return payload


async def create(info: Info, input: Annotated[CreateWebhookInput, _input]) -> CreateWebhookPayload:
    """Create a webhook."""

    async def act() -> dict[str, Any]:
        context = info.context
        created = await context.webhooks.create(
            context.principal, input.values(), _plain(input.account_id), input.secret, input.idempotency_key
        )
        return {"webhook": _source(info, created.endpoint), "secret": created.secret}

    return await _payload(CreateWebhookPayload, act(), "webhook", "secret")


async def update(info: Info, input: Annotated[UpdateWebhookInput, _input]) -> UpdateWebhookPayload:
    """Change a webhook."""

    async def act() -> dict[str, Any]:
        context = info.context
        values = input.values()
        if "kazoo" in values:
            before = await context.webhooks.find(context.principal, input.id)
            values["kazoo"] = {**before.webhook.kazoo, **values["kazoo"]}
        changed = await context.webhooks.update(context.principal, input.id, values, input.revision)
        return {"webhook": _source(info, changed)}

    return await _payload(UpdateWebhookPayload, act(), "webhook")


async def delete(info: Info, input: Annotated[DeleteWebhookInput, _input]) -> DeleteWebhookPayload:
    """Delete a webhook."""

    async def act() -> dict[str, Any]:
        return {"id": (await info.context.webhooks.delete(info.context.principal, input.id)).id}

    return await _payload(DeleteWebhookPayload, act(), "id")


async def test(info: Info, input: Annotated[TestWebhookInput, _input]) -> TestWebhookPayload:
    """Send a test event to a webhook."""

    async def act() -> dict[str, Any]:
        attempt = await info.context.webhooks.test(info.context.principal, input.id)
        return {"attempt": attempt_source(attempt)}

    return await _payload(TestWebhookPayload, act(), "attempt")


async def rotate(info: Info, input: Annotated[RotateWebhookSecretInput, _input]) -> RotateWebhookSecretPayload:
    """Give a webhook a new secret."""

    async def act() -> dict[str, Any]:
        context, seconds = info.context, input.secret_overlap_seconds
        overlap = None if seconds is None else seconds * SECOND
        rotated = await context.webhooks.rotate_secret(context.principal, input.id, input.secret, overlap)
        return {"webhook": _source(info, rotated.endpoint), "secret": rotated.secret}

    return await _payload(RotateWebhookSecretPayload, act(), "webhook", "secret")


async def replay(info: Info, input: Annotated[ReplayWebhookInput, _input]) -> ReplayWebhookPayload:
    """Send events to a webhook again."""

    async def act() -> dict[str, Any]:
        context = info.context
        started = await context.webhooks.replay(context.principal, input.id, input.since, input.until, input.types)
        return {"webhook": _source(info, started)}

    return await _payload(ReplayWebhookPayload, act(), "webhook")
