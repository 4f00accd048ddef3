"""The secrets of accounts that must be usable: secrets that sign deliveries, and auth tokens of Twilio.

They are stored encrypted. During a rotation a secret has two values: the new one and the former one.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.ports.account_stores import PAGE
from recordings.ports.audit import Audit, Refusals
from recordings.ports.recording_store import MetadataStore
from recordings.ports.sealer import CannotUnsealError, Sealer
from recordings.ports.secret_store import AccountSecret, SecretStore
from recordings.rules.access import require_scope
from recordings.rules.webhook_signature import new_signing_secret, read_secret_pair, read_signing_secret
from recordings.use_cases.authorized import Authorized

MAX_VALUES: Final = 2
MAX_TOKEN: Final = 128
_MAX_TRIES: Final = 8
Change = Callable[[Sequence[str]], Sequence[str]]


class SecretKind(StrEnum):
    """What a secret is for."""

    DELIVERY = "delivery"
    """Signs deliveries to `url`."""
    TWILIO = "twilio"
    """Checks the signatures of Twilio's media streams."""
    WEBHOOK = "webhook"
    """Signs the events of one webhook, which is the `part`."""


class AccountSecrets:
    """Sets, reads and deletes the secrets of accounts. Methods without a principal are for the operator."""

    def __init__(self, store: MetadataStore, sealer: Sealer, audit: Audit) -> None:
        self._store = store
        self._sealer = sealer
        self._audit = audit
        self._authorized = Authorized(store)

    async def values(self, account_id: str, kind: SecretKind, part: str = "") -> tuple[str, ...]:
        """Return the values of a secret, the newest first. `part` is for a secret of one part of the account.

        Raises:
            CannotUnsealError: a value cannot be decrypted.
        """
        name = _name(kind, part)
        sealed = await self._store.account_secret(account_id, name)
        return tuple(self._sealer.unseal(each, f"{account_id}:{name}") for each in sealed)

    async def count(self, account_id: str, kind: SecretKind, part: str = "") -> int:
        """Return how many values a secret has."""
        return len(await self._store.account_secret(account_id, _name(kind, part)))

    async def signing_keys(self, account_id: str) -> tuple[bytes, ...]:
        """Return the keys that sign the deliveries of an account. Raises `CannotUnsealError`."""
        return tuple(read_signing_secret(each) for each in await self.values(account_id, SecretKind.DELIVERY))

    async def twilio_tokens(self, account_id: str, address_id: str) -> tuple[str, ...]:
        """Return the auth tokens for the streams to an ingest address: its own, or else those of the account.

        Raises:
            CannotUnsealError: a token cannot be decrypted.
        """
        own = await self.values(account_id, SecretKind.TWILIO, address_id)
        return own or await self.values(account_id, SecretKind.TWILIO)

    async def put(
        self,
        account_id: str,
        kind: SecretKind,
        value: str,
        part: str = "",
        principal: Principal | None = None,
        *,
        if_missing: bool = False,
    ) -> None:
        """Add a value to a secret. The newest value before stays valid until `clear`, so that others can change over.

        With `if_missing`, add it only if the secret has no value that can be decrypted.

        Raises:
            InvalidInput: the value is not allowed.
            NotFound: there is no such account, or no such part of it.
        """
        await self._put(account_id, kind, value, part, principal, if_missing=if_missing)

    async def clear(
        self,
        account_id: str,
        kind: SecretKind,
        part: str = "",
        principal: Principal | None = None,
        *,
        only_old: bool = False,
    ) -> int:
        """Delete a secret, or with `only_old` all values but the newest. Return how many values remain."""
        return await self._clear(account_id, kind, part, only_old, principal)

    async def rotate_delivery_secret(
        self, principal: Principal, account_id: str | None = None, secret: str | None = None
    ) -> str:
        """Set the secret that signs an account's deliveries, and return it. Without `secret`, make a new one.

        Raises:
            Forbidden: the scope ADMIN is missing, or the credentials belong to one owner.
            InvalidInput: the secret is not allowed.
            NotFound: the principal may not access the account.
        """
        value = new_signing_secret() if secret is None else secret
        target = AuditObject("secret", SecretKind.DELIVERY.value, account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.SECRET, target):
            account_id = await self._account_of(principal, account_id)
            await self._put(account_id, SecretKind.DELIVERY, value, "", principal)
        return value

    async def clear_delivery_secret(
        self, principal: Principal, account_id: str | None = None, *, only_old: bool = False
    ) -> int:
        """Delete the secret that signs an account's deliveries, or only the one before. Return how many remain.

        Raises:
            Forbidden: the scope ADMIN is missing, or the credentials belong to one owner.
            NotFound: the principal may not access the account.
        """
        target = AuditObject("secret", SecretKind.DELIVERY.value, account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.SECRET, target):
            account_id = await self._account_of(principal, account_id)
            return await self._clear(account_id, SecretKind.DELIVERY, "", only_old, principal)

    async def _put(
        self,
        account_id: str,
        kind: SecretKind,
        value: str,
        part: str,
        principal: Principal | None,
        *,
        if_missing: bool = False,
    ) -> None:
        _check_value(kind, value)
        await self._check_account(account_id, kind, part)
        name = _name(kind, part)
        target = AuditObject("secret", name, account_id)
        await self._audit.record(principal, AuditAction.SECRET, target, change="set")
        context = f"{account_id}:{name}"
        sealed = self._sealer.seal(value, context)

        def add(before: Sequence[str]) -> Sequence[str]:
            # A value that no key can decrypt does not stay.
            usable = [each for each in before if _is_usable(self._sealer, each, context)]
            return before if if_missing and usable else [sealed, *usable[: MAX_VALUES - 1]]

        await _change(self._store, account_id, name, add)

    async def _clear(
        self,
        account_id: str,
        kind: SecretKind,
        part: str,
        only_old: bool,  # noqa: FBT001 - private
        principal: Principal | None,
    ) -> int:
        await self._check_account(account_id, kind, part)
        name = _name(kind, part)
        target = AuditObject("secret", name, account_id)
        await self._audit.record(principal, AuditAction.SECRET, target, change="old cleared" if only_old else "cleared")
        return await _change(self._store, account_id, name, lambda before: before[:1] if only_old else [])

    async def _account_of(self, principal: Principal, account_id: str | None) -> str:
        require_scope(principal, Scope.ADMIN)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id is not None:
            message = "the credentials of one owner cannot change the secrets of the account"
            raise Forbidden(message)
        return account_id

    async def _check_account(self, account_id: str, kind: SecretKind, part: str) -> None:
        if not is_hex_id(account_id) or await self._store.account(account_id) is None:
            message = f"there is no account {account_id[:MAX_ID]!r}"
            raise NotFound(message, path=("account",))
        if part and kind is SecretKind.TWILIO:
            address = await self._store.ingest_address(part)
            if address is None or address.account_id != account_id:
                message = f"the account has no ingest address {part[:MAX_ID]!r}"
                raise NotFound(message, path=("ingest",))


