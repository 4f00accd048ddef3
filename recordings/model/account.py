"""Who may do what to which recording.

Accounts form a tree. A principal reaches its own account and the descendants of it, never a sibling or an ancestor; a
principal with an owner reaches that owner's recordings in its own account and nothing else. What is out of reach is
`NotFound`, exactly as if it did not exist; what is in reach but outside the principal's scopes is `Forbidden`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from recordings.model.errors import Forbidden, InvalidInput, NotFound
from recordings.model.instants import Millis
from recordings.model.retention import Retention


class Scope(StrEnum):
    """What a principal may do to the recordings that it reaches. Scopes do not imply one another."""

    READ = "read"
    LISTEN = "listen"
    CONTROL = "control"
    DELETE = "delete"
    ADMIN = "admin"
    INGEST = "ingest"
    """Hand in audio; held by ingest addresses alone, together with nothing else."""


GRANTABLE: Final = (Scope.READ, Scope.LISTEN, Scope.CONTROL, Scope.DELETE, Scope.ADMIN)
"""The scopes that a token or an API key can have."""
DEFAULT_SCOPES: Final = (Scope.READ, Scope.LISTEN, Scope.CONTROL, Scope.DELETE)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: an account, perhaps one owner in it, and the scopes. `name` appears in origins and logs."""

    account_id: str
    scopes: frozenset[Scope]
    owner_id: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An account. `tree` has the ids of its ancestors, the root first; it never changes.

    `retention` says how long its recordings are kept, `media` where new ones go (an fsspec URL; the installation's
    store when absent). By its phone `numbers` v2 clients may name it when they sign in.
    """

    id: str
    name: str
    created: Millis
    tree: tuple[str, ...] = ()
    retention: tuple[Retention, ...] = ()
    media: str | None = None
    numbers: tuple[str, ...] = ()

    @property
    def parent_id(self) -> str | None:
        """The account right above."""
        return self.tree[-1] if self.tree else None

    @property
    def realm(self) -> str:
        """The SIP realm that stands after the `@` of a party that came without one."""
        return f"{self.id[:12]}.sip.invalid"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A long-lived credential. Only the SHA-256 of its secret is kept."""

    id: str
    account_id: str
    scopes: tuple[Scope, ...]
    secret_sha256: str
    created: Millis
    owner_id: str | None = None
    revoked: Millis | None = None


@dataclass(frozen=True, slots=True)
class IngestAddress:
    """Where a switch hands in audio for an account. Its secret is in its URL and allows nothing else."""

    id: str
    account_id: str
    secret_sha256: str
    created: Millis
    revoked: Millis | None = None


def can_access_account(principal: Principal, account: Account) -> bool:
    """Whether a principal reaches an account: its own, or a descendant if it is not bound to an owner."""
    if principal.account_id == account.id:
        return True
    return principal.owner_id is None and principal.account_id in account.tree


def can_access_row(principal: Principal, account: Account, row: Mapping[str, Any]) -> bool:
    """Whether a principal reaches a recording (a row with `account_id` and `owner_id`) of an account."""
    if row["account_id"] != account.id or not can_access_account(principal, account):
        return False
    return principal.owner_id is None or row["owner_id"] == principal.owner_id


def require_scope(principal: Principal, scope: Scope) -> None:
    """Raise `Forbidden`, naming the scope, unless the principal has it."""
    if scope not in principal.scopes:
        message = f"this needs the scope {scope.value!r}; the credentials have {scope_text(principal.scopes)}"
        raise Forbidden(message)


def require_account(principal: Principal, account: Account | None, account_id: str) -> Account:
    """Give the account back if the principal reaches it; `NotFound` otherwise."""
    if account is None or not can_access_account(principal, account):
        message = f"there is no account {account_id}"
        raise NotFound(message, path=("accountId",))
    return account


def scope_text(scopes: Iterable[Scope]) -> str:
    """Scopes in words, sorted."""
    return ", ".join(sorted(scope.value for scope in scopes)) or "none"


def parse_scopes(texts: Iterable[str], path: Sequence[str] = ("scope",)) -> frozenset[Scope]:
    """Scopes from their names.

    Raises:
        InvalidInput: a name is unknown or not grantable.
    """
    allowed = {scope.value: scope for scope in GRANTABLE}
    given = tuple(texts)
    for text in given:
        if text not in allowed:
            raise InvalidInput.of(path, "enum", text, f"one of {', '.join(allowed)}")
    return frozenset(allowed[text] for text in given)
