"""A metadata store in memory: queries and compare-and-set, implemented in the simplest way."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from recordings.model.account import AccessState, Account
from recordings.model.feed_event import EventPosition, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import LATEST
from recordings.model.item_list import take_page
from recordings.model.query import MAX_COUNTED, Count, Page, PageRequest, Position, Query, matches, selects, sort_key
from recordings.model.recording import Recording
from recordings.model.recording_policy import DocumentKind, PolicyDocument
from recordings.model.rollup import COUNTED, CountedRow, Level, RowSelection, Slot
from recordings.ports.recording_store import Taken, Unique
from recordings.ports.secret_store import AccountSecret
from tests.support.memory_webhooks import MemoryWebhooks


def _row(recording: Recording) -> RecordingRow:
    return {**recording.to_row(), "changed": recording.modified}


class MemoryStore(MemoryWebhooks):
    """The part of a `MetadataStore` that the use cases need."""

    def __init__(self) -> None:
        super().__init__()
        self.recordings: dict[str, Recording] = {}
        self.known: dict[str, Account] = {}
        self.disabled: set[str | None] = set()
        self.not_before = 0
        self.written: list[FeedEvent] = []
        self.policies: dict[tuple[str, DocumentKind, str], PolicyDocument] = {}
        self.secrets: dict[tuple[str, str], tuple[str, ...]] = {}

    async def add_account(self, account: Account) -> bool:
        """Add an account."""
        return self.known.setdefault(account.id, account) is account

    async def account(self, account_id: str) -> Account | None:
        """Return an account by id."""
        return self.known.get(account_id)

    async def access_state(self, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
        """Return the state of credentials. `disabled` has disabled people, and revoked keys."""
        names = {account_id, *people, key_id}
        return AccessState(account_id in self.known and not names & self.disabled, self.not_before)

    async def children(self, parent_id: str, request: PageRequest) -> Sequence[Account]:
        """Return a page of the accounts directly below an account."""
        found = [account for account in self.known.values() if account.parent_id == parent_id]
        return take_page(found, request, lambda account: Position(account.created, account.id), descending=False)

    async def accounts_below(self, account_id: str, limit: int) -> Sequence[Account]:
        """Return the accounts below an account."""
        return [account for account in self.known.values() if account_id in account.tree][:limit]

    async def count_children(self, parent_id: str) -> int:
        """Return the number of accounts directly below an account."""
        return len([account for account in self.known.values() if account.parent_id == parent_id])

    async def insert(self, recording: Recording, event: FeedEvent | None = None) -> None:
        """Insert a recording and its event, or raise `Taken`."""
        if recording.id in self.recordings:
            raise Taken(Unique.ID)
        if recording.active_call and await self.find_active(recording.account_id, recording.active_call):
            raise Taken(Unique.ACTIVE_CALL)
        self.recordings[recording.id] = recording
        self.add(event)

    async def save(self, recording: Recording, expected: int, event: FeedEvent | None = None) -> bool:
        """Replace the recording, and add its event, if its revision is `expected`."""
        if self.recordings[recording.id].revision != expected:
            return False
        self.recordings[recording.id] = recording
        self.add(event)
        return True

    async def add_event(self, event: FeedEvent) -> None:
        """Store an event of an account's settings."""
        self.add(event)

    def add(self, event: FeedEvent | None) -> None:
        """Add an event."""
        if event is not None:
            self.written.append(replace(event, stamp=len(self.written) + 1))

    async def events(
        self, account_ids: Collection[str], after: EventPosition, below: int | None, limit: int
    ) -> Sequence[FeedEvent]:
        """Return the first events of these accounts after a position."""
        return [event for event in self.written if event.account_id in account_ids and event.position > after][:limit]

    async def load(self, recording_id: str) -> Recording | None:
        """Return a recording."""
        return self.recordings.get(recording_id)

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """Return rows by id, with all fields."""
        return {found: self.recordings[found].to_row() for found in ids if found in self.recordings}

    async def page(self, query: Query, request: PageRequest) -> Page:
        """Return the first page of a query. Cursors are not supported."""
        rows = [row for recording in self.recordings.values() if selects(query, row := _row(recording))]
        rows.sort(key=lambda row: sort_key(query.order, row), reverse=query.order.descending)
        return Page(rows[: request.limit], len(rows) > request.limit)

    async def count(self, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return how many recordings a query selects."""
        number = sum(selects(query, _row(recording)) for recording in self.recordings.values())
        return Count(min(number, limit), is_exact=number <= limit)

    async def watermark(self) -> int:
        """Return an instant after all changes."""
        return LATEST

    async def policy_documents(
        self, account_id: str, names: Collection[tuple[DocumentKind, str]]
    ) -> Sequence[PolicyDocument]:
        """Return the policy documents of these kinds and ids."""
        found = (self.policies.get((account_id, *name)) for name in names)
        return [document for document in found if document is not None]

    async def documents_of_kind(
        self, account_id: str, kind: DocumentKind, limit: int = 10_000
    ) -> Sequence[PolicyDocument]:
        """Return the policy documents of a kind."""
        return [found for key, found in self.policies.items() if key[:2] == (account_id, kind)][:limit]

    async def save_policy_document(self, document: PolicyDocument) -> bool:
        """Save a policy document."""
        self.policies[document.account_id, document.kind, document.id] = document
        return True

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """Return the recording in progress of a call."""
        found = (item for item in self.recordings.values() if item.account_id == account_id)
        return next((item for item in found if item.active_call == call_id), None)

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """Return the recording of a start key."""
        found = (item for item in self.recordings.values() if item.account_id == account_id)
        return next((item for item in found if item.start_key == start_key), None)

    async def marked_slots(self, account_ids: Collection[str], first: int, end: int) -> Sequence[Slot]:
        """Return the slots of all recordings: nothing is counted in advance."""
        level = Level.QUARTER
        found = (item for item in self.recordings.values() if item.account_id in account_ids)
        return [Slot(item.account_id, level, level.start(item.start)) for item in found]

    async def parts(self, account_ids: Sequence[str], cube: str, runs: object, *, bins: bool) -> AsyncIterator[object]:
        """Yield nothing."""
        if self.recordings is None:
            yield ()

    async def examined(self, selection: RowSelection, limit: int) -> int:
        """Return the number of recordings in the ranges of a selection, at most `limit`."""
        return min(limit, len([row async for rows in self.rows_to_count(selection) for row in rows]))

    async def rows_to_count(self, selection: RowSelection) -> AsyncIterator[list[CountedRow]]:
        """Yield the recordings of a selection."""
        for recording in self.recordings.values():
            row: Any = recording.to_row()
            at, is_own = row[selection.field.value], selection.owner_id in {None, recording.owner_id}
            if (
                is_own
                and recording.account_id == selection.account_id
                and row["shelf"] in selection.shelves
                and any(first <= at < end for first, end in selection.ranges)
                and matches(selection.where, row)
            ):
                yield [CountedRow(at, tuple(row[name] for name in COUNTED), None)]

    async def descendants(self, account_id: str, limit: int) -> Sequence[str]:
        """Return the ids of the accounts below an account."""
        return [item.id for item in self.known.values() if account_id in item.tree][:limit]

    async def account_secret(self, account_id: str, name: str) -> Sequence[str]:
        """Return the encrypted values of a secret."""
        return self.secrets.get((account_id, name), ())

    async def save_account_secret(self, secret: AccountSecret, expected: Sequence[str]) -> bool:
        """Replace a secret if its stored values are `expected`."""
        key = (secret.account_id, secret.name)
        if tuple(expected) != self.secrets.get(key, ()):
            return False
        self.secrets[key] = secret.sealed
        return True
