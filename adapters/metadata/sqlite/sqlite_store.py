"""The metadata store on SQLite: every method of the port, each one hop to a thread."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.metadata.row_fields import chosen
from adapters.metadata.sqlite import account_tables as directory
from adapters.metadata.sqlite import recording_table as recordings
from adapters.metadata.sqlite import user_table as users
from adapters.metadata.sqlite.database import Database
from recordings.model.account import Account, ApiKey, IngestAddress
from recordings.model.instants import Millis
from recordings.model.query import Page, PageRequest, Query
from recordings.model.recording import Recording, Row
from recordings.model.user import User
from recordings.ports.recording_store import Claim

FILE = "recordings.sqlite3"


class SqliteStore:
    """A `MetadataStore` in the file `recordings.sqlite3` of a folder.

    Args:
        folder: where the file is, or is made. A local disk: SQLite's locks do not work on network shares.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / FILE)

    async def open(self) -> None:
        """Open the file; make or migrate it where needed. Other processes may do the same at once."""
        await self._database.open()

    async def close(self) -> None:
        """Finish what waits and close the file."""
        await self._database.close()

    async def ping(self) -> None:
        """Raise unless the file can be written: a transaction is begun and committed."""
        await self._database.write(lambda connection: connection.execute("SELECT 1").fetchone())

    async def _read(self, function: Any, *arguments: Any, whose: str | None = None) -> Any:
        return await self._database.read(lambda connection: function(connection, *arguments), whose)

    async def _write(self, function: Any, *arguments: Any) -> Any:
        return await self._database.write(lambda connection: function(connection, *arguments))

    async def insert(self, recording: Recording) -> None:
        """Keep a new recording, or raise `Taken`."""
        await self._write(recordings.insert, recording)

    async def save(self, recording: Recording, expected: int) -> bool:
        """Replace it if its revision is still the expected one."""
        return bool(await self._write(recordings.save, recording, expected))

    async def remove(self, recording_id: str) -> None:
        """Forget it."""
        await self._write(recordings.remove, recording_id)

    async def load(self, recording_id: str) -> Recording | None:
        """All of it."""
        row = (await self.rows((recording_id,))).get(recording_id)
        return None if row is None else Recording.from_row(row)

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, Row]:
        """Rows by id."""
        found: dict[str, Row] = await self._read(recordings.rows, ids, chosen(fields))
        return found

    async def page(self, query: Query, request: PageRequest) -> Page:
        """One page."""
        found: Page = await self._read(recordings.page, query, request, whose=query.account_id)
        return found

    async def count(self, query: Query) -> int:
        """How many there are."""
        return int(await self._read(recordings.count, query, whose=query.account_id))

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """The one made by a `start` with this key."""
        return next(iter(await self._read(recordings.find, account_id, "start_key", start_key)), None)

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """The one in progress on this call."""
        return next(iter(await self._read(recordings.find, account_id, "active_call", call_id)), None)

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """Those made of what came in under this key, newest first."""
        found: list[Recording] = await self._read(recordings.find, account_id, "source_key", source_key, limit)
        return found

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Those in progress on a node, oldest first."""
        found: list[Recording] = await self._read(recordings.held_by, node, limit)
        return found

    async def claim_due(self, claim: Claim) -> Sequence[Recording]:
        """Lease what is due."""
        found: list[Recording] = await self._write(recordings.claim_due, claim)
        return found

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make due what a dead holder had."""
        return int(await self._write(recordings.release_leases, holder, now))

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[Row]:
        """Rows by id."""
        found: list[Row] = await self._read(recordings.scan, after, limit, chosen(fields))
        return found

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; `False` if its id is there."""
        return bool(await self._write(directory.add_account, account))

    async def account(self, account_id: str) -> Account | None:
        """An account by id."""
        found: Account | None = await self._read(directory.account, account_id)
        return found

    async def save_account(self, account: Account) -> bool:
        """Replace what an account is called and decides."""
        return bool(await self._write(directory.save_account, account))

    async def accounts(self, limit: int = 10_000, after: Account | None = None) -> Sequence[Account]:
        """All accounts, oldest first, or those that follow one."""
        found: list[Account] = await self._read(directory.accounts, limit, after)
        return found

    async def add_key(self, key: ApiKey) -> None:
        """Keep a new API key."""
        await self._write(directory.add_key, key)

    async def key_by_hash(self, secret_sha256: str) -> ApiKey | None:
        """The API key with this hash."""
        found: ApiKey | None = await self._read(directory.key_by_hash, secret_sha256)
        return found

    async def keys(self, account_id: str) -> Sequence[ApiKey]:
        """The API keys of an account, oldest first."""
        found: list[ApiKey] = await self._read(directory.keys, account_id)
        return found

    async def revoke_key(self, key_id: str, at: Millis) -> bool:
        """Revoke a key; `False` if there is none."""
        return bool(await self._write(directory.revoke, "api_keys", key_id, at))

    async def add_ingest(self, address: IngestAddress) -> None:
        """Keep a new ingest address."""
        await self._write(directory.add_ingest, address)

    async def ingest_address(self, address_id: str) -> IngestAddress | None:
        """An ingest address by id."""
        found: IngestAddress | None = await self._read(directory.ingest_address, address_id)
        return found

    async def ingest_addresses(self, account_id: str) -> Sequence[IngestAddress]:
        """The ingest addresses of an account, oldest first."""
        found: list[IngestAddress] = await self._read(directory.ingest_addresses, account_id)
        return found

    async def revoke_ingest(self, address_id: str, at: Millis) -> bool:
        """Revoke an ingest address; `False` if there is none."""
        return bool(await self._write(directory.revoke, "ingest_addresses", address_id, at))

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        """Remember that a token was ended."""
        await self._write(directory.revoke_token, token_id, until)

    async def is_token_revoked(self, token_id: str) -> bool:
        """Whether a token was ended."""
        return bool(await self._read(directory.is_token_revoked, token_id))

    async def note_place(self, url: str, at: Millis) -> None:
        """Remember a place."""
        await self._write(directory.note_place, url, at)

    async def places(self, limit: int = 1_000, after: str = "") -> Sequence[str]:
        """The places above one."""
        found: list[str] = await self._read(directory.places, limit, after)
        return found

    async def add_user(self, user: User) -> bool:
        """Keep a new user; `False` if the account has the id or the name."""
        return bool(await self._write(users.add_user, user))

    async def user(self, account_id: str, user_id: str) -> User | None:
        """A user of an account by id."""
        found: User | None = await self._read(users.user, account_id, user_id)
        return found

    async def users(self, account_id: str, limit: int = 10_000) -> Sequence[User]:
        """The users of an account, oldest first."""
        found: list[User] = await self._read(users.users, account_id, limit)
        return found
