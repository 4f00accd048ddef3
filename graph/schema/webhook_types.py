"""The types of webhooks. Their sources are plain mappings that `webhook_source` makes."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

import strawberry

from graph.schema.enums import EventType
from graph.schema.field_info import Info
from graph.schema.scalars import JSON, DateTime
from graph.schema.webhook_enums import DisabledReason, EventInclude, KazooBody, KazooVerb, WebhookFormat
from recordings.model.webhook import MAX_ATTEMPTS_KEPT
from recordings.model.webhook import WebhookAttempt as Attempt
from recordings.ports.webhook_store import Endpoint
from recordings.rules.kazoo_webhook import FORMAT

Source = Mapping[str, Any]


@strawberry.type(description="The settings of a webhook in the format KAZOO.")
class KazooWebhook:
    verb: KazooVerb = strawberry.field(description="The method of the requests.")
    body: KazooBody = strawberry.field(description="The body of a POST or PUT.")
    custom_data: JSON = strawberry.field(
        description="A JSON object of texts that joins the values of each request. Its values win."
    )


@strawberry.type(description="A replay that is running: the events of a time range are sent again.")
class WebhookReplay:
    since: DateTime = strawberry.field(description="Events at this time or later.")
    until: DateTime = strawberry.field(description="Events before this time.")
    types: list[EventType] | None = strawberry.field(description="Only these types. Null: all types of the webhook.")


@strawberry.type(description="One request to a receiver, and its response.")
class WebhookAttempt:
    event_id: strawberry.ID = strawberry.field(
        description="The id of the event. Every attempt for an event has the same one in `webhook-id`."
    )
    type: EventType = strawberry.field(description="The type of the event.")
    subject: strawberry.ID = strawberry.field(description="The plain id of the recording, or of another object.")
    attempt: int = strawberry.field(description="The number of the attempt for this event, from 1.")
    at: DateTime = strawberry.field(description="The time of the request.")
    duration_ms: int = strawberry.field(description="The time until the response or the error, in milliseconds.")
    succeeded: bool = strawberry.field(description="Whether the receiver took the event: a status from 200 to 299.")
    status: int | None = strawberry.field(description="The status of the response. Null without a response.")
    error: str | None = strawberry.field(description="Why there was no response. Null if there was one.")
    response: str = strawberry.field(description="The first kilobyte of the response body, as text.")
    headers: JSON = strawberry.field(description="The headers of the response, without secrets: a JSON object.")


async def _public_keys(source: strawberry.Parent[Any], info: Info) -> list[str]:
    return list(await info.context.webhooks.public_keys(info.context.principal, source["id"]))


_Attempts = Annotated[
    int,
    strawberry.argument(description=f"The number of attempts to return: an integer from 1 to {MAX_ATTEMPTS_KEPT}."),
]


async def _attempts(source: strawberry.Parent[Any], info: Info, first: _Attempts = 20) -> list[WebhookAttempt]:
    found = await info.context.webhooks.attempts(info.context.principal, source["id"], first)
    return cast("list[WebhookAttempt]", [attempt_source(each) for each in found])


@strawberry.type(description="A URL to which the service sends the events of an account.")
class Webhook:
    id: strawberry.ID = strawberry.field(description="The id.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of its account.")
    url: str = strawberry.field(description="The URL of the receiver.")
    name: str = strawberry.field(description="A name for people. Empty if it was never set.")
    types: list[EventType] | None = strawberry.field(
        description="The types of events that it gets. Null: all types except `recording.accessed`."
    )
    filter: JSON | None = strawberry.field(
        description="It gets only events of recordings that match this `RecordingFilter` when they are sent. Null: of "
        "all recordings."
    )
    include: list[EventInclude] = strawberry.field(description="Parts of the recording that its events have, too.")
    format: WebhookFormat = strawberry.field(description="The form of the requests.")
    kazoo: KazooWebhook | None = strawberry.field(description="Further settings of the format KAZOO. Else null.")
    descendants: bool = strawberry.field(description="Whether it also gets the events of all accounts below.")
    enabled: bool = strawberry.field(description="Whether it gets events.")
    disabled_reason: DisabledReason | None = strawberry.field(description="Why it is disabled. Null if it is enabled.")
    disabled_at: DateTime | None = strawberry.field(description="When it was disabled. Null if it is enabled.")
    disabled_detail: str | None = strawberry.field(description="Details of the reason, as text for a person.")
    public_keys: list[str] = strawberry.field(
        resolver=_public_keys,
        description="The public keys of its Ed25519 signatures (`v1a`): `whpk_` and 32 bytes in base64. The newest is "
        "first. During a rotation there are two.",
    )
    secret_overlap_seconds: int = strawberry.field(
        description="How long the former secret signs, too, after a rotation, in seconds."
    )
    former_secret_until: DateTime | None = strawberry.field(
        description="Until when the former secret signs, too. Null if only one secret signs."
    )
    waiting: int = strawberry.field(description="The number of events that wait for another attempt.")
    failures: int = strawberry.field(description="The number of failed attempts since the last success.")
    failing_since: DateTime | None = strawberry.field(description="The time of the first of these failures.")
    given_up: int = strawberry.field(
        description="The number of events whose attempts all failed. `replayWebhook` sends them again."
    )
    given_up_since: DateTime | None = strawberry.field(
        description="When the first of these events happened: the `since` of a replay."
    )
    last_success: DateTime | None = strawberry.field(description="The time of the last successful attempt.")
    replay: WebhookReplay | None = strawberry.field(description="The replay that is running.")
    attempts: list[WebhookAttempt] = strawberry.field(
        resolver=_attempts, description=f"The last attempts, newest first. The last {MAX_ATTEMPTS_KEPT} are kept."
    )
    created: DateTime = strawberry.field(description="The time at which it was created.")
    modified: DateTime = strawberry.field(description="The time of the last change of its settings.")
    revision: int = strawberry.field(description="The number of changes of its settings.")


def webhook_source(endpoint: Endpoint, now: int) -> Source:
    """Return the source of a `Webhook`."""
    webhook, progress = endpoint.webhook, endpoint.progress
    kazoo = None
    if webhook.format is WebhookFormat.KAZOO:
        body = KazooBody(webhook.kazoo.get(FORMAT, KazooBody.FORM_DATA))
        kazoo = {"verb": webhook.verb, "body": body, "custom_data": dict(webhook.custom_data)}
    replay = progress.replay
    return {
        "id": webhook.id,
        "account_id": webhook.account_id,
        "url": webhook.url,
        "name": webhook.name,
        "types": None if webhook.types is None else sorted(webhook.types),
        "filter": json.loads(webhook.filter) if webhook.filter else None,
        "include": sorted(webhook.include),
        "format": webhook.format,
        "kazoo": kazoo,
        "descendants": webhook.descendants,
        "enabled": webhook.enabled,
        "disabled_reason": webhook.disabled,
        "disabled_at": webhook.disabled_at,
        "disabled_detail": webhook.disabled_detail or None,
        "secret_overlap_seconds": webhook.overlap // 1000,
        "former_secret_until": webhook.old_secret_until if now < webhook.old_secret_until else None,
        "waiting": len(progress.waiting),
        "failures": progress.failures,
        "failing_since": progress.failing_since,
        "given_up": progress.given_up,
        "given_up_since": progress.given_up_since,
        "last_success": progress.last_success,
        "replay": None
        if replay is None
        else {
            "since": replay.since,
            "until": replay.until,
            "types": None if replay.types is None else sorted(replay.types),
        },
        "created": webhook.created,
        "modified": webhook.modified,
        "revision": webhook.revision,
    }


def attempt_source(attempt: Attempt) -> Source:
    """Return the source of a `WebhookAttempt`."""
    return {
        "event_id": attempt.event_id,
        "type": attempt.type,
        "subject": attempt.subject,
        "attempt": attempt.attempt,
        "at": attempt.at,
        "duration_ms": attempt.duration_ms,
        "succeeded": attempt.succeeded,
        "status": attempt.status,
        "error": attempt.error or None,
        "response": attempt.answer,
        "headers": dict(attempt.headers),
    }
