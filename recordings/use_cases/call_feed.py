"""The changes of live calls that a principal may read: the same calls as in `AccountLists.calls`."""

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.ports.audit import Audit, Refusals
from recordings.ports.call_updates import MAX_QUEUED_CALLS, CallPlace, CallQueue, LiveCalls
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.use_cases.authorized import Authorized


class CallFeed:
    """Follows the live calls of an account for a principal. A principal with an owner gets that owner's calls."""

    def __init__(self, store: MetadataStore, live: LiveCalls, audit: Audit) -> None:
        self._authorized = Authorized(store)
        self._live = live
        self._audit = audit

    async def follow(
        self,
        principal: Principal,
        account_id: str | None = None,
        since: CallPlace | None = None,
        max_queued: int = MAX_QUEUED_CALLS,
    ) -> CallQueue:
        """Return a queue of the live calls of an account and their changes. The caller closes it.

        Raises:
            Forbidden: the principal does not have the scope READ.
            NotFound: it may not access the account.
            StoreUnavailableError: the calls of other servers cannot be read.
        """
        target = AuditObject("account", account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.LIST, target):
            require_scope(principal, Scope.READ)
            account_id = await self._authorized.account_id(principal, account_id)
        # A call has the numbers of its parties.
        self._audit.count(principal, AuditAction.LIST, AuditObject("calls", None, account_id))
        return await self._live.open(account_id, principal.owner_id, since, max_queued)
