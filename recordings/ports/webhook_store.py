"""The ports of webhooks: their store, the signature and the sending of their requests, and reports to an operator."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recordings.model.feed_event import FeedEvent
from recordings.model.instants import Millis
from recordings.model.webhook import Webhook, WebhookAnswer, WebhookAttempt, WebhookProgress, WebhookRequest


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook and its progress. A store keeps both in one document."""

    webhook: Webhook
    progress: WebhookProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookClaim:
    """Which webhooks to lease, and how.

    Without `ids`, the enabled ones that are due, the oldest first. With `ids`, also those of them that no server works
    on.
    """

    now: Millis
    until: Millis
    holder: str
    limit: int
    ids: Collection[str] | None = None


class WebhookStore(Protocol):
    """Stores webhooks. Their settings and their progress have one revision each, so they are saved separately."""

    async def webhook(self, webhook_id: str) -> Endpoint | None:
        """Return a webhook."""

    async def webhooks(self, account_id: str, limit: int) -> Sequence[Endpoint]:
        """Return the webhooks of an account, the oldest first."""

    async def enabled_webhooks(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of these accounts."""

    async def all_enabled_webhooks(self, after: str, limit: int) -> Sequence[Endpoint]:
        """Return enabled webhooks of all accounts with an id greater than `after`, by id."""

    async def insert_webhook(self, webhook: Webhook, progress: WebhookProgress) -> bool:
        """Add a webhook. Return false if there is one with its id."""

    async def save_webhook(self, webhook: Webhook) -> bool:
        """Save settings whose `revision` is one more than the stored one. Otherwise write nothing and return false."""

    async def save_progress(self, progress: WebhookProgress, attempts: Sequence[WebhookAttempt] = ()) -> bool:
        """Save progress whose `revision` is one more than the stored one, and add attempts.

        Otherwise write nothing and return false. The newest `MAX_ATTEMPTS_KEPT` attempts are kept.
        """

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook and its attempts. Return false if there is none."""

    async def claim_webhooks(self, claim: WebhookClaim) -> Sequence[Endpoint]:
        """Lease webhooks. Each is leased to one holder only.

        One atomic update sets `holder`, moves `due_at` to the end of the lease, and increases the revision of the
        progress. So the webhook is due again if the holder dies.
        """

    async def release_webhooks(self, holders: str, now: Millis) -> int:
        """End the leases of all holders whose names begin with `holders`: they are due `now`. Return how many."""

    async def webhook_attempts(self, webhook_id: str, limit: int) -> Sequence[WebhookAttempt]:
        """Return the last attempts of a webhook, the newest first."""


class WebhookSigner(Protocol):
    """Signs the requests of webhooks."""

    async def sign(self, webhook: Webhook, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        """Return the headers of Standard Webhooks: the id, the time in seconds and the signatures.

        Raises:
            CannotUnsealError: a secret cannot be decrypted.
            StoreUnavailableError: the secrets cannot be read.
        """


class WebhookSender(Protocol):
    """Sends the requests of webhooks."""

    async def send(self, request: WebhookRequest, limit: Millis | None = None) -> WebhookAnswer:
        """Make one attempt. Every failure is in the answer. It follows no redirect.

        It ends after `limit`. By default, it has the time that Standard Webhooks asks for.
        """


class WebhookReporter(Protocol):
    """Is told what an operator should know."""

    def attempted(self, webhook: Webhook, attempt: WebhookAttempt) -> None:
        """Note an attempt."""

    def given_up(self, webhook: Webhook, event: FeedEvent) -> None:
        """Note an event that was given up after all attempts."""

    def disabled(self, webhook: Webhook) -> None:
        """Note that a webhook was disabled."""
