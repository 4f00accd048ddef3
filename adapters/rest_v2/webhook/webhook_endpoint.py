"""The webhooks of accounts, as Kazoo's `cb_webhooks` serves them (`docs/v2_contract.md`, section 9.5).

Only webhooks in the format KAZOO exist here: the others have no Kazoo document, and a v2 client could not keep them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from adapters.rest_v2.gregorian import to_gregorian
from adapters.rest_v2.listing.list_filters import read_filters
from adapters.rest_v2.listing.list_query import TimeRange, read_time_range
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import V2Error, bad_identifier, invalid, invalid_input
from adapters.rest_v2.session.account_documents import reply_with_page
from adapters.rest_v2.webhook.webhook_catalogue import CATALOGUE, SAMPLES
from adapters.rest_v2.webhook.webhook_document import (
    Document,
    KazooSettings,
    document_of,
    public,
    read_document,
    summary_of,
)
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.webhook import DisabledReason, Webhook, WebhookAttempt, WebhookFormat
from recordings.ports.clock import Clock
from recordings.rules.policy_schema import merge_patch
from recordings.use_cases.users import ManageUsers
from recordings.use_cases.webhooks import Webhooks

_REENABLE: Final = "re-enable"
_MILLIS: Final = 10**15
"""Later than every time, so that the difference to it sorts the newest first."""
_NAMES: Final = {
    "url": "uri",
    "verb": "http_verb",
    "descendants": "include_subaccounts",
    "kazoo.custom_data": "custom_data",
}
"""Kazoo's names of the fields of a webhook."""
Attempt = tuple[Webhook, WebhookAttempt]


class WebhookEndpoint:
    """Serves webhooks, their attempts, the catalogue and the samples."""

    def __init__(self, *, webhooks: Webhooks, users: ManageUsers, clock: Clock) -> None:
        self._webhooks = webhooks
        self._users = users
        self._clock = clock

    async def list_webhooks(self, context: RequestContext) -> Response:
        """List the webhooks of an account, by id."""
        context.accepted_types()
        matches = read_filters(context.parameters.query).matches
        found = [each for each in await self._of_account(context) if matches(document_of(each))]
        return reply_with_page(context, found, lambda webhook: ("", webhook.id), summary_of)

    async def put_webhook(self, context: RequestContext) -> Response:
        """Create a webhook."""
        context.accepted_types()
        values = _values(read_document(context.parameters.body()))
        try:
            created = await self._webhooks.create(context.principal, values, context.account.id)
        except InvalidInput as error:
            raise _renamed(error) from error
        return context.reply(document_of(created.endpoint.webhook), status=201)

    async def get_webhook(self, context: RequestContext) -> Response:
        """Return the document of a webhook."""
        context.accepted_types()
        return context.reply(document_of(await self._find(context)))

    async def post_webhook(self, context: RequestContext) -> Response:
        """Replace the document of a webhook."""
        context.accepted_types()
        webhook = await self._find(context)
        return await self._save(context, webhook, context.parameters.body())

    async def patch_webhook(self, context: RequestContext) -> Response:
        """Merge an object into the document of a webhook. `null` removes a key."""
        context.accepted_types()
        webhook = await self._find(context)
        return await self._save(context, webhook, merge_patch(document_of(webhook), public(context.parameters.body())))

    async def delete_webhook(self, context: RequestContext) -> Response:
        """Delete a webhook."""
        context.accepted_types()
        webhook = await self._find(context)
        await self._webhooks.delete(context.principal, webhook.id)
        return context.reply({**document_of(webhook), "_read_only": {"deleted": True}})

    async def enable_webhooks(self, context: RequestContext) -> Response:
        """Enable the webhooks of an account that the service disabled."""
        context.accepted_types()
        _check_reenable(context)
        return await self._enable(context, [context.account.id])

    async def enable_webhooks_below(self, context: RequestContext) -> Response:
        """Enable the webhooks of an account and of all accounts below that the service disabled."""
        context.accepted_types()
        _check_reenable(context)
        below = await self._users.accounts_below(context.principal, context.account.id, direct=False)
        return await self._enable(context, [context.account.id, *(account.id for account in below)])

    async def list_attempts(self, context: RequestContext) -> Response:
        """List the last attempts of all webhooks of an account, newest first."""
        context.accepted_types()
        return await self._reply_with_attempts(context, await self._of_account(context))

    async def list_attempts_of_webhook(self, context: RequestContext) -> Response:
        """List the last attempts of a webhook, newest first."""
        context.accepted_types()
        return await self._reply_with_attempts(context, [await self._find(context)])

    async def list_hooks(self, context: RequestContext) -> Response:
        """List the webhooks that this service offers."""
        context.accepted_types()
        return reply_with_page(context, CATALOGUE, lambda hook: (hook["name"], hook["id"]), dict)

    async def list_samples(self, context: RequestContext) -> Response:
        """List the ids of the samples."""
        context.accepted_types()
        return context.reply([*SAMPLES])

    async def get_samples(self, context: RequestContext) -> Response:
        """Return the samples of a webhook's requests. Filters select some of them."""
        context.accepted_types()
        sample_id = context.argument("sample_id")
        if sample_id not in SAMPLES:
            raise bad_identifier(sample_id)
        matches = read_filters(context.parameters.query).matches
        found = [dict(sample) for sample in SAMPLES[sample_id] if matches(sample)]
        return context.reply(found, paging={"page_size": len(found)})

    async def _of_account(self, context: RequestContext) -> list[Webhook]:
        found = await self._webhooks.of_account(context.principal, context.account.id)
        return [each.webhook for each in found if each.webhook.format is WebhookFormat.KAZOO]

    async def _find(self, context: RequestContext) -> Webhook:
        webhook_id = context.argument("webhook_id")
        try:
            webhook = (await self._webhooks.find(context.principal, webhook_id)).webhook
        except NotFound as error:
            raise bad_identifier(webhook_id) from error
        if webhook.account_id != context.account.id or webhook.format is not WebhookFormat.KAZOO:
            raise bad_identifier(webhook_id)
        return webhook

    async def _save(self, context: RequestContext, webhook: Webhook, document: Mapping[str, Any]) -> Response:
        values = _values(read_document(document))
        try:
            changed = await self._webhooks.update(context.principal, webhook.id, values)
        except InvalidInput as error:
            raise _renamed(error) from error
        return context.reply(document_of(changed.webhook))

    async def _enable(self, context: RequestContext, account_ids: Sequence[str]) -> Response:
        for account_id in account_ids:
            for each in await self._webhooks.of_account(context.principal, account_id):
                if each.webhook.disabled not in {None, DisabledReason.BY_CLIENT}:
                    await self._webhooks.update(context.principal, each.webhook.id, {"enabled": True})
        return context.reply("hooks updated")

    async def _reply_with_attempts(self, context: RequestContext, webhooks: Sequence[Webhook]) -> Response:
        range_ = read_time_range(context.parameters, self._clock.now())
        found = [
            (webhook, attempt)
            for webhook in webhooks
            for attempt in await self._webhooks.attempts(context.principal, webhook.id)
            if _is_within(attempt, range_)
        ]
        return reply_with_page(context, found, _attempt_key, _attempt_item)


