"""The use cases of an account's administrator: users, API keys, ingest addresses and retention rules.

All of them need the scope ADMIN, and credentials without an owner. An administrator cannot give away a scope that the
credentials do not have themselves.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from recordings.model.account import DEFAULT_SCOPES, GRANTABLE, ApiKey, IngestAddress, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Forbidden, InvalidInput, InvalidState, NotFound
from recordings.model.ids import MAX_ID
from recordings.model.instants import Millis
from recordings.model.retention import Retention
from recordings.model.user import PrivLevel, User, UserField
from recordings.ports.account_stores import all_users
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import describe_scopes, require_scope
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.accounts import ManageAccounts, NewIngest, NewKey
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.users import ManageUsers, check_password

MAX_LISTED: Final = 10_000
"""How many items a list may have. The command line lists more of them."""
Item = TypeVar("Item", User, ApiKey, IngestAddress)


@dataclass(frozen=True, slots=True)
class ManagedUser:
    """A user, and since when the user is disabled."""

    user: User
    disabled: Millis | None = None

    @property
    def id(self) -> str:
        """The id of the user."""
        return self.user.id

    @property
    def created(self) -> Millis:
        """The time at which the user was created."""
        return self.user.created


class Administration:
    """Lists and changes them for a principal. Anything that the principal may not access is `NotFound`.

    An `account_id` of `None` is the principal's own account. Each method raises `Forbidden` without the scopes, and
    `NotFound` without access to the account.
    """

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._audit = audit
        self._authorized = Authorized(store)

    # Retention

    async def rules(self, principal: Principal, account_id: str | None) -> Sequence[Retention]:
        """Return the retention rules of an account."""
        account_id = await self._checked(principal, account_id, AuditAction.RETENTION)
        return await self._settings(principal).rules(account_id)

    async def set_rule(self, principal: Principal, account_id: str | None, rule: Retention) -> Sequence[Retention]:
        """Set the rule for a label, and return all rules. It deletes recordings, so it needs the scope DELETE, too.

        Raises:
            InvalidInput: the label or the number of days is not allowed, or there are too many rules.
        """
        account_id = await self._checked(principal, account_id, AuditAction.RETENTION, (Scope.DELETE,))
        await self._settings(principal).set_rule(account_id, rule, in_background=True)
        return await self._settings(principal).rules(account_id)

    async def clear_rule(self, principal: Principal, account_id: str | None, label: str | None) -> Sequence[Retention]:
        """Remove the rule for a label, and return the other rules. `NotFound` if there is none.

        The recordings of the label then follow the rule for all labels, so it needs the scope DELETE, too.
        """
        account_id = await self._checked(principal, account_id, AuditAction.RETENTION, (Scope.DELETE,))
        await self._settings(principal).clear_rule(account_id, label, in_background=True)
        return await self._settings(principal).rules(account_id)

    # API keys

    async def keys(self, principal: Principal, account_id: str | None) -> Sequence[ApiKey]:
        """Return the API keys of an account, also the revoked ones. `InvalidState` if there are too many."""
        account_id = await self._checked(principal, account_id, AuditAction.KEY)
        return await _bounded(await self._accounts(principal).keys(account_id))

    async def create_key(
        self, principal: Principal, account_id: str | None, owner_id: str | None, scopes: frozenset[Scope]
    ) -> NewKey:
        """Create an API key with scopes of the principal.

        Raises:
            InvalidInput: there is no scope, or the owner is not valid.
        """
        account_id = await self._checked(principal, account_id, AuditAction.KEY, scopes)
        if not scopes <= frozenset(GRANTABLE) or not scopes:
            raise InvalidInput.of(("scopes",), "enum", describe_scopes(scopes), f"some of {describe_scopes(GRANTABLE)}")
        return await self._accounts(principal).create_key(account_id, owner_id, scopes)

    async def revoke_key(self, principal: Principal, account_id: str | None, key_id: str) -> ApiKey:
        """Revoke an API key of an account. `NotFound` if the account does not have it."""
        account_id = await self._checked(principal, account_id, AuditAction.KEY)
        accounts = self._accounts(principal)
        await _found(await accounts.keys(account_id), key_id, "API key")
        await accounts.revoke_key(key_id)
        return await _found(await accounts.keys(account_id), key_id, "API key")

    # Ingest addresses

    async def ingest_addresses(self, principal: Principal, account_id: str | None) -> Sequence[IngestAddress]:
        """Return the ingest addresses of an account, also the revoked ones. `InvalidState` if there are too many."""
        account_id = await self._checked(principal, account_id, AuditAction.INGEST_ADDRESS)
        return await _bounded(await self._accounts(principal).ingest_addresses(account_id))

    async def create_ingest(self, principal: Principal, account_id: str | None, *, record_all: bool) -> NewIngest:
        """Create an ingest address. With `record_all`, every call whose audio arrives there is recorded."""
        account_id = await self._checked(principal, account_id, AuditAction.INGEST_ADDRESS)
        return await self._accounts(principal).create_ingest(account_id, record_all=record_all)

    async def revoke_ingest(self, principal: Principal, account_id: str | None, address_id: str) -> IngestAddress:
        """Revoke an ingest address of an account. `NotFound` if the account does not have it."""
        account_id = await self._checked(principal, account_id, AuditAction.INGEST_ADDRESS)
        accounts = self._accounts(principal)
        await _found(await accounts.ingest_addresses(account_id), address_id, "ingest address")
        await accounts.revoke_ingest(address_id)
        return await _found(await accounts.ingest_addresses(account_id), address_id, "ingest address")

    # Users

    async def users(self, principal: Principal, account_id: str | None) -> Sequence[ManagedUser]:
        """Return the users of an account. `InvalidState` if there are too many."""
        account_id = await self._checked(principal, account_id, AuditAction.USER)
        disabled = await self._store.disabled(account_id)
        found = await _bounded(all_users(self._store, account_id))
        return [ManagedUser(user, disabled.get(user.id)) for user in found]

    async def create_user(
        self,
        principal: Principal,
        account_id: str | None,
        *,
        username: str,
        password: str,
        is_admin: bool,
        texts: Mapping[str, str],
    ) -> ManagedUser:
        """Create a user. `texts` may have `first_name`, `last_name` and `email`. Hashing the password is slow.

        Raises:
            InvalidInput: a text or the password is not allowed.
            InvalidState: the account has a user with that name.
        """
        level = PrivLevel.ADMIN if is_admin else PrivLevel.USER
        account_id = await self._checked(principal, account_id, AuditAction.USER, _scopes_of(level))
        check_password(password)
        return ManagedUser(
            await self._users(principal).create(account_id, username, password, priv_level=level, **texts)
        )

    async def update_user(
        self, principal: Principal, account_id: str | None, user_id: str, changes: Mapping[UserField, str]
    ) -> ManagedUser:
        """Change the names, the e-mail address or the role of a user. Another role ends the user's tokens.

        It needs the scopes of the role before and of the role after the change.

        Raises:
            InvalidInput: a text is not allowed, or there is no change.
        """
        user = await self._user(principal, account_id, user_id)
        if UserField.PRIV_LEVEL in changes:
            level = PrivLevel(changes[UserField.PRIV_LEVEL])
            await self._checked(principal, account_id, AuditAction.USER, _scopes_of(level))
        return await self._managed(await self._users(principal).update(user, changes))

    async def set_password(
        self, principal: Principal, account_id: str | None, user_id: str, password: str
    ) -> ManagedUser:
        """Replace the password of a user. This ends the user's tokens. `InvalidInput` if it is too short."""
        user = await self._user(principal, account_id, user_id)
        await self._users(principal).set_password(user, password)
        return await self._managed(user)

    async def set_disabled(
        self, principal: Principal, account_id: str | None, user_id: str, *, is_disabled: bool
    ) -> ManagedUser:
        """Disable a user, so that none of the user's credentials is valid, or enable the user again."""
        user = await self._user(principal, account_id, user_id)
        users = self._users(principal)
        await (users.disable(user) if is_disabled else users.enable(user))
        return await self._managed(user)

    async def delete_user(self, principal: Principal, account_id: str | None, user_id: str) -> ManagedUser:
        """Delete a user. The user's recordings stay."""
        user = await self._user(principal, account_id, user_id)
        await self._users(principal).delete(user)
        return await self._managed(user)

    async def _managed(self, user: User) -> ManagedUser:
        return ManagedUser(user, (await self._store.disabled(user.account_id)).get(user.id))

    async def _user(self, principal: Principal, account_id: str | None, user_id: str) -> User:
        account_id = await self._checked(principal, account_id, AuditAction.USER)
        found = await self._store.user(account_id, user_id[:MAX_ID])
        if found is None:
            message = f"the account has no user {user_id[:MAX_ID]!r}"
            raise NotFound(message, path=("id",))
        # Who sets the password of a user can sign in as this user.
        await self._checked(principal, account_id, AuditAction.USER, _scopes_of(found.priv_level))
        return found

    async def _checked(
        self, principal: Principal, account_id: str | None, action: AuditAction, scopes: Iterable[Scope] = ()
    ) -> str:
        """Return the id of the account, after all checks of the access. `scopes` are needed, too."""
        target = AuditObject("account", account_id or principal.account_id)
        with Refusals(self._audit, principal, action, target):
            for scope in (Scope.ADMIN, *sorted(scopes)):
                require_scope(principal, scope)
            account_id = await self._authorized.account_id(principal, account_id)
            if principal.owner_id is not None:
                message = "the credentials of one owner cannot manage the account"
                raise Forbidden(message)
            return account_id

    def _accounts(self, principal: Principal) -> ManageAccounts:
        return ManageAccounts(self._store, self._clock, self._audit, principal)

    def _users(self, principal: Principal) -> ManageUsers:
        return ManageUsers(self._store, self._clock, self._audit, principal)

    def _settings(self, principal: Principal) -> AccountSettings:
        return AccountSettings(self._store, self._clock, self._audit, principal)


def _scopes_of(level: PrivLevel) -> Sequence[Scope]:
    return GRANTABLE if level is PrivLevel.ADMIN else DEFAULT_SCOPES


async def _bounded(items: AsyncIterator[Item]) -> Sequence[Item]:
    found: list[Item] = []
    async for item in items:
        if len(found) == MAX_LISTED:
            raise InvalidState(f"there are more than {MAX_LISTED} of them: list them with the command line")
        found.append(item)
    return found


async def _found(items: AsyncIterator[Item], item_id: str, kind: str) -> Item:
    async for item in items:
        if item.id == item_id:
            return item
    message = f"the account has no {kind} {item_id[:MAX_ID]!r}"
    raise NotFound(message, path=("id",))
