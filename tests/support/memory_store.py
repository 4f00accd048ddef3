"""A metadata store in memory: what the query vocabulary and compare-and-set mean, in the plainest way."""

from collections.abc import Collection, Mapping

from recordings.model.account import Account
from recordings.model.fields import RecordingRow
from recordings.model.query import Page, PageRequest, Query, selects, sort_key
from recordings.model.recording import Recording
from recordings.ports.recording_store import Taken, Unique


class MemoryStore:
    """The part of a `MetadataStore` that the use cases need."""

    def __init__(self) -> None:
        self.recordings: dict[str, Recording] = {}
        self.known: dict[str, Account] = {}

    async def add_account(self, account: Account) -> bool:
        """Keep a new account."""
        return self.known.setdefault(account.id, account) is account

    async def account(self, account_id: str) -> Account | None:
        """An account by id."""
        return self.known.get(account_id)

    async def insert(self, recording: Recording) -> None:
        """Keep a new recording."""
        if recording.id in self.recordings:
            raise Taken(Unique.ID)
        if recording.active_call and await self.find_active(recording.account_id, recording.active_call):
            raise Taken(Unique.ACTIVE_CALL)
        self.recordings[recording.id] = recording

    async def save(self, recording: Recording, expected: int) -> bool:
        """Replace it if its revision is still the expected one."""
        if self.recordings[recording.id].revision != expected:
            return False
        self.recordings[recording.id] = recording
        return True

    async def load(self, recording_id: str) -> Recording | None:
        """All of it."""
        return self.recordings.get(recording_id)

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """Rows by id; always whole ones."""
        return {found: self.recordings[found].to_row() for found in ids if found in self.recordings}

    async def page(self, query: Query, request: PageRequest) -> Page:
        """The first rows; cursors are the stores' own business."""
        rows = [row for recording in self.recordings.values() if selects(query, row := recording.to_row())]
        rows.sort(key=lambda row: sort_key(query.order, row), reverse=query.order.descending)
        return Page(rows[: request.limit], len(rows) > request.limit)

    async def count(self, query: Query) -> int:
        """How many there are."""
        return sum(selects(query, recording.to_row()) for recording in self.recordings.values())

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """The one in progress on this call."""
        found = (one for one in self.recordings.values() if one.account_id == account_id)
        return next((one for one in found if one.active_call == call_id), None)

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """The one made by a `start` with this key."""
        found = (one for one in self.recordings.values() if one.account_id == account_id)
        return next((one for one in found if one.start_key == start_key), None)