def _values(settings: KazooSettings) -> dict[str, Any]:
    """Return the values for the use case."""
    return {
        "format": WebhookFormat.KAZOO,
        "name": settings.name,
        "url": settings.url,
        "verb": settings.verb,
        "enabled": settings.enabled,
        "descendants": settings.descendants,
        "types": settings.types,
        "custom_data": settings.custom_data,
        "kazoo": settings.kazoo,
    }


def _renamed(error: InvalidInput) -> V2Error:
    """Return the v2 error for values of a document, under Kazoo's names."""
    data: Document = {}
    for name, rules in invalid_input(error).data.items():
        data.setdefault(_NAMES.get(name, name), {}).update(rules)
    return V2Error(400, "validation error", data)


def _check_reenable(context: RequestContext) -> None:
    value = context.parameters.find(_REENABLE)
    if value is None:
        raise invalid(_REENABLE, "required", "re-enable is required to patch collections")
    if value != "true":
        raise invalid(_REENABLE, "enum", "value not found in enumerated list of values", target=[True])


def _is_within(attempt: WebhookAttempt, range_: TimeRange) -> bool:
    return range_.first <= to_gregorian(attempt.at) <= range_.last


def _attempt_key(item: Attempt) -> tuple[str, str]:
    webhook, attempt = item
    return f"{_MILLIS - attempt.at:016d}", f"{webhook.id}-{_MILLIS - attempt.number:016d}"


def _attempt_item(item: Attempt) -> Document:
    webhook, attempt = item
    document: Document = {
        "hook_id": webhook.id,
        "hook_event": "object",
        "event_id": attempt.event_id,
        "timestamp": to_gregorian(attempt.at),
        "method": webhook.verb.value.lower(),
        "try": attempt.attempt,
        "result": "success" if attempt.succeeded else "failure",
    }
    if attempt.status is not None:
        document |= {
            "resp_status_code": str(attempt.status),
            "resp_headers": dict(attempt.headers),
            "resp_body": attempt.answer,
        }
    if not attempt.succeeded:
        answered = attempt.status is not None
        document["reason"] = "bad response code" if answered else "kazoo http client error"
        document |= {} if answered else {"client_error": attempt.error}
    return document
