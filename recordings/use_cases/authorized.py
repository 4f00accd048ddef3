"""What a principal reaches: `recordings.model.account` applied to what the store has."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recordings.model.account import Account, Principal, can_access_row, require_account
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.model.query import Query, check
from recordings.model.recording import Recording, Shelf
from recordings.ports.recording_store import MetadataStore

_CACHED: Final = 4_096


class Authorized:
    """Loads accounts and recordings for somebody; what is out of reach is as if it did not exist."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._accounts: dict[str, Account] = {}

    async def account(self, principal: Principal, account_id: str | None) -> Account:
        """An account in reach, the principal's own for `None`; `NotFound` otherwise."""
        wanted = principal.account_id if account_id is None else account_id
        return require_account(principal, await self._account(wanted), wanted)

    async def recording(self, principal: Principal, recording_id: str) -> Recording:
        """A recording in reach that is no tombstone; `NotFound` otherwise."""
        recording = await self._store.load(recording_id) if 0 < len(recording_id) <= MAX_ID else None
        if recording is None or not await self._sees_recording(principal, recording):
            raise no_recording(recording_id)
        return recording

    async def sees(self, principal: Principal, row: Mapping[str, Any]) -> bool:
        """Whether a row (with `account_id`, `owner_id` and `shelf`) is in reach."""
        account = await self._account(row["account_id"])
        return account is not None and row["shelf"] != Shelf.GONE and can_access_row(principal, account, row)

    async def narrow(self, principal: Principal, query: Query) -> Query:
        """The part of a query that is in reach: its account has to be, and a principal's owner narrows it."""
        await self.account(principal, query.account_id)
        check(query.where)
        if query.shelf is Shelf.GONE:
            raise InvalidInput.of(("shelf",), "enum", query.shelf.value, "LIVE or TRASH")
        if principal.owner_id is None:
            return query
        if query.owner_id not in {None, principal.owner_id}:
            message = f"there is no owner {query.owner_id}"
            raise NotFound(message, path=("ownerId",))
        return replace(query, owner_id=principal.owner_id)

    async def _sees_recording(self, principal: Principal, recording: Recording) -> bool:
        row = {"account_id": recording.account_id, "owner_id": recording.owner_id, "shelf": recording.shelf}
        return await self.sees(principal, row)

    async def _account(self, account_id: str) -> Account | None:
        # An account never changes its place in the tree, so one that was found can be kept.
        known = self._accounts.get(account_id)
        if known is None and is_hex_id(account_id):
            known = await self._store.account(account_id)
            if known is not None:
                self._remember(known)
        return known

    def _remember(self, account: Account) -> None:
        if len(self._accounts) >= _CACHED:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[account.id] = account


def no_recording(recording_id: str) -> NotFound:
    """The refusal for a recording that is not there, or not in reach."""
    return NotFound(f"there is no recording {recording_id[:MAX_ID]!r}", path=("id",))
