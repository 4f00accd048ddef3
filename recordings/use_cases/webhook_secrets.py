"""The secrets of webhooks. Each webhook has a secret for HMAC and a private key for Ed25519, which change together.

The receiver gets the secret, and can read the public key. So it can check either signature, or both.
"""

from collections.abc import Sequence
from typing import Protocol

from recordings.model.account import Principal
from recordings.model.webhook import Webhook
from recordings.ports.clock import Clock
from recordings.ports.sealer import CannotUnsealError
from recordings.rules.webhook_signature import (
    SecretPair,
    public_key,
    read_secret_pair,
    read_signing_key,
    signature_headers,
)
from recordings.use_cases.account_secrets import AccountSecrets, SecretKind


class MissingSecretError(Exception):
    """The webhook has no secret: it was lost, for example with the data of the store."""

    def __init__(self) -> None:
        super().__init__("the webhook has no secret, so nothing was sent: rotate its secret")


class Ed25519(Protocol):
    """Ed25519 signatures with keys of 32 bytes."""

    def sign(self, key: bytes, text: bytes, /) -> bytes:
        """Return the signature of a text by a private key."""

    def public_key(self, key: bytes, /) -> bytes:
        """Return the public key of a private key."""


class WebhookSecrets:
    """A `WebhookSigner` that also stores the secrets."""

    def __init__(self, secrets: AccountSecrets, clock: Clock, ed25519: Ed25519) -> None:
        self._secrets = secrets
        self._clock = clock
        self._ed25519 = ed25519

    async def replace(
        self, principal: Principal, webhook: Webhook, pair: SecretPair, *, if_missing: bool = False
    ) -> None:
        """Store a new secret and a new key. The former ones stay until the next rotation.

        With `if_missing`, store them only if the webhook has none.
        """
        await self._secrets.put(
            webhook.account_id, SecretKind.WEBHOOK, pair.text, webhook.id, principal, if_missing=if_missing
        )

    async def current(self, webhook: Webhook) -> str | None:
        """Return the newest secret; `None` if there is none, or if it cannot be decrypted."""
        try:
            values = await self._secrets.values(webhook.account_id, SecretKind.WEBHOOK, webhook.id)
        except CannotUnsealError:
            return None
        return read_secret_pair(values[0]).secret if values else None

    async def delete_old(self, principal: Principal, webhook: Webhook) -> None:
        """Delete the former secret and key."""
        if await self._secrets.count(webhook.account_id, SecretKind.WEBHOOK, webhook.id) > 1:
            await self._secrets.clear(webhook.account_id, SecretKind.WEBHOOK, webhook.id, principal, only_old=True)

    async def delete(self, principal: Principal, webhook: Webhook) -> None:
        """Delete all secrets of a webhook."""
        await self._secrets.clear(webhook.account_id, SecretKind.WEBHOOK, webhook.id, principal)

    async def sign(self, webhook: Webhook, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the id, the time and the signatures as headers.

        Raises:
            MissingSecretError: there is no secret.
            CannotUnsealError: a secret cannot be decrypted.
        """
        pairs = await self._valid(webhook)
        if not pairs:
            raise MissingSecretError
        return signature_headers(pairs, message_id, timestamp, body, self._ed25519.sign)

    async def public_keys(self, webhook: Webhook) -> Sequence[str]:
        """Return the public keys of the signatures, the newest first. Raises `CannotUnsealError`."""
        keys = [read_signing_key(pair.key) for pair in await self._valid(webhook)]
        return [public_key(self._ed25519.public_key(key)) for key in keys]

    async def _valid(self, webhook: Webhook) -> Sequence[SecretPair]:
        """Return the pairs that sign now, the newest first: two during a rotation."""
        values = await self._secrets.values(webhook.account_id, SecretKind.WEBHOOK, webhook.id)
        in_rotation = self._clock.now() < webhook.old_secret_until
        return [read_secret_pair(each) for each in (values if in_rotation else values[:1])]
