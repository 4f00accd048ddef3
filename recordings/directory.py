"""The part of the metadata store that tells who there is: accounts, their credentials and their users.

As with all ports (`recordings.ports`), a method may raise its adapter's own error for a fault of the technology.
"""

from collections.abc import Sequence
from typing import Protocol

from recordings.access import Account, ApiKey, IngestAddress
from recordings.instants import Millis
from recordings.users import User


class DirectoryStore(Protocol):
    """Keeps accounts and the credentials that belong to them."""

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; `False` if its id is there already."""

    async def account(self, account_id: str) -> Account | None:
        """An account by id."""

    async def save_account(self, account: Account) -> bool:
        """Replace what an account is called and decides; its place in the tree stays. `False` if there is none."""

    async def accounts(self, limit: int = 10_000) -> Sequence[Account]:
        """All accounts, oldest first."""

    async def add_key(self, key: ApiKey) -> None:
        """Keep a new API key."""

    async def key_by_hash(self, secret_sha256: str) -> ApiKey | None:
        """The API key with this hash, revoked or not."""

    async def keys(self, account_id: str) -> Sequence[ApiKey]:
        """The API keys of an account, oldest first."""

    async def revoke_key(self, key_id: str, at: Millis) -> bool:
        """Revoke a key; `False` if there is none. Revoking again keeps the first instant."""

    async def add_ingest(self, address: IngestAddress) -> None:
        """Keep a new ingest address."""

    async def ingest_address(self, address_id: str) -> IngestAddress | None:
        """An ingest address by id, revoked or not."""

    async def ingest_addresses(self, account_id: str) -> Sequence[IngestAddress]:
        """The ingest addresses of an account, oldest first."""

    async def revoke_ingest(self, address_id: str, at: Millis) -> bool:
        """Revoke an ingest address; `False` if there is none. Revoking again keeps the first instant."""

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        """Remember that a token was ended, at least until then: when it is over by itself, that is forgotten."""

    async def is_token_revoked(self, token_id: str) -> bool:
        """Whether a token was ended."""


class UserStore(Protocol):
    """Keeps the users of accounts."""

    async def add_user(self, user: User) -> bool:
        """Keep a new user; `False` if the account has its id, or its name in whatever case, already."""

    async def user(self, account_id: str, user_id: str) -> User | None:
        """A user of an account by id."""

    async def users(self, account_id: str, limit: int = 10_000) -> Sequence[User]:
        """The users of an account, oldest first."""
