"""The ports of the metadata store for accounts, their credentials, their users, and media locations.

For a fault of its technology, a method may raise an error of its adapter.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from recordings.model.account import AccessState, Account, ApiKey, IngestAddress
from recordings.model.installation import Installation
from recordings.model.instants import Millis
from recordings.model.query import PageRequest
from recordings.model.user import Method, Passwords, User, UserField

PAGE: Final = 1_000
Item = TypeVar("Item")


class RealmTaken(Exception):  # noqa: N818 - a result, not a fault
    """Another account has this realm."""


class AccountStore(Protocol):
    """Stores accounts and their credentials."""

    async def add_account(self, account: Account) -> bool:
        """Add an account. Return false if its id exists. `RealmTaken` if another account has its realm."""

    async def account(self, account_id: str) -> Account | None:
        """Return an account by id."""

    async def save_account(self, account: Account) -> bool:
        """Save the name and the settings of an account, but not its tree. Return false if it does not exist.

        Raises:
            RealmTaken: another account has its realm.
        """

    async def accounts(self, limit: int = PAGE, after: Account | None = None) -> Sequence[Account]:
        """Return accounts, oldest first; with `after`, only the accounts that follow it."""

    async def children(self, parent_id: str, request: PageRequest) -> Sequence[Account]:
        """Return a page of the accounts directly below an account, oldest first."""

    async def count_children(self, parent_id: str) -> int:
        """Return the number of accounts directly below an account."""

    async def accounts_below(self, account_id: str, limit: int) -> Sequence[Account]:
        """Return at most `limit` of the accounts below an account, at any depth and in any order."""

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key."""

    async def key_by_hash(self, secret_sha256: str) -> ApiKey | None:
        """Return the API key with this hash, also if it is revoked."""

    async def keys(self, account_id: str, limit: int = PAGE, after: ApiKey | None = None) -> Sequence[ApiKey]:
        """Return API keys of an account, oldest first; with `after`, only the keys that follow it."""

    async def revoke_key(self, key_id: str, at: Millis) -> bool:
        """Revoke a key. Return false if it does not exist. A second call keeps the first instant."""

    async def add_ingest(self, address: IngestAddress) -> None:
        """Add an ingest address."""

    async def ingest_address(self, address_id: str) -> IngestAddress | None:
        """Return an ingest address by id, also if it is revoked."""

    async def ingest_addresses(
        self, account_id: str, limit: int = PAGE, after: IngestAddress | None = None
    ) -> Sequence[IngestAddress]:
        """Return ingest addresses of an account, oldest first; with `after`, only the addresses that follow it."""

    async def revoke_ingest(self, address_id: str, at: Millis) -> bool:
        """Revoke an ingest address. Return false if it does not exist. A second call keeps the first instant."""

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        """Revoke a token. The store may forget it after `until`, when the token has expired."""

    async def is_token_revoked(self, token_id: str) -> bool:
        """Return true if a token was revoked."""


class AccessStore(Protocol):
    """Stores which accounts and people are disabled, and from when on their tokens are valid.

    A person is the id of a user or of an owner. An empty text means the account itself.
    """

    async def access_state(self, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
        """Return the state of credentials.

        They are not valid if the account does not exist, if it or one of the people is disabled, or if the API key is
        revoked.
        """

    async def disabled(self, account_id: str) -> Mapping[str, Millis]:
        """Return the disabled people of an account, and since when; the account itself under the empty text."""

    async def set_disabled(self, account_id: str, person: str, at: Millis | None) -> None:
        """Disable an account or a person, or enable them with `None`. A second call keeps the first instant."""

    async def end_tokens(self, account_id: str, person: str, at: Millis) -> None:
        """End all tokens that were issued before an instant. An earlier instant than the stored one does nothing."""

    async def delete_account(self, account_id: str) -> None:
        """Delete an account with its users, keys, ingest addresses and policies. `end_tokens` stays in force."""

    async def delete_user(self, account_id: str, user_id: str) -> None:
        """Delete a user. `set_disabled` stays in force."""

    async def save_passwords(self, account_id: str, user_id: str, passwords: Passwords) -> bool:
        """Replace the password of a user. Return false if the user does not exist."""

    async def save_user(self, account_id: str, user_id: str, changes: Mapping[UserField, str]) -> bool:
        """Change some fields of a user, and no other. Return false if the user does not exist."""


class LocationStore(Protocol):
    """Stores each location that was ever used for audio. Audio there is found even if new audio goes elsewhere."""

    async def note_location(self, url: str, at: Millis) -> None:
        """Add a location: the common beginning of its URLs. A known location keeps its first instant."""

    async def locations(self, limit: int = 1_000, after: str = "") -> Sequence[str]:
        """Return the locations that are greater than `after`, sorted."""

    async def installation(self) -> Installation:
        """Return the identity of the installation whose metadata this store has."""


class UserStore(Protocol):
    """Stores the users of accounts."""

    async def add_user(self, user: User) -> bool:
        """Add a user. Return false if the account has a user with its id, or with its name in any case."""

    async def user(self, account_id: str, user_id: str) -> User | None:
        """Return a user of an account by id."""

    async def users(self, account_id: str, limit: int = PAGE, after: User | None = None) -> Sequence[User]:
        """Return users of an account, oldest first; with `after`, only the users that follow it."""

    async def user_by_hash(self, account_id: str, method: Method, hashed: str) -> User | None:
        """Return the user of an account whose password has this hash; see `recordings.model.user.hash_credential`."""


async def pages(read: Callable[[int, Item | None], Awaitable[Sequence[Item]]]) -> AsyncIterator[Item]:
    """Return all items of a list. Only one page of them is in memory at a time.

    `read` gets the size of a page and the last item of the page before.
    """
    after: Item | None = None
    while page := await read(PAGE, after):
        for item in page:
            yield item
        after = page[-1]


def all_accounts(store: AccountStore) -> AsyncIterator[Account]:
    """Return all accounts, oldest first."""
    return pages(store.accounts)


def all_users(store: UserStore, account_id: str) -> AsyncIterator[User]:
    """Return all users of an account, oldest first."""
    return pages(partial(store.users, account_id))


async def all_locations(store: LocationStore) -> AsyncIterator[str]:
    """Return all locations, one page at a time."""
    after = ""
    while page := await store.locations(PAGE, after):
        for location in page:
            yield location
        after = page[-1]
