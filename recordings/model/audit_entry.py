"""An entry of the audit trail: who did what to which object, when, from where, and with which outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.model.account import Principal, Scope
from recordings.model.instants import Millis


class AuditAction(StrEnum):
    """The action of an entry."""

    LIST = "LIST"
    READ = "READ"
    PLAY = "PLAY"
    PLAY_ENDED = "PLAY_ENDED"
    DOWNLOAD = "DOWNLOAD"
    EXPORT = "EXPORT"
    EXPORT_ENDED = "EXPORT_ENDED"
    URL_GIVEN = "URL_GIVEN"
    START = "START"
    STOP = "STOP"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    MASK = "MASK"
    UNMASK = "UNMASK"
    CONSENT = "CONSENT"
    SUPERSEDE = "SUPERSEDE"
    RECEIVE = "RECEIVE"
    FORBID_CALL = "FORBID_CALL"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    RESTORE = "RESTORE"
    EXPIRE = "EXPIRE"
    ERASE = "ERASE"
    HOLD = "HOLD"
    RELEASE = "RELEASE"
    REDELIVER = "REDELIVER"
    POLICY = "POLICY"
    RETENTION = "RETENTION"
    ACCOUNT = "ACCOUNT"
    USER = "USER"
    KEY = "KEY"
    INGEST_ADDRESS = "INGEST_ADDRESS"
    SECRET = "SECRET"  # noqa: S105 - the name of an action
    WEBHOOK = "WEBHOOK"
    TOKEN = "TOKEN"  # noqa: S105 - the name of an action
    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    READ_TRAIL = "READ_TRAIL"
    GAP = "GAP"


ENDS: Final = {AuditAction.PLAY_ENDED, AuditAction.EXPORT_ENDED}
"""Entries that complete an earlier entry. Lists of the trail show both as one."""


class AuditOutcome(StrEnum):
    """Whether it was done."""

    GRANTED = "GRANTED"
    DENIED = "DENIED"
    """The actor may not do it."""
    FAILED = "FAILED"
    """The actor may do it, but it was not possible."""


class Way(StrEnum):
    """The way by which a request came."""

    GRAPHQL = "GRAPHQL"
    REST = "REST"
    SIGNED_URL = "SIGNED_URL"
    CLI = "CLI"
    SYSTEM = "SYSTEM"


class ActorKind(StrEnum):
    """The kind of credentials of an actor."""

    USER = "USER"
    OWNER = "OWNER"
    KEY = "KEY"
    TOKEN = "TOKEN"  # noqa: S105 - the name of a kind
    INGEST_ADDRESS = "INGEST_ADDRESS"
    OPERATOR = "OPERATOR"
    SYSTEM = "SYSTEM"
    ANONYMOUS = "ANONYMOUS"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from."""

    way: Way = Way.SYSTEM
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `id` is the user, the owner, the key or the token (`jti`), the first one that is known."""

    kind: ActorKind
    id: str
    account_id: str
    owner_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    token_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AuditObject:
    """The object of an action: its type, its id, and its account."""

    type: str
    id: str | None = None
    account_id: str | None = None


Details = Mapping[str, Any]
"""Further facts as JSON values. They contain no number and no name of a party of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An entry that is not in a chain yet. `account_id` is the account whose trail has it; empty: the installation."""

    id: str
    at: Millis
    account_id: str
    actor: Actor
    origin: Origin
    action: AuditAction
    object: AuditObject
    outcome: AuditOutcome = AuditOutcome.GRANTED
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A position in a chain: the number of an entry and its hash. The start of a chain is 0 with an empty hash."""

    seq: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ChainName:
    """A chain: the trail of one account by one writer, which is one process of one node."""

    account_id: str
    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry in a chain, as a store keeps it.

    `body` is the canonical JSON of the entry and its position. `hash` is the SHA-256 of `prev` and the body. The other
    fields repeat values of the body for filters. The root of a chain whose older entries were deleted has no body.
    """

    id: str
    account_id: str
    writer: str
    seq: int
    at: Millis
    who: str
    action: str
    object_id: str | None
    outcome: str
    body: str
    prev: str
    hash: str

    @property
    def chain(self) -> ChainName:
        """The chain that contains it."""
        return ChainName(self.account_id, self.writer)

    @property
    def link(self) -> Link:
        """Its position."""
        return Link(self.seq, self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A signed statement about chains of one writer: their ends and their roots. `text` is JSON with the signature."""

    id: str
    writer: str
    at: Millis
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries of one account's trail to list. `since` is inclusive and `before` is not."""

    account_id: str
    who: str | None = None
    actions: tuple[AuditAction, ...] = ()
    object_id: str | None = None
    outcome: AuditOutcome | None = None
    since: Millis | None = None
    before: Millis | None = None


SYSTEM: Final = Actor(ActorKind.SYSTEM, "system", "")
"""The service itself, in its background work."""


def end_of(entry_id: str) -> str:
    """Return the id of the entry that completes another one."""
    return f"{entry_id}-end"


def actor_of(principal: Principal) -> Actor:
    """Return the actor of a principal."""
    known = (
        (ActorKind.USER, principal.user_id),
        (ActorKind.OWNER, principal.owner_id),
        (ActorKind.KEY, principal.key_id),
        (ActorKind.TOKEN, principal.token_id),
    )
    is_ingest = principal.scopes == {Scope.INGEST}
    unnamed = (ActorKind.INGEST_ADDRESS if is_ingest else ActorKind.TOKEN, principal.name)
    kind, identity = next((each for each in known if each[1]), unnamed)
    return Actor(
        kind,
        identity or principal.account_id,
        principal.account_id,
        principal.owner_id,
        principal.user_id,
        principal.key_id,
        principal.token_id,
        principal.name or None,
    )
