"""The use cases of webhooks on a store, with a receiver that a test scripts."""

from collections.abc import Callable
from typing import Any, cast

from adapters.identity import SealedSecrets, ed25519
from recordings.model.installation import Installation
from recordings.model.instants import Millis
from recordings.model.webhook import WebhookAnswer, WebhookRequest
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.signing_keys import SigningKey, SigningKeys
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_secrets import WebhookSecrets
from recordings.use_cases.webhooks import Webhooks
from tests.support.memory_audit import MemoryAudit

BASE_URL = "https://recordings.example.org"


class ScriptedReceiver:
    """A `WebhookSender`. `answer` makes the answer to each request."""

    def __init__(self, answer: Callable[[WebhookRequest], WebhookAnswer] = lambda _: WebhookAnswer(200)) -> None:
        self.answer = answer
        self.requests: list[WebhookRequest] = []
        self.limit: Millis | None = None

    async def send(self, request: WebhookRequest, limit: Millis | None = None) -> WebhookAnswer:
        """Note the request, and return its answer."""
        self.limit = limit
        self.requests.append(request)
        return self.answer(request)


def sealer() -> SealedSecrets:
    """Return the encryption of secrets."""
    return SealedSecrets(SigningKeys([SigningKey("key", b"k" * 32)]))


async def installation() -> Installation:
    """Return an installation."""
    return Installation("1" * 32, 0)


def webhooks_on(
    store: Any,
    clock: Clock,
    audit: MemoryAudit,
    receiver: ScriptedReceiver,
    ring: Callable[[str], None] = lambda _: None,
) -> Webhooks:
    """Return the use cases. The host `internal.example` is not allowed."""
    typed = cast("MetadataStore", store)
    secrets = WebhookSecrets(AccountSecrets(typed, sealer(), audit), clock, ed25519)
    return Webhooks(
        store=typed,
        secrets=secrets,
        requests=WebhookRequests(receiver, secrets, clock, BASE_URL, installation),
        clock=clock,
        audit=audit,
        check_url=lambda url: "the host is private" if "internal.example" in url else None,
        ring=ring,
    )
