"""One request of a webhook: encode the event, sign it, send it, and note the attempt."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import SECOND
from recordings.model.webhook import Webhook, WebhookAnswer, WebhookAttempt
from recordings.ports.clock import Clock
from recordings.ports.webhook_store import WebhookSender, WebhookSigner
from recordings.rules.event_document import event_id
from recordings.rules.webhook_request import encode
from recordings.rules.webhook_retries import Verdict, verdict_of
from recordings.rules.webhook_signature import SignEd25519, signature_headers
from recordings.use_cases.account_secrets import AccountSecrets, SecretKind

_MAX_TEST: Final = 1 << 31


class SecretSigner:
    """A `WebhookSigner` with the secrets of the webhook: the newest one, and for a while after a rotation both."""

    def __init__(self, secrets: AccountSecrets, clock: Clock, sign_ed25519: SignEd25519) -> None:
        self._secrets = secrets
        self._clock = clock
        self._sign_ed25519 = sign_ed25519

    async def sign(self, webhook: Webhook, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        """Return the id, the time and the signatures as headers."""
        values = await self._secrets.values(webhook.account_id, SecretKind.WEBHOOK, webhook.id)
        valid = values if self._clock.now() < webhook.old_secret_until else values[:1]
        return signature_headers(valid, message_id, timestamp, body, self._sign_ed25519)


class WebhookRequests:
    """Makes the requests of webhooks."""

    def __init__(self, sender: WebhookSender, signer: WebhookSigner, clock: Clock, base_url: str) -> None:
        """`base_url` is the URL of this service, without a `/` at its end."""
        self._sender = sender
        self._signer = signer
        self._clock = clock
        self._base_url = base_url

    async def send(self, webhook: Webhook, event: FeedEvent, row: RecordingRow | None) -> WebhookAnswer:
        """Send an event once. Every failure of the receiver is in the answer.

        Raises:
            CannotUnsealError: the secret cannot be decrypted.
            StoreUnavailableError: the secret cannot be read.
        """
        request = encode(webhook, event, row, self._base_url)
        signed = await self._signer.sign(webhook, event_id(event), self._clock.now() // SECOND, request.body)
        return await self._sender.send(replace(request, headers={**request.headers, **signed}))

    async def test(self, webhook: Webhook) -> WebhookAttempt:
        """Send an event of the type `webhook.test`, and return the attempt. Its number is 0."""
        now = self._clock.now()
        event = FeedEvent(
            account_id=webhook.account_id,
            subject=webhook.id,
            revision=secrets.randbelow(_MAX_TEST),
            type=EventType.WEBHOOK_TEST,
            time=now,
            stamp=now,
        )
        answer = await self.send(webhook, event, None)
        return attempt_of(event, answer, at=now, number=0, attempt=1)


def attempt_of(event: FeedEvent, answer: WebhookAnswer, *, at: int, number: int, attempt: int) -> WebhookAttempt:
    """Return the note of an attempt."""
    return WebhookAttempt(
        number=number,
        event_id=event_id(event),
        type=event.type,
        subject=event.subject,
        attempt=attempt,
        at=at,
        duration_ms=answer.duration_ms,
        succeeded=verdict_of(answer) is Verdict.DELIVERED,
        status=answer.status,
        error=answer.error,
        answer=answer.text,
        headers=answer.headers,
    )
