"""One request of a webhook: encode the event, sign it, send it, and note the attempt."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.installation import Installation
from recordings.model.instants import SECOND, Millis
from recordings.model.webhook import Webhook, WebhookAnswer, WebhookAttempt
from recordings.ports.clock import Clock
from recordings.ports.webhook_store import WebhookSender, WebhookSigner
from recordings.rules.event_document import event_id
from recordings.rules.webhook_request import Origin, encode
from recordings.rules.webhook_retries import Verdict, verdict_of
from recordings.use_cases.webhook_secrets import MissingSecretError

_MAX_TEST: Final = 1 << 31
TEST_LIMIT: Final[Millis] = 8 * SECOND
"""The time limit of a test. A client waits for it, and the requests of clients have limits, too."""


class WebhookRequests:
    """Makes the requests of webhooks."""

    def __init__(
        self,
        sender: WebhookSender,
        signer: WebhookSigner,
        clock: Clock,
        base_url: str,
        installation: Callable[[], Awaitable[Installation]],
    ) -> None:
        """`base_url` is the URL of this service, without a `/` at its end. `installation` reads the installation."""
        self._sender = sender
        self._signer = signer
        self._clock = clock
        self._base_url = base_url
        self._installation = installation
        self._origin: Origin | None = None

    async def send(
        self, webhook: Webhook, event: FeedEvent, row: RecordingRow | None, limit: Millis | None = None
    ) -> WebhookAnswer | None:
        """Send an event once. Every failure of the receiver is in the answer, and a missing secret, too.

        Return `None`, and send nothing, if the format of the webhook has no request for the event.

        Raises:
            CannotUnsealError: the secret cannot be decrypted.
            StoreUnavailableError: the secret cannot be read.
        """
        if self._origin is None:
            self._origin = Origin(self._base_url, (await self._installation()).id)
        request = encode(webhook, event, row, self._origin)
        if request is None:
            return None
        try:
            signed = await self._signer.sign(webhook, event_id(event), self._clock.now() // SECOND, request.body)
        except MissingSecretError as error:
            # The receiver must never get a request without a signature.
            return WebhookAnswer(error=str(error))
        return await self._sender.send(replace(request, headers={**request.headers, **signed}), limit)

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
        answer = await self.send(webhook, event, None, TEST_LIMIT)
        if answer is None:
            raise RuntimeError("the test event has no request")
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
