"""A store of webhooks in memory, implemented in the simplest way."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from recordings.model.instants import Millis
from recordings.model.webhook import MAX_ATTEMPTS_KEPT, Webhook, WebhookAttempt, WebhookProgress
from recordings.ports.webhook_store import Endpoint, WebhookClaim


class MemoryWebhooks:
    """A `WebhookStore`."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.tried: dict[str, list[WebhookAttempt]] = {}

    async def webhook(self, webhook_id: str) -> Endpoint | None:
        """Return a webhook."""
        return self.endpoints.get(webhook_id)

    async def webhooks(self, account_id: str, limit: int) -> Sequence[Endpoint]:
        """Return the webhooks of an account."""
        return [each for each in self.endpoints.values() if each.webhook.account_id == account_id][:limit]

    async def enabled_webhooks(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of accounts."""
        found = [each.webhook for each in self.endpoints.values() if each.webhook.enabled]
        return [each for each in found if each.account_id in account_ids]

    async def all_enabled_webhooks(self, after: str, limit: int) -> Sequence[Endpoint]:
        """Return enabled webhooks by id."""
        found = [each for key, each in sorted(self.endpoints.items()) if key > after and each.webhook.enabled]
        return found[:limit]

    async def insert_webhook(self, webhook: Webhook, progress: WebhookProgress) -> bool:
        """Add a webhook."""
        return self.endpoints.setdefault(webhook.id, added := Endpoint(webhook, progress)) is added

    async def save_webhook(self, webhook: Webhook) -> bool:
        """Save settings if their revision is the next one."""
        found = self.endpoints.get(webhook.id)
        if found is None or found.webhook.revision != webhook.revision - 1:
            return False
        self.endpoints[webhook.id] = replace(found, webhook=webhook)
        return True

    async def save_progress(self, progress: WebhookProgress, attempts: Sequence[WebhookAttempt] = ()) -> bool:
        """Save progress if its revision is the next one."""
        found = self.endpoints.get(progress.webhook_id)
        if found is None or found.progress.revision != progress.revision - 1:
            return False
        self.endpoints[progress.webhook_id] = replace(found, progress=progress)
        self.tried.setdefault(progress.webhook_id, []).extend(attempts)
        del self.tried[progress.webhook_id][:-MAX_ATTEMPTS_KEPT]
        return True

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook."""
        self.tried.pop(webhook_id, None)
        return self.endpoints.pop(webhook_id, None) is not None

    async def claim_webhooks(self, claim: WebhookClaim) -> Sequence[Endpoint]:
        """Lease webhooks."""
        claimed: list[Endpoint] = []
        for found in sorted(self.endpoints.values(), key=lambda each: each.progress.due_at or 0):
            progress = found.progress
            is_due = progress.due_at is not None and progress.due_at <= claim.now
            is_free = claim.ids is not None and found.webhook.id in claim.ids and not progress.holder
            is_wanted = claim.ids is None or found.webhook.id in claim.ids
            if found.webhook.enabled and is_wanted and (is_due or is_free) and len(claimed) < claim.limit:
                leased = replace(progress, holder=claim.holder, due_at=claim.until, revision=progress.revision + 1)
                self.endpoints[found.webhook.id] = replace(found, progress=leased)
                claimed.append(self.endpoints[found.webhook.id])
        return claimed

    async def release_webhooks(self, holders: str, now: Millis) -> int:
        """End the leases of holders."""
        held = [each for each in self.endpoints.values() if each.progress.holder.startswith(holders)]
        for each in held:
            progress = replace(each.progress, holder="", due_at=now, revision=each.progress.revision + 1)
            self.endpoints[each.webhook.id] = replace(each, progress=progress)
        return len(held)

    async def webhook_attempts(self, webhook_id: str, limit: int) -> Sequence[WebhookAttempt]:
        """Return the last attempts, the newest first."""
        return self.tried.get(webhook_id, [])[::-1][:limit]