async def encrypt_again(store: SecretStore, sealer: Sealer) -> int:
    """Encrypt all secrets with the newest key, before an older key is dropped. Return how many changed.

    Values that no key can decrypt stay as they are.
    """
    changed, after = 0, None
    while page := await store.account_secrets(PAGE, after):
        for secret in page:
            if not all(map(sealer.is_current, secret.sealed)):
                context = f"{secret.account_id}:{secret.name}"
                change = partial(_seal_again, sealer, context)
                await _change(store, secret.account_id, secret.name, change)
                changed += 1
        after = page[-1]
    return changed


def _seal_again(sealer: Sealer, context: str, before: Sequence[str]) -> Sequence[str]:
    return [
        sealer.seal(sealer.unseal(each, context), context)
        if not sealer.is_current(each) and _is_usable(sealer, each, context)
        else each
        for each in before
    ]


def _is_usable(sealer: Sealer, sealed: str, context: str) -> bool:
    try:
        sealer.unseal(sealed, context)
    except CannotUnsealError:
        return False
    return True


async def _change(store: SecretStore, account_id: str, name: str, change: Change) -> int:
    """Change the values of a secret, and return how many it has then."""
    for _ in range(_MAX_TRIES):
        before = await store.account_secret(account_id, name)
        after = tuple(change(before))
        if await store.save_account_secret(AccountSecret(account_id, name, after), before):
            return len(after)
    message = f"the {name} secret of the account {account_id} keeps changing: try again"
    raise Conflict(message)


def _name(kind: SecretKind, part: str) -> str:
    return f"{kind.value}/{part}" if part else kind.value


def _check_value(kind: SecretKind, value: str) -> None:
    if kind is SecretKind.DELIVERY:
        read_signing_secret(value)
    elif kind is SecretKind.WEBHOOK:
        read_secret_pair(value)
    elif not (0 < len(value) <= MAX_TOKEN and value.isascii() and value.isprintable() and " " not in value):
        allowed = f"1 to {MAX_TOKEN} printable ASCII characters without spaces"
        raise InvalidInput.of(("token",), "pattern", f"{len(value)} characters", allowed)
