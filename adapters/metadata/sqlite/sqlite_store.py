"""The metadata store on SQLite. Each method makes one call in a thread."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adapters.metadata.access_path import is_in_order
from adapters.metadata.account_turns import TURN_SECONDS
from adapters.metadata.row_fields import fields_to_read
from adapters.metadata.sqlite import (
    account_tables,
    event_table,
    list_table,
    policy_table,
    recording_table,
    user_table,
)
from adapters.metadata.sqlite.access_tables import AccessTables
from adapters.metadata.sqlite.audit_tables import AuditTables
from adapters.metadata.sqlite.database import CACHE_BYTES, Database
from adapters.metadata.sqlite.database_threads import Call
from adapters.metadata.sqlite.file_copy import FileCopy
from adapters.metadata.sqlite.plain_rows import PlainRows
from adapters.metadata.sqlite.retention_run_table import RetentionRunTable
from adapters.metadata.sqlite.rollup_store import RollupStore
from adapters.metadata.sqlite.secret_tables import SecretTables
from adapters.metadata.sqlite.webhook_tables import WebhookTables
from recordings.model.account import Account, ApiKey, IngestAddress
from recordings.model.feed_event import EventPosition, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.installation import Installation
from recordings.model.instants import EARLIEST, Millis
from recordings.model.query import MAX_COUNTED, MAX_EXAMINED, Count, Page, PageRequest, Query
from recordings.model.recording import Recording
from recordings.model.recording_policy import DocumentKind, PolicyDocument
from recordings.model.user import Method, User
from recordings.ports.account_stores import PAGE
from recordings.ports.event_store import NewEvents
from recordings.ports.recording_store import Claim, DueState

FILE = "recordings.sqlite3"


class SqliteStore(
    RollupStore, AccessTables, SecretTables, AuditTables, RetentionRunTable, WebhookTables, FileCopy, PlainRows
):
    """A `MetadataStore` in the file `recordings.sqlite3` of a folder.

    Args:
        folder: the folder of the file, on a local disk: SQLite's locks do not work on network shares.
        release: frees a reserve on a full disk. It returns false if there is none.
        max_examined: the maximum number of rows that one page or count examines.
        cache_bytes: memory for cached pages of the file.
    """

    def __init__(
        self,
        folder: Path,
        release: Callable[[], bool] | None = None,
        *,
        max_examined: int = MAX_EXAMINED,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._max_examined = max_examined
        self._database = Database(folder / FILE, release, cache_bytes)

    async def open(self) -> None:
        """Open the file; create or migrate it if needed. Other processes may do the same at the same time."""
        await self._database.open()

    async def close(self) -> None:
        """Finish all queued calls and close the file."""
        await self._database.close()

    async def ping(self) -> None:
        """Raise if the file is damaged, replaced or cannot be written. It writes a row, and changes no value."""
        await self._database.write(account_tables.touch)
        self._database.check()

    async def _read(self, function: Any, *arguments: Any) -> Any:
        return await self._database.read(lambda connection: function(connection, *arguments))

    async def _write(self, function: Any, *arguments: Any) -> Any:
        return await self._database.write(lambda connection: function(connection, *arguments))

    async def watermark(self) -> Millis:
        """Return an instant that no later write is before."""
        return int(await self._read(recording_table.watermark))

    async def insert(self, recording: Recording, event: FeedEvent | None = None) -> None:
        """Insert a recording and its event, or raise `Taken`."""
        await self._write(recording_table.insert, recording, event)

    async def save(self, recording: Recording, expected: int, event: FeedEvent | None = None) -> bool:
        """Replace a recording, and add its event, if its revision is still the expected one."""
        return bool(await self._write(recording_table.save, recording, expected, event))

    async def events(
        self, account_ids: Collection[str], after: EventPosition, below: Millis | None, limit: int
    ) -> Sequence[FeedEvent]:
        """Return the first events of these accounts after a position."""
        found: list[FeedEvent] = await self._read(event_table.events, account_ids, after, below, limit)
        return found

    async def add_event(self, event: FeedEvent) -> None:
        """Store an event of an account's settings."""
        await self._write(event_table.add_once, event)

    async def watch_events(self) -> AsyncGenerator[NewEvents]:
        """Yield the new events of all accounts, of all processes that use the file."""
        seq = int(await self._read(event_table.last_seq))
        yield NewEvents((), EARLIEST)
        while True:
            found, seq = await self._database.watch(partial(event_table.wait_for_events, seq=seq))
            yield found

    async def remove(self, recording_id: str) -> None:
        """Remove a recording."""
        await self._write(recording_table.remove, recording_id)

    async def load(self, recording_id: str) -> Recording | None:
        """Return a whole recording."""
        row = (await self.rows((recording_id,))).get(recording_id)
        return None if row is None else Recording.from_row(row)

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, RecordingRow]:
        """Return the rows with these ids, by id."""
        found: dict[str, RecordingRow] = await self._read(recording_table.rows, ids, fields_to_read(fields))
        return found

    async def page(self, query: Query, request: PageRequest) -> Page:
        """Return one page of a query."""
        call = partial(list_table.page, query=query, request=request, max_examined=self._max_examined)
        found: Page = await (self._database.read(call) if is_in_order(query) else self._read_slowly(call, query))
        return found

    async def count(self, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return the number of recordings that a query selects, exact up to `limit`."""
        call = partial(list_table.count, query=query, limit=limit, max_examined=self._max_examined)
        found: Count = await self._read_slowly(call, query)
        return found

    async def _read_slowly(self, call: Call, query: Query) -> Any:
        """Run a read that may examine many rows on the readers for such reads, when it is the account's turn."""
        return await self._database.read(call, query.account_id, TURN_SECONDS)

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """Return the recording that a `start` with this idempotency key created."""
        return next(iter(await self._read(recording_table.find, account_id, "start_key", start_key)), None)

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """Return the recording in progress on this call."""
        return next(iter(await self._read(recording_table.find, account_id, "active_call", call_id)), None)

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """Return the recordings made from the source with this key, newest first."""
        found: list[Recording] = await self._read(recording_table.find, account_id, "source_key", source_key, limit)
        return found

    async def find_holders(self, account_id: str, source: str) -> Sequence[Recording]:
        """Return the recordings that hold an uploaded file, oldest first."""
        found: list[Recording] = await self._read(recording_table.find_holders, account_id, source)
        return found

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Return the recordings in progress on a node, oldest first."""
        found: list[Recording] = await self._read(recording_table.held_by, node, limit)
        return found

    async def claim_due(self, claim: Claim) -> Sequence[Recording]:
        """Lease due recordings to the claimer."""
        # Most claims find nothing. They need no transaction, and so no sync of the disk.
        if not await self._read(recording_table.has_due, claim):
            return []
        found: list[Recording] = await self._write(recording_table.claim_due, claim)
        return found

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make the recordings due that a dead holder had leased. Return their number."""
        return int(await self._write(recording_table.release_leases, holder, now))

    async def due_states(self, node: str, now: Millis, limit: int) -> Sequence[DueState]:
        """Return how many recordings are due, by state."""
        found: list[DueState] = await self._read(recording_table.due_states, node, now, limit)
        return found

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[RecordingRow]:
        """Return rows of all accounts with an id above `after`, ordered by id."""
        found: list[RecordingRow] = await self._read(recording_table.scan, after, limit, fields_to_read(fields))
        return found

    async def add_account(self, account: Account) -> bool:
        """Add an account. Return `False` if the id exists."""
        return bool(await self._write(account_tables.add_account, account))

    async def account(self, account_id: str) -> Account | None:
        """Return an account by id."""
        found: Account | None = await self._read(account_tables.account, account_id)
        return found

    async def save_account(self, account: Account) -> bool:
        """Replace an account's name and settings. Return `False` if the account does not exist."""
        return bool(await self._write(account_tables.save_account, account))

    async def accounts(self, limit: int = PAGE, after: Account | None = None) -> Sequence[Account]:
        """Return accounts, oldest first; with `after`, only the accounts that follow it."""
        found: list[Account] = await self._read(account_tables.accounts, limit, after)
        return found

    async def children(self, parent_id: str, request: PageRequest) -> Sequence[Account]:
        """Return a page of the accounts directly below an account, oldest first."""
        found: list[Account] = await self._read(account_tables.children, parent_id, request)
        return found

    async def count_children(self, parent_id: str) -> int:
        """Return the number of accounts directly below an account."""
        return int(await self._read(account_tables.count_children, parent_id))

    async def accounts_below(self, account_id: str, limit: int) -> Sequence[Account]:
        """Return at most `limit` of the accounts below an account."""
        found: list[Account] = await self._read(account_tables.accounts_below, account_id, limit)
        return found

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key."""
        await self._write(account_tables.add_key, key)

    async def key_by_hash(self, secret_sha256: str) -> ApiKey | None:
        """Return the API key with this hash."""
        found: ApiKey | None = await self._read(account_tables.key_by_hash, secret_sha256)
        return found

    async def keys(self, account_id: str, limit: int = PAGE, after: ApiKey | None = None) -> Sequence[ApiKey]:
        """Return API keys of an account, oldest first."""
        found: list[ApiKey] = await self._read(account_tables.keys, account_id, limit, after)
        return found

    async def revoke_key(self, key_id: str, at: Millis) -> bool:
        """Revoke an API key. Return `False` if it does not exist."""
        return bool(await self._write(account_tables.revoke, "api_keys", key_id, at))

    async def add_ingest(self, address: IngestAddress) -> None:
        """Add an ingest address."""
        await self._write(account_tables.add_ingest, address)

    async def ingest_address(self, address_id: str) -> IngestAddress | None:
        """Return an ingest address by id."""
        found: IngestAddress | None = await self._read(account_tables.ingest_address, address_id)
        return found

    async def ingest_addresses(
        self, account_id: str, limit: int = PAGE, after: IngestAddress | None = None
    ) -> Sequence[IngestAddress]:
        """Return ingest addresses of an account, oldest first."""
        found: list[IngestAddress] = await self._read(account_tables.ingest_addresses, account_id, limit, after)
        return found

    async def revoke_ingest(self, address_id: str, at: Millis) -> bool:
        """Revoke an ingest address. Return `False` if it does not exist."""
        return bool(await self._write(account_tables.revoke, "ingest_addresses", address_id, at))

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        """Revoke a token until it expires."""
        await self._write(account_tables.revoke_token, token_id, until)

    async def is_token_revoked(self, token_id: str) -> bool:
        """Return true if a token is revoked."""
        return bool(await self._read(account_tables.is_token_revoked, token_id))

    async def note_location(self, url: str, at: Millis) -> None:
        """Store the URL of a media store that holds audio."""
        await self._write(account_tables.note_location, url, at)

    async def locations(self, limit: int = 1_000, after: str = "") -> Sequence[str]:
        """Return the media store URLs that sort after `after`."""
        found: list[str] = await self._read(account_tables.locations, limit, after)
        return found

    async def installation(self) -> Installation:
        """Return the identity of the installation."""
        found: Installation = await self._read(account_tables.installation)
        return found

    async def add_user(self, user: User) -> bool:
        """Add a user. Return `False` if the account already has this user id or user name."""
        return bool(await self._write(user_table.add_user, user))

    async def user(self, account_id: str, user_id: str) -> User | None:
        """Return a user of an account by id."""
        found: User | None = await self._read(user_table.user, account_id, user_id)
        return found

    async def users(self, account_id: str, limit: int = PAGE, after: User | None = None) -> Sequence[User]:
        """Return users of an account, oldest first."""
        found: list[User] = await self._read(user_table.users, account_id, limit, after)
        return found

    async def user_by_hash(self, account_id: str, method: Method, hashed: str) -> User | None:
        """Return the user of an account whose password has this hash."""
        found: User | None = await self._read(user_table.user_by_hash, account_id, method, hashed)
        return found

    async def policy_documents(
        self, account_id: str, names: Collection[tuple[DocumentKind, str]]
    ) -> Sequence[PolicyDocument]:
        """Return the policy documents that exist of these kinds and ids."""
        found: list[PolicyDocument] = await self._read(policy_table.policy_documents, account_id, names)
        return found

    async def documents_of_kind(
        self, account_id: str, kind: DocumentKind, limit: int = 10_000
    ) -> Sequence[PolicyDocument]:
        """Return the policy documents of a kind, by id."""
        found: list[PolicyDocument] = await self._read(policy_table.documents_of_kind, account_id, kind, limit)
        return found

    async def save_policy_document(self, document: PolicyDocument) -> bool:
        """Save a policy document if its revision is the next one. Otherwise return `False`."""
        return bool(await self._write(policy_table.save_policy_document, document))
