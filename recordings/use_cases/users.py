"""The use cases for users: create, change, list, and find the user of a credential."""

from collections.abc import Mapping, Sequence
from string import digits
from typing import Final, TypeVar

from recordings.model.account import Account, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import InvalidInput, InvalidState, NotFound
from recordings.model.ids import MAX_ID, is_hex_id, new_id
from recordings.model.query import PageRequest, Query, is_storable
from recordings.model.recording import Shelf
from recordings.model.user import Method, PrivLevel, User, UserField, hash_password
from recordings.ports.account_stores import all_accounts, all_users
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.use_cases.access_control import AccessControl
from recordings.use_cases.authorized import Authorized

MAX_TEXT: Final = 128
MIN_PASSWORD: Final = 8
"""The minimum length of a password, in characters (NIST SP 800-63B)."""
MAX_LIST: Final = 10_000
"""How many users or accounts a list by name may have. A list by time has pages instead."""
Item = TypeVar("Item")
MAX_MATCHES: Final = 8
"""How many accounts with one name are returned. More of them must be identified by their realm."""


class ManageUsers:
    """Creates and finds the users of accounts."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit, principal: Principal | None = None) -> None:
        """`principal` is the caller for the audit trail; `None` is the operator."""
        self._principal = principal
        self._store = store
        self._clock = clock
        self._audit = audit
        self._authorized = Authorized(store)
        self._access = AccessControl(store)

    async def create(
        self,
        account_id: str,
        username: str,
        password: str | None = None,
        *,
        user_id: str | None = None,
        first_name: str = "",
        last_name: str = "",
        email: str = "",
        priv_level: PrivLevel = PrivLevel.USER,
    ) -> User:
        """Create a user. There is no principal, as in `recordings.use_cases.accounts`. Hashing the password is slow.

        Raises:
            InvalidInput: a text is too long or has characters that cannot be stored, or the password is empty.
            NotFound: there is no such account.
            InvalidState: the account has a user with that name or id.
        """
        texts = {"username": username, "first_name": first_name, "last_name": last_name, "email": email}
        for name, text in texts.items():
            _check_text(name, text, empty=name != "username")
        if password == "":
            raise InvalidInput.of(("password",), "minLength", password, "at least one character")
        if user_id is not None and not is_hex_id(user_id):
            raise InvalidInput.of(("id",), "pattern", user_id, "32 lower-case hexadecimal digits")
        if not is_hex_id(account_id) or await self._store.account(account_id) is None:
            message = f"there is no account {account_id[:MAX_ID]!r}"
            raise NotFound(message, path=("account",))
        user = User(
            id=user_id or new_id(),
            account_id=account_id,
            created=self._clock.now(),
            priv_level=priv_level,
            passwords=None if password is None else hash_password(account_id, username, password),
            **texts,
        )
        with await self._record(user, "create"):
            if not await self._store.add_user(user):
                message = f"the account already has a user {username!r}, or a user with this id"
                raise InvalidState(message, path=("username",))
        # The id may be that of a deleted user.
        await self._store.end_tokens(account_id, user.id, user.created)
        await self._store.set_disabled(account_id, user.id, None)
        return user

    async def named(self, account_id: str, name: str) -> User:
        """Return the user of an account with an id or a user name, for the operator. `NotFound` if there is none."""
        if is_hex_id(account_id) and await self._store.account(account_id) is not None:
            by_id = await self._store.user(account_id, name)
            if by_id is not None:
                return by_id
            async for user in all_users(self._store, account_id):
                if user.username.lower() == name.lower():
                    return user
        message = f"the account {account_id[:MAX_ID]!r} has no user {name[:MAX_ID]!r}"
        raise NotFound(message, path=("user",))

    async def set_password(self, user: User, password: str) -> None:
        """Replace the password of a user, for the operator. This ends the user's tokens and signed URLs.

        Raises:
            InvalidInput: the password is too short.
            NotFound: the user was deleted.
        """
        check_password(password)
        hashes = hash_password(user.account_id, user.username, password)
        with await self._record(user, "set-password"):
            await self._end_tokens(user)
            if not await self._store.save_passwords(user.account_id, user.id, hashes):
                raise _no_user(user)
        await self._end_tokens(user)

    async def update(self, user: User, changes: Mapping[UserField, str]) -> User:
        """Change fields of a user, and return the user. Another role ends the user's tokens, which have its scopes.

        Raises:
            InvalidInput: a text is too long or has characters that cannot be stored, or there is no change.
            NotFound: the user was deleted.
        """
        if not changes:
            raise InvalidInput.of(("user",), "required", None, f"at least one of {', '.join(UserField)}")
        for field, text in changes.items():
            _check_text(field.value, text, empty=True)
        has_other_role = changes.get(UserField.PRIV_LEVEL, user.priv_level) != user.priv_level
        with await self._record(user, "update"):
            if has_other_role:
                await self._end_tokens(user)
            if not await self._store.save_user(user.account_id, user.id, changes):
                raise _no_user(user)
        if has_other_role:
            await self._end_tokens(user)
        changed = await self._store.user(user.account_id, user.id)
        if changed is None:
            raise _no_user(user)
        return changed

    async def disable(self, user: User) -> None:
        """Disable a user, for the operator. None of the user's credentials is valid until `enable`."""
        await self._record(user, "disable")
        await self._store.set_disabled(user.account_id, user.id, self._clock.now())

    async def enable(self, user: User) -> None:
        """Enable a disabled user, for the operator. The credentials are valid again."""
        await self._record(user, "enable")
        await self._store.set_disabled(user.account_id, user.id, None)

    async def delete(self, user: User) -> None:
        """Delete a user, for the operator. The user's recordings stay. Credentials with this owner are not valid."""
        await self.disable(user)
        await self._record(user, "delete")
        await self._store.delete_user(user.account_id, user.id)

    async def _end_tokens(self, user: User) -> None:
        """End the user's tokens; before a change, so that none outlives it if the process dies, and after it."""
        await self._store.end_tokens(user.account_id, user.id, self._clock.now())

    async def _record(self, user: User, change: str) -> Refusals:
        """Write the entry of a change. A change that can be refused belongs into the returned block."""
        target = AuditObject("user", user.id, user.account_id)
        await self._audit.record(self._principal, AuditAction.USER, target, change=change)
        return Refusals(self._audit, self._principal, AuditAction.USER, target)

    async def may_sign_in(self, principal: Principal) -> bool:
        """Return true if neither the account nor the user of a principal is disabled."""
        return await self._access.is_valid(principal)

    async def users(self, principal: Principal, account_id: str) -> Sequence[User]:
        """Return the users of an account, oldest first. A principal with an owner gets that owner only.

        `InvalidState` if there are more than `MAX_LIST`: a list by name needs all of them at once.
        """
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id is not None:
            own = await self._store.user(account_id, principal.owner_id)
            return [] if own is None else [own]
        return _bounded("users", await self._store.users(account_id, MAX_LIST + 1), "recordings user list")

    async def user(self, principal: Principal, account_id: str, user_id: str) -> User | None:
        """Return a user of an account by id. A principal with an owner gets that owner only."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id not in {None, user_id} or not is_hex_id(user_id):
            return None
        return await self._store.user(account_id, user_id)

    async def accounts_below(self, principal: Principal, account_id: str, *, direct: bool = False) -> Sequence[Account]:
        """Return the accounts below an account, or only those directly below it. A principal with an owner gets none.

        `InvalidState` if there are more than `MAX_LIST`: a list by name needs all of them at once.
        """
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id is not None:
            return []
        if direct:
            found = await self._store.children(account_id, PageRequest(limit=MAX_LIST + 1))
        else:
            found = await self._store.accounts_below(account_id, MAX_LIST + 1)
        return _bounded("accounts", found, "`Account.children` of the GraphQL API")

    async def is_known(self, principal: Principal, account_id: str, user_id: str) -> bool:
        """Return true if an account has this user: it was created, or it is the owner of a recording.

        Deleted recordings count, too, so a user stays known after the last recording is deleted. A principal with an
        owner knows that owner only.
        """
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        if not 0 < len(user_id) <= MAX_ID or not is_storable(user_id):
            return False
        if principal.owner_id is not None:
            return user_id == principal.owner_id
        if await self._store.user(account_id, user_id) is not None:
            return True
        return await self._owns_recordings(account_id, user_id)

    async def _owns_recordings(self, account_id: str, user_id: str) -> bool:
        request = PageRequest(limit=1, fields=frozenset({"id"}))
        for shelf in Shelf:
            query = Query(account_id=account_id, owner_id=user_id, shelf=shelf)
            if (await self._store.page(query, request)).rows:
                return True
        return False

    async def find_accounts(
        self, *, name: str | None = None, realm: str | None = None, number: str | None = None
    ) -> Sequence[Account]:
        """Find the accounts for a sign-in.

        A phone number is tried first, then the realm, then the name; the later ones only if the earlier ones find no
        account. Only the digits of a number are compared, and only the letters and digits of a name, in any case.
        """
        criteria = [
            (wanted, normalize, values_of)
            for value, normalize, values_of in (
                (number, plain_number, lambda account: account.numbers),
                (realm, str.lower, lambda account: (account.realm,)),
                (name, plain_name, lambda account: (account.name,)),
            )
            if (wanted := normalize(value or ""))
        ]
        found: list[list[Account]] = [[] for _ in criteria]
        async for account in all_accounts(self._store):
            for matches, (wanted, normalize, values_of) in zip(found, criteria, strict=True):
                if len(matches) < MAX_MATCHES and wanted in map(normalize, values_of(account)):
                    matches.append(account)
        return next(filter(None, found), [])

    async def find_by_credential(self, account_id: str, method: Method, hashed: str) -> User | None:
        """Find the user of an account by a credential hash; see `recordings.model.user.hash_credential`."""
        return await self._store.user_by_hash(account_id, method, hashed)


def _no_user(user: User) -> NotFound:
    return NotFound(f"there is no user {user.id}", path=("user",))


def _bounded(what: str, found: Sequence[Item], instead: str) -> Sequence[Item]:
    if len(found) > MAX_LIST:
        message = f"there are more than {MAX_LIST} {what}: list them with {instead}"
        raise InvalidState(message)
    return found


def plain_name(text: str) -> str:
    """Return an account's name in the form that is compared."""
    return "".join(character for character in text.lower() if character.isalnum())


def plain_number(text: str) -> str:
    """Return a phone number in the form that is compared."""
    return "".join(character for character in text if character in digits)


def check_password(password: str) -> None:
    """Raise `InvalidInput` if a new password is too short. The error does not contain the password."""
    if len(password) < MIN_PASSWORD:
        raise InvalidInput.of(
            ("password",), "minLength", f"{len(password)} characters", f"at least {MIN_PASSWORD} characters"
        )


def _check_text(name: str, text: str, *, empty: bool) -> None:
    if len(text) > MAX_TEXT or not text.isprintable() or not is_storable(text) or not (text or empty):
        least = "at most" if empty else "1 to"
        raise InvalidInput.of((name,), "maxLength", text, f"{least} {MAX_TEXT} printable characters")
