"""Load accounts and recordings for a principal, by the rules of `recordings.rules.access`."""

from dataclasses import replace
from typing import Final

from recordings.model.account import Account, Principal
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.model.query import MAX_DESCENDANTS, OrderField, Query, check
from recordings.model.recording import Recording, Shelf
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import can_access_account, can_access_row, no_account, require_account

MAX_CACHED: Final = 4_096
"""How many account trees are cached."""


class Authorized:
    """Loads accounts and recordings for a principal. Anything that the principal may not access is `NotFound`."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._trees: dict[str, tuple[str, ...]] = {}

    async def account(self, principal: Principal, account_id: str | None) -> Account:
        """Return an account as it is now. `None` means the principal's own account. `NotFound` without access."""
        wanted = principal.account_id if account_id is None else account_id
        found = await self._store.account(wanted) if is_hex_id(wanted) else None
        return require_account(principal, found, wanted)

    async def account_id(self, principal: Principal, account_id: str | None) -> str:
        """Return the id of an account, the principal's own for `None`. `NotFound` without access.

        This reads only the account's tree, which is cached.
        """
        wanted = principal.account_id if account_id is None else account_id
        tree = await self.tree(wanted)
        if tree is None or not can_access_account(principal, wanted, tree):
            raise no_account(wanted)
        return wanted

    async def recording(self, principal: Principal, recording_id: str) -> Recording:
        """Return a recording. `NotFound` without access, and for a tombstone."""
        recording = await self._store.load(recording_id) if 0 < len(recording_id) <= MAX_ID else None
        if recording is None or not await self._may_see(principal, recording):
            raise no_recording(recording_id)
        return recording

    async def can_see(self, principal: Principal, row: RecordingRow) -> bool:
        """Return true if the principal may access a recording and it is no tombstone.

        The row needs `account_id`, `owner_id` and `shelf`.
        """
        tree = await self.tree(row["account_id"])
        return tree is not None and row["shelf"] != Shelf.GONE and can_access_row(principal, row, tree)

    async def narrow(self, principal: Principal, query: Query) -> Query:
        """Limit a query to what the principal may access. A principal with an owner gets that owner's recordings only.

        Raises:
            InvalidInput: the filter or the shelf is not allowed.
            NotFound: the principal may not access one of the query's accounts, or its owner.
        """
        if len(query.descendants) > MAX_DESCENDANTS:
            allowed = f"at most {MAX_DESCENDANTS} accounts"
            raise InvalidInput.of(("descendants",), "maxItems", len(query.descendants), allowed)
        for account_id in (query.account_id, *query.descendants):
            await self.account_id(principal, account_id)
        check(query.where)
        if query.shelf is Shelf.GONE:
            raise InvalidInput.of(("shelf",), "enum", query.shelf.value, "LIVE or TRASH")
        if query.shelf is None and query.order.field is not OrderField.MODIFIED:
            raise InvalidInput.of(("includeDeleted",), "enum", "true", "true only with orderBy: {field: MODIFIED}")
        if principal.owner_id is None:
            return query
        if query.owner_id not in {None, principal.owner_id}:
            message = f"there is no owner {query.owner_id}"
            raise NotFound(message, path=("ownerId",))
        return replace(query, owner_id=principal.owner_id)

    async def tree(self, account_id: str) -> tuple[str, ...] | None:
        """Return the ids of an account's ancestors, for the rules of access. `None` if there is no such account."""
        # Only the tree may be cached, because it never changes. A name or a retention rule can change at any time.
        tree = self._trees.get(account_id)
        if tree is None and is_hex_id(account_id):
            account = await self._store.account(account_id)
            if account is not None:
                tree = account.tree
                self._remember(account_id, tree)
        return tree

    async def _may_see(self, principal: Principal, recording: Recording) -> bool:
        row: RecordingRow = {
            "account_id": recording.account_id,
            "owner_id": recording.owner_id,
            "shelf": recording.shelf.value,
        }
        return await self.can_see(principal, row)

    def _remember(self, account_id: str, tree: tuple[str, ...]) -> None:
        if len(self._trees) >= MAX_CACHED:
            self._trees.pop(next(iter(self._trees)))
        self._trees[account_id] = tree


def no_recording(recording_id: str) -> NotFound:
    """Return the error for a recording that does not exist, or that the principal may not access."""
    return NotFound(f"there is no recording {recording_id[:MAX_ID]!r}", path=("id",))
