"""The port for the metadata of recordings: insert, save, load, page and claim."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from recordings.model.feed_event import FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import MAX_COUNTED, Count, Page, PageRequest, Query
from recordings.model.recording import Recording, State
from recordings.model.work import Work
from recordings.ports.account_stores import AccessStore, AccountStore, LocationStore, UserStore
from recordings.ports.audit_store import AuditStore
from recordings.ports.event_store import EventStore
from recordings.ports.policy_store import PolicyStore
from recordings.ports.retention_run_store import RetentionRunStore
from recordings.ports.secret_store import SecretStore
from recordings.ports.stats_store import StatsStore
from recordings.ports.webhook_store import WebhookStore


class StoreUnavailableError(Exception):
    """The metadata store is unreachable, or did not reply in time. A write may or may not have been done.

    Every method of a `MetadataStore` may raise this, except `open` and `ping`. Those raise the technology's own errors,
    for the operator.
    """


class StoreFullError(StoreUnavailableError):
    """The disk of the metadata store is full. The write was not done."""


class Taken(Exception):  # noqa: N818 - a result of `insert`, not a fault
    """Another recording has a value that must be unique."""

    def __init__(self, what: "Unique") -> None:
        super().__init__(what)
        self.what = what


class Unique(StrEnum):
    """A value that must be unique: an id, or a value in an account."""

    ID = "id"
    ACTIVE_CALL = "active_call"
    START_KEY = "start_key"
    SOURCE = "held_source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A request to lease due recordings to a `holder`.

    It selects the recordings that any node can work on and those whose audio is on this `node`. With `work`, it selects
    only this kind of work, and the accounts take turns: the first one is the next after `after` by its id. `running`
    says how many steps of an account this process runs; one account may have up to `most_of_account`.

    Without `work`, it selects all kinds, oldest first. Without `node`, it selects only the recordings of any node that
    were due before `overdue_before`, because their own node did not return.
    """

    now: Millis
    until: Millis
    holder: str
    node: str | None
    limit: int
    overdue_before: Millis
    work: Work | None = None
    after: str = ""
    running: Mapping[str, int] = field(default_factory=dict)
    most_of_account: int = 1 << 30

    def room_of(self, account_id: str) -> int:
        """Return how many recordings of this account may be claimed."""
        return min(self.limit, self.most_of_account - self.running.get(account_id, 0))

    @property
    def full_accounts(self) -> list[str]:
        """The accounts of which nothing may be claimed."""
        return [account_id for account_id in self.running if self.room_of(account_id) <= 0]


@dataclass(frozen=True, slots=True)
class DueState:
    """How many recordings in a state are due, and since when the first of them is."""

    state: State
    count: int
    first_due: Millis


class RecordingStore(Protocol):
    """Stores recordings. A write that returned is durable.

    Every write, also of a lease, sets the recording's `changed`: an instant of the store's own clock that is later than
    the recording's former one. Rows have `changed` only if it is requested, or if it is the sort key.
    """

    async def watermark(self) -> Millis:
        """Return an instant such that all changes before it are visible, and no later write is before it.

        A reader that shows only rows with a `changed` before it, and then continues there, misses no change.
        """

    async def insert(self, recording: Recording, event: FeedEvent | None = None) -> None:
        """Insert a new recording and its event.

        Raises:
            Taken: its `id` exists, or another recording of its account has its `active_call`, `start_key` or
                `held_source`.
        """

    async def save(self, recording: Recording, expected: int, event: FeedEvent | None = None) -> bool:
        """Replace the recording, and add its event, if its revision is `expected`. Otherwise write nothing.

        Return whether it was written.

        Raises:
            Taken: another recording of its account has its `active_call`, `start_key` or `held_source`.
        """

    async def remove(self, recording_id: str) -> None:
        """Remove a recording, as if it had never existed. This is for uploads that are refused while they arrive."""

    async def load(self, recording_id: str) -> Recording | None:
        """Return a recording. Writes of this process are visible at once."""

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """Return the rows of the ids that exist, by id, with one request."""

    async def page(self, query: Query, request: PageRequest) -> Page:
        """Return one page of a query. It is a range scan of an index, also for late pages.

        Raises:
            QueryTooBroad: no index serves the filter, and the page is not full after the most rows that a query may
                examine.
            TooManyQueries: the account has other slow queries, and this one got no turn in time.
        """

    async def count(self, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return how many recordings a query selects. The number is exact up to `limit` if an index gives it.

        Raises:
            TooManyQueries: as for `page`.
        """

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """Return the recording that a `start` with this idempotency key made."""

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """Return the recording in progress of this call."""

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """Return the recordings of the uploads with this key, newest first."""

    async def find_holders(self, account_id: str, source: str) -> Sequence[Recording]:
        """Return the recordings that hold an uploaded file, oldest first. `source` is `Recording.source`.

        They are at most one recording for each server, and one that is stored.
        """

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Return the recordings in progress whose audio is on this node, oldest first."""

    async def claim_due(self, claim: "Claim") -> Sequence[Recording]:
        """Lease due recordings in the order of `Claim`. Each recording is leased to one claimer only.

        One atomic update sets the lease, moves `due_at` to the end of the lease, and increases the revision. So the
        recording is due again if the claimer dies.
        """

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make the recordings due that are leased to a dead holder. Return how many there were."""

    async def due_states(self, node: str, now: Millis, limit: int) -> Sequence[DueState]:
        """Return how many recordings are due for any node or for this one, by state. At most `limit` are counted."""

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[RecordingRow]:
        """Return rows of all accounts and shelves whose id is greater than `after`, sorted by id."""


class MetadataStore(
    RecordingStore,
    EventStore,
    StatsStore,
    AccountStore,
    AccessStore,
    LocationStore,
    UserStore,
    PolicyStore,
    SecretStore,
    AuditStore,
    RetentionRunStore,
    WebhookStore,
    Protocol,
):
    """Stores everything except audio."""

    async def open(self) -> None:
        """Connect, and create or migrate indexes and schema. Safe to call from many processes at once."""

    async def close(self) -> None:
        """Close all connections."""

    async def ping(self) -> None:
        """Raise an error unless the store can serve requests now."""


def choose_fields(fields: Iterable[str] | None, *always: str) -> frozenset[str] | None:
    """Return the fields to read: the requested fields, and the fields that the use case needs."""
    return None if fields is None else frozenset(fields) | frozenset(always)
