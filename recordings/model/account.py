"""Accounts, their credentials, and the principal of a request. The rules for them are in `recordings.rules.access`."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from recordings.model.instants import Millis
from recordings.model.quota import NO_QUOTA, Quota
from recordings.model.realm import default_realm
from recordings.model.retention import Retention


class Scope(StrEnum):
    """A right of a principal. No scope includes another one."""

    READ = "read"
    LISTEN = "listen"
    CONTROL = "control"
    DELETE = "delete"
    ADMIN = "admin"
    INGEST = "ingest"
    """Upload audio. Ingest addresses have this scope and no other."""


GRANTABLE: Final = (Scope.READ, Scope.LISTEN, Scope.CONTROL, Scope.DELETE, Scope.ADMIN)
"""The scopes that a token or an API key can have."""
DEFAULT_SCOPES: Final = (Scope.READ, Scope.LISTEN, Scope.CONTROL, Scope.DELETE)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request: an account, optionally one owner in it, and scopes. `name` is for origins and logs.

    `record_all` is true for an ingest address that records every call. `user_id` is the user who signed in, and
    `key_id` the API key of the request or of its token. `token_id` is the `jti` of its token, and `issued` is when
    that token was issued. Both are `None` for other credentials.
    """

    account_id: str
    scopes: frozenset[Scope]
    owner_id: str | None = None
    name: str = ""
    record_all: bool = False
    user_id: str | None = field(default=None, compare=False)
    key_id: str | None = field(default=None, compare=False)
    issued: Millis | None = field(default=None, compare=False)
    token_id: str | None = field(default=None, compare=False)

    @property
    def people(self) -> frozenset[str]:
        """The owner and the user of the credentials. If one of them is disabled, the credentials are not valid."""
        return frozenset({self.owner_id, self.user_id} - {None})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class AccessState:
    """Whether credentials of an account are valid, and the instant before which its tokens were ended."""

    is_valid: bool
    not_before: Millis = 0


@dataclass(frozen=True, slots=True)
class Account:
    """An account.

    `tree` has the ids of its ancestors, the root first; it never changes. `retention` has the rules for how long its
    recordings are kept. `media` is the fsspec URL for new audio; without one, the installation's store is used. REST
    v2 clients may name the account by one of its phone `numbers` when they sign in. `sip_realm` is the realm that an
    operator set; no other account has it.
    """

    id: str
    name: str
    created: Millis
    tree: tuple[str, ...] = ()
    retention: tuple[Retention, ...] = ()
    media: str | None = None
    numbers: tuple[str, ...] = ()
    sip_realm: str | None = None
    quota: Quota = NO_QUOTA

    @property
    def parent_id(self) -> str | None:
        """The id of the parent account; `None` for a root account."""
        return self.tree[-1] if self.tree else None

    @property
    def realm(self) -> str:
        """The SIP realm for a party that has none of its own: the text after the `@`."""
        return self.sip_realm or default_realm(self.id)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A long-lived credential. Only the SHA-256 of its secret is stored."""

    id: str
    account_id: str
    scopes: tuple[Scope, ...]
    secret_sha256: str
    created: Millis
    owner_id: str | None = None
    revoked: Millis | None = None


@dataclass(frozen=True, slots=True)
class IngestAddress:
    """A URL for a switch to upload audio of one account. Its secret is in the URL and allows nothing else.

    With `record_all`, every call whose audio arrives here is recorded.
    """

    id: str
    account_id: str
    secret_sha256: str
    created: Millis
    revoked: Millis | None = None
    record_all: bool = False
