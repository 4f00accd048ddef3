"""The kinds of things that the metadata stores keep, and what a backup and a migration do with each kind.

This is the only list. A test compares it with the tables of SQLite and with the collections of MongoDB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Care(Enum):
    """What a copy of an installation needs of a kind."""

    COPIED = "COPIED"
    """It is copied and compared."""
    REBUILT = "REBUILT"
    """The store makes it again from the recordings."""
    TEMPORARY = "TEMPORARY"
    """It belongs to running servers, and is not copied."""


@dataclass(frozen=True, slots=True)
class StoredKind:
    """One kind: its table in SQLite and its collection in MongoDB. `None` means that the store needs none.

    `key` are the columns of its primary key in SQLite. `identity` are the values that identify a row in both stores, if
    they are others. `expires` is the value with the time after which a store may delete a row by itself.
    """

    table: str | None
    collection: str | None
    care: Care = Care.COPIED
    key: tuple[str, ...] = ("id",)
    identity: tuple[str, ...] = ()
    expires: str = ""

    def identify(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what identifies a row among those of its kind."""
        return tuple(row[name] for name in self.identity or self.key)

    @property
    def is_copied(self) -> bool:
        """True if a backup and a migration copy it."""
        return self.care is Care.COPIED


KINDS: Final = (
    StoredKind("accounts", "accounts"),
    StoredKind("users", "users", key=("account_id", "id")),
    StoredKind("api_keys", "api_keys"),
    StoredKind("ingest_addresses", "ingest_addresses"),
    StoredKind("access_limits", "access_limits", key=("account_id", "person")),
    StoredKind("account_secrets", "account_secrets", key=("account_id", "name")),
    StoredKind("revoked_tokens", "revoked_tokens", expires="until"),
    StoredKind("policy_documents", "policy_documents", key=("account_id", "kind", "id")),
    StoredKind("places", "places", key=("url",)),
    StoredKind("recordings", "recordings"),
    StoredKind("events", "events", key=("seq",), identity=("subject", "revision")),
    StoredKind("retention_runs", "retention_runs", key=("account_id",)),
    StoredKind("webhooks", "webhooks"),
    StoredKind("webhook_attempts", "webhook_attempts", key=("webhook_id", "slot")),
    StoredKind("audit_entries", "audit_entries"),
    StoredKind("audit_seals", "audit_seals"),
    # MongoDB keeps these two, and the version of its schema, in one collection.
    StoredKind("installation", "meta"),
    StoredKind("change_clock", None, Care.REBUILT),
    StoredKind("recordings_terms", None, Care.REBUILT),
    StoredKind("stats_marks", "stats_marks", Care.REBUILT),
    StoredKind("stats_parts", "stats_parts", Care.REBUILT),
    StoredKind(None, "peers", Care.TEMPORARY),
    StoredKind(None, "live_calls", Care.TEMPORARY),
    StoredKind(None, "switches", Care.TEMPORARY),
)
"""All kinds, in the order in which they are copied."""

TABLES: Final = {kind.table: kind for kind in KINDS if kind.table is not None}
COLLECTIONS: Final = {kind.collection: kind for kind in KINDS if kind.collection is not None}
