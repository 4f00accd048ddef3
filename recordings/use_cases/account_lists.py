"""The use cases for the lists of an account that can grow: the accounts below it, and its live calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from recordings.model.account import Account, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.call import Call
from recordings.model.errors import InvalidInput
from recordings.model.item_list import Slice, cut, one_more
from recordings.model.query import MAX_DESCENDANTS, MAX_PAGE, PageRequest
from recordings.ports.audit import Audit, Refusals
from recordings.ports.recorder import Capability, Recorder
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.use_cases.authorized import Authorized

FIRST_PAGE: Final = PageRequest(limit=MAX_PAGE)


class AccountLists:
    """Lists the accounts below an account, and its live calls, one page at a time.

    A principal with an owner gets that owner's calls and no accounts.
    """

    def __init__(
        self, *, store: MetadataStore, recorder: Recorder, authorized: Authorized, node: str, audit: Audit
    ) -> None:
        self._audit = audit
        self._store = store
        self._recorder = recorder
        self._authorized = authorized
        self._node = node

    async def children(
        self, principal: Principal, account_id: str | None = None, request: PageRequest = FIRST_PAGE
    ) -> Slice[Account]:
        """Return a page of the accounts directly below an account, oldest first."""
        account_id = await self._checked(principal, account_id, request)
        if principal.owner_id is not None:
            return Slice((), has_more=False)
        return cut(await self._store.children(account_id, one_more(request)), request)

    async def count_children(self, principal: Principal, account_id: str | None = None) -> int:
        """Return the number of accounts directly below an account."""
        account_id = await self._checked(principal, account_id)
        return 0 if principal.owner_id is not None else await self._store.count_children(account_id)

    async def descendants(self, principal: Principal, account_id: str | None = None) -> tuple[str, ...]:
        """Return the ids of all accounts below an account, for the list of their recordings.

        Raises:
            InvalidInput: there are more than `MAX_DESCENDANTS`.
        """
        account_id = await self._checked(principal, account_id)
        if principal.owner_id is not None:
            return ()
        found = await self._store.accounts_below(account_id, MAX_DESCENDANTS + 1)
        if len(found) > MAX_DESCENDANTS:
            allowed = f"false: there are more than {MAX_DESCENDANTS} accounts below, so list them with `children`"
            raise InvalidInput.of(("descendants",), "maxItems", given=True, allowed=allowed)
        return tuple(account.id for account in found)

    async def calls(
        self, principal: Principal, account_id: str | None = None, request: PageRequest = FIRST_PAGE
    ) -> Slice[Call]:
        """Return a page of the live calls that can be recorded now, newest first."""
        account_id = await self._checked(principal, account_id, request)
        page = cut(await self._recorder.calls(account_id, one_more(request), principal.owner_id), request)
        # A call has the numbers of its parties.
        self._audit.count(principal, AuditAction.LIST, AuditObject("calls", None, account_id), rows=len(page.items))
        return Slice(with_node(page.items, self._node), page.has_more)

    async def count_calls(self, principal: Principal, account_id: str | None = None) -> int:
        """Return the number of live calls that can be recorded now."""
        account_id = await self._checked(principal, account_id)
        return await self._recorder.count_calls(account_id, principal.owner_id)

    def capabilities_of(self, call: Call) -> Sequence[Capability]:
        """Return what the recorder of a live call supports, in the order of `Capability`."""
        has = self._recorder.capabilities_of(call.recorder)
        return [capability for capability in Capability if capability in has]

    async def _checked(self, principal: Principal, account_id: str | None, request: PageRequest = FIRST_PAGE) -> str:
        target = AuditObject("account", account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.LIST, target):
            require_scope(principal, Scope.READ)
            if not 0 <= request.limit <= MAX_PAGE:
                raise InvalidInput.of(("first",), "maximum", request.limit, f"an integer from 0 to {MAX_PAGE}")
            return await self._authorized.account_id(principal, account_id)


def with_node(calls: Sequence[Call], node: str) -> list[Call]:
    """Return calls with the name of the server that receives them. A recorder does not name its own server, `node`."""
    return [call if call.node is not None else replace(call, node=node) for call in calls]
