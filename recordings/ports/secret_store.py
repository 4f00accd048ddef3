"""The ports for the installation's key and for the secrets of accounts. No secret is stored in clear text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recordings.model.installation import Installation
from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True)
class AccountSecret:
    """The values of one secret of an account, the newest first. Each is encrypted with the installation's key."""

    account_id: str
    name: str
    sealed: tuple[str, ...]


class SecretStore(Protocol):
    """Stores which key signs, and the encrypted secrets of accounts."""

    async def claim_key(self, key_id: str, at: Millis, instead_of: str | None = None) -> Installation:
        """Store the id of the signing key if the stored one is `instead_of`. Return the installation after that.

        `None` means that no key is stored yet.
        """

    async def account_secret(self, account_id: str, name: str) -> Sequence[str]:
        """Return the encrypted values of a secret, the newest first."""

    async def save_account_secret(self, secret: AccountSecret, expected: Sequence[str]) -> bool:
        """Replace a secret if its stored values are `expected`. Otherwise write nothing and return false.

        Without values the secret is deleted.
        """

    async def account_secrets(self, limit: int, after: AccountSecret | None = None) -> Sequence[AccountSecret]:
        """Return the secrets of all accounts, sorted by account and name; with `after`, the secrets after it."""
