"""The part of the metadata store that tells who there is: accounts, their credentials and their users.

As with all ports (`recordings.ports`), a method may raise its adapter's own error for a fault of the technology.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from recordings.model.account import Account, ApiKey, IngestAddress
from recordings.model.instants import Millis
from recordings.model.user import User

_PAGE: Final = 1_000


class AccountStore(Protocol):
    """Keeps accounts and the credentials that belong to them."""

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; `False` if its id is there already."""

    async def account(self, account_id: str) -> Account | None:
        """An account by id."""

    async def save_account(self, account: Account) -> bool:
        """Replace what an account is called and decides; its place in the tree stays. `False` if there is none."""

    async def accounts(self, limit: int = 10_000, after: Account | None = None) -> Sequence[Account]:
        """All accounts, oldest first; with `after`, those that follow it."""

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


class PlaceStore(Protocol):
    """Remembers where audio was ever put: what is left there is found also when new audio goes elsewhere."""

    async def note_place(self, url: str, at: Millis) -> None:
        """Remember a place, by the beginning of its URLs; of one that is known the first instant stays."""

    async def places(self, limit: int = 1_000, after: str = "") -> Sequence[str]:
        """The places above `after`, in the order of their text."""


class UserStore(Protocol):
    """Keeps the users of accounts."""

    async def add_user(self, user: User) -> bool:
        """Keep a new user; `False` if the account has its id, or its name in whatever case, already."""

    async def user(self, account_id: str, user_id: str) -> User | None:
        """A user of an account by id."""

    async def users(self, account_id: str, limit: int = 10_000) -> Sequence[User]:
        """The users of an account, oldest first."""


async def all_accounts(store: AccountStore) -> AsyncIterator[Account]:
    """Every account, oldest first, however many there are, in the memory that a page of them takes."""
    after: Account | None = None
    while page := await store.accounts(_PAGE, after):
        for account in page:
            yield account
        after = page[-1]


async def all_places(store: PlaceStore) -> AsyncIterator[str]:
    """Every place, in the same way."""
    after = ""
    while page := await store.places(_PAGE, after):
        for place in page:
            yield place
        after = page[-1]
