"""The server disables a webhook whose receiver is gone or fails for too long."""

from dataclasses import replace

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.instants import Millis
from recordings.model.webhook import DisabledReason, Webhook
from recordings.ports.recording_store import MetadataStore


async def disable_webhook(
    store: MetadataStore, webhook: Webhook, reason: DisabledReason, detail: str, now: Millis
) -> Webhook | None:
    """Disable a webhook, and store the event about it. Return the webhook, or `None` if nothing was changed.

    It stays enabled if a client changed it meanwhile: failures with the former settings do not count.

    Raises:
        StoreUnavailableError: the store does not answer. The call can be repeated.
    """
    found = await store.webhook(webhook.id)
    if found is None or found.webhook.revision != webhook.revision:
        return None
    disabled = replace(
        webhook,
        disabled=reason,
        disabled_at=now,
        disabled_detail=detail,
        modified=now,
        revision=webhook.revision + 1,
    )
    # First the event: a crash between the two writes repeats both, and the event has the same id.
    await store.add_event(_event_of(disabled))
    return disabled if await store.save_webhook(disabled) else None


def _event_of(webhook: Webhook) -> FeedEvent:
    return FeedEvent(
        account_id=webhook.account_id,
        subject=webhook.id,
        revision=webhook.revision,
        type=EventType.WEBHOOK_DISABLED,
        time=webhook.modified,
    )
