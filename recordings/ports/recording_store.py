"""The port for the metadata of recordings: insert, save, load, page and claim."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import Page, PageRequest, Query
from recordings.model.recording import Recording
from recordings.ports.account_stores import AccountStore, PlaceStore, UserStore


class StoreUnavailableError(Exception):
    """The metadata store cannot be reached, or did not answer in time. Whether a write was done is not known.

    Raised by every method of a `MetadataStore` but `open` and `ping`, whose errors are for whoever runs the service.
    """


class Taken(Exception):  # noqa: N818 - an answer of `insert`, not a fault
    """An insert met something that is there already."""

    def __init__(self, what: "Unique") -> None:
        super().__init__(what)
        self.what = what


class Unique(StrEnum):
    """What a store keeps unique."""

    ID = "id"
    ACTIVE_CALL = "active_call"
    START_KEY = "start_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whom to lease due recordings to, and which.

    Those that any node can work on (`node` is `None`), those that this `node` holds, and those of any node that were
    due before `stranded` already: their node has not come back for them.
    """

    now: Millis
    until: Millis
    holder: str
    node: str
    limit: int
    stranded: Millis


class RecordingStore(Protocol):
    """Keeps recordings. What a method acknowledged survives the death of any one process or machine it promised to."""

    async def insert(self, recording: Recording) -> None:
        """Keep a new recording.

        Raises:
            Taken: its `id` is there, or another one of its account has its `active_call` or `start_key`.
        """

    async def save(self, recording: Recording, expected: int) -> bool:
        """Replace the recording if its revision is still `expected`; `False` (nothing written) if it is not."""

    async def remove(self, recording_id: str) -> None:
        """Forget a recording as if it had never been. Used for input that was refused half-way."""

    async def load(self, recording_id: str) -> Recording | None:
        """The whole recording; reads what this process wrote."""

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """The recordings that exist of these ids, as rows by id, in one look-up."""

    async def page(self, query: Query, request: PageRequest) -> Page:
        """One page of a query: a range scan of an index, at any depth."""

    async def count(self, query: Query) -> int:
        """How many recordings a query has."""

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """The recording that a `start` with this idempotency key made."""

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """The recording in progress that occupies this call."""

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """The newest recordings made of what came in under this key, newest first."""

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Recordings in progress whose audio this node holds, oldest first."""

    async def claim_due(self, claim: "Claim") -> Sequence[Recording]:
        """Lease recordings whose `due_at` has come, oldest first, each to one claimer only.

        A claimed recording has its lease set, its `due_at` moved to the lease's end and its revision counted up, in one
        atomic update, so that it comes back by itself if the claimer dies.
        """

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make due at once whatever is leased to a holder that is known to have died; how many there were."""

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[RecordingRow]:
        """Rows of all accounts and shelves with an id above `after`, in the order of their ids."""


class MetadataStore(RecordingStore, AccountStore, PlaceStore, UserStore, Protocol):
    """The one place for everything that is not audio."""

    async def open(self) -> None:
        """Connect, and create or migrate indexes and schema. Safe to call from many processes at once."""

    async def close(self) -> None:
        """Let go of everything; acknowledged writes are kept."""

    async def ping(self) -> None:
        """Raise unless the store can serve now."""


def choose_fields(fields: Iterable[str] | None, *always: str) -> frozenset[str] | None:
    """The fields to read: those asked for and those that a use case needs itself."""
    return None if fields is None else frozenset(fields) | frozenset(always)
