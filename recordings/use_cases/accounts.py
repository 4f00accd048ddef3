"""The use cases for accounts and their credentials. They are for the operator of the installation.

They have no principal: anyone who can open the store on the server's own machine is its operator. A secret is returned
once, when it is created. The store has its SHA-256 only. That is safe, because the secret is random.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from recordings.model.account import Account, ApiKey, IngestAddress, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import InvalidInput, InvalidState, NotFound
from recordings.model.ids import MAX_ID, is_hex_id, new_id, new_secret
from recordings.model.realm import check_realm
from recordings.ports.account_stores import RealmTaken, all_accounts, pages
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore

MAX_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new API key and its secret."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class NewIngest:
    """A new ingest address and its secret."""

    address: IngestAddress
    secret: str


def hash_secret(secret: str) -> str:
    """Return the stored form of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class ManageAccounts:
    """Creates and lists accounts. Creates, lists and revokes API keys and ingest addresses."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit, principal: Principal | None = None) -> None:
        """`principal` is the caller for the audit trail; `None` is the operator."""
        self._principal = principal
        self._store = store
        self._clock = clock
        self._audit = audit

    async def account(self, account_id: str) -> Account:
        """Return an account by id. `NotFound` if it does not exist."""
        found = await self._store.account(account_id) if is_hex_id(account_id) else None
        if found is None:
            message = f"there is no account {account_id[:MAX_ID]!r}"
            raise NotFound(message, path=("account",))
        return found

    def accounts(self) -> AsyncIterator[Account]:
        """Return all accounts, oldest first."""
        return all_accounts(self._store)

    async def create_account(
        self, name: str, parent_id: str | None = None, account_id: str | None = None, realm: str | None = None
    ) -> Account:
        """Create an account, below a parent if there is a `parent_id`. Without a `realm` it has the default one.

        Raises:
            InvalidInput: the name, the id or the realm is not valid.
            NotFound: there is no such parent.
            InvalidState: an account with this id or this realm exists.
        """
        check_account_name(name)
        if account_id is not None and not is_hex_id(account_id):
            raise InvalidInput.of(("id",), "pattern", account_id, "32 lower-case hexadecimal digits")
        parent = None if parent_id is None else await self.account(parent_id)
        tree = () if parent is None else (*parent.tree, parent.id)
        account = Account(
            account_id or new_id(), name, self._clock.now(), tree, sip_realm=check_realm(realm) if realm else None
        )
        with await self._record(AuditAction.ACCOUNT, "account", account.id, account.id, change="create"):
            try:
                added = await self._store.add_account(account)
            except RealmTaken as error:
                raise realm_taken(account.realm) from error
            if not added:
                message = f"account {account.id} exists already"
                raise InvalidState(message, path=("id",))
        return account

    async def create_key(self, account_id: str, owner_id: str | None, scopes: frozenset[Scope]) -> NewKey:
        """Create an API key for an account, or for an owner in it. `NotFound` if there is no such account."""
        account = await self.account(account_id)
        check_owner(owner_id)
        secret, ordered = new_secret(), tuple(sorted(scopes))
        key = ApiKey(new_id(), account.id, ordered, hash_secret(secret), self._clock.now(), owner_id)
        await self._record(
            AuditAction.KEY, "key", key.id, account.id, change="create", owner=owner_id, scopes=[*map(str, ordered)]
        )
        await self._store.add_key(key)
        return NewKey(key, secret)

    async def keys(self, account_id: str) -> AsyncIterator[ApiKey]:
        """Return the API keys of an account, oldest first. `NotFound` if there is no such account."""
        return pages(partial(self._store.keys, (await self.account(account_id)).id))

    async def revoke_key(self, key_id: str) -> None:
        """Revoke an API key. A second call is no error. `NotFound` if it does not exist."""
        with await self._record(AuditAction.KEY, "key", key_id[:MAX_ID], None, change="revoke"):
            if not await self._store.revoke_key(key_id, self._clock.now()):
                message = f"there is no API key {key_id[:MAX_ID]!r}"
                raise NotFound(message, path=("id",))

    async def end_tokens(self, account_id: str, owner_id: str | None = None) -> None:
        """End all tokens and signed URLs of an account, or of one owner or user in it, that were issued before now.

        API keys stay valid. `NotFound` if there is no such account.
        """
        account = await self.account(account_id)
        check_owner(owner_id)
        await self._record(AuditAction.TOKEN, "tokens", owner_id, account.id, change="revoke")
        await self._store.end_tokens(account.id, owner_id or "", self._clock.now())

    async def create_ingest(self, account_id: str, *, record_all: bool = False) -> NewIngest:
        """Create an ingest address for an account. `NotFound` if there is no such account.

        With `record_all`, every call whose audio arrives at the address is recorded.
        """
        account = await self.account(account_id)
        secret = new_secret()
        address = IngestAddress(new_id(), account.id, hash_secret(secret), self._clock.now(), record_all=record_all)
        await self._record(AuditAction.INGEST_ADDRESS, "ingest address", address.id, account.id, change="create")
        await self._store.add_ingest(address)
        return NewIngest(address, secret)

    async def ingest_addresses(self, account_id: str) -> AsyncIterator[IngestAddress]:
        """Return the ingest addresses of an account, oldest first. `NotFound` if there is no such account."""
        return pages(partial(self._store.ingest_addresses, (await self.account(account_id)).id))

    async def revoke_ingest(self, address_id: str) -> None:
        """Revoke an ingest address. A second call is no error. `NotFound` if it does not exist."""
        shown = address_id[:MAX_ID]
        with await self._record(AuditAction.INGEST_ADDRESS, "ingest address", shown, None, change="revoke"):
            if not await self._store.revoke_ingest(address_id, self._clock.now()):
                message = f"there is no ingest address {shown!r}"
                raise NotFound(message, path=("id",))

    async def _record(
        self, action: AuditAction, kind: str, identity: str | None, account_id: str | None, **details: Any
    ) -> Refusals:
        """Write the entry of a change. A change that can be refused belongs into the returned block."""
        target = AuditObject(kind, identity, account_id)
        await self._audit.record(self._principal, action, target, **details)
        return Refusals(self._audit, self._principal, action, target)


def check_account_name(name: str) -> None:
    """Raise `InvalidInput` unless a name has 1 to 128 printable characters, not only spaces."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput.of(("name",), "maxLength", name, f"1 to {MAX_NAME} printable characters")


def realm_taken(realm: str) -> InvalidState:
    """Return the error for a realm of another account."""
    message = f"another account has the realm {realm}: each account needs a realm of its own"
    return InvalidState(message, path=("realm",))


def check_owner(owner_id: str | None) -> None:
    """Raise `InvalidInput` unless an owner is `None` or has 1 to 128 printable characters."""
    if owner_id is not None and not (0 < len(owner_id) <= MAX_ID and owner_id.isprintable()):
        raise InvalidInput.of(("owner",), "maxLength", owner_id, f"1 to {MAX_ID} printable characters")
