"""The use cases that close an account: disable, enable and delete. They are for the operator of the installation."""

from collections.abc import Mapping
from typing import Final

from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import InvalidState
from recordings.model.instants import SECOND, Millis
from recordings.model.query import Query
from recordings.model.recording import Shelf
from recordings.model.webhook import MAX_WEBHOOKS
from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore

SETTLED: Final = 5 * SECOND
"""After this time, every server rejects the credentials of a disabled account."""
_SHOWN: Final = {Shelf.LIVE: "recordings", Shelf.TRASH: "deleted recordings that are not purged yet"}


class AccountClosing:
    """Disables, enables and deletes accounts. No recording is ever deleted by this."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._audit = audit

    async def disable(self, account_id: str) -> None:
        """Disable an account. Its credentials, signed URLs and ingest addresses are not valid until `enable`."""
        await self._record(account_id, "disable")
        await self._store.set_disabled(account_id, "", self._clock.now())

    async def enable(self, account_id: str) -> None:
        """Enable a disabled account. Its credentials are valid again."""
        await self._record(account_id, "enable")
        await self._store.set_disabled(account_id, "", None)

    async def recordings(self, account_id: str) -> Mapping[str, str]:
        """Return the numbers of an account's recordings, for a question to the operator."""
        return {what: await self._number(account_id, shelf) for shelf, what in _SHOWN.items()}

    async def check_empty(self, account_id: str) -> None:
        """Raise `InvalidState` if an account has recordings, deleted ones in the trash, or accounts below it."""
        kept = {what: number for what, number in (await self.recordings(account_id)).items() if number != "0"}
        if children := await self._store.count_children(account_id):
            kept["accounts below it"] = str(children)
        if kept:
            has = ", ".join(f"{number} {what}" for what, number in kept.items())
            message = (
                f"the account {account_id} cannot be deleted, because it has {has}: disable it, and delete it "
                "after its recordings are purged. A recording with a legal hold is never purged"
            )
            raise InvalidState(message, path=("account",))

    async def delete(self, account_id: str) -> None:
        """Delete an empty account with its users, keys, ingest addresses, policies and webhooks.

        A server may accept audio for `SETTLED` after `disable`, so the account must have been disabled for that long.

        Raises:
            InvalidState: it is not empty, or was not disabled for long enough.
        """
        if await self.unsettled(account_id):
            message = f"the account {account_id} cannot be deleted yet: disable it {SETTLED // SECOND} seconds before"
            raise InvalidState(message, path=("account",))
        await self.check_empty(account_id)
        await self._record(account_id, "delete")
        # A later account may have the same id. The old tokens must not be valid for it.
        await self._store.end_tokens(account_id, "", self._clock.now())
        for each in await self._store.webhooks(account_id, MAX_WEBHOOKS):
            await self._store.delete_webhook(each.webhook.id)
        await self._store.delete_account(account_id)
        await self._store.set_disabled(account_id, "", None)

    async def unsettled(self, account_id: str) -> Millis:
        """Return how long it takes until every server knows that the account is disabled. It must be disabled."""
        since = (await self._store.disabled(account_id)).get("")
        return SETTLED if since is None else max(0, since + SETTLED - self._clock.now())

    async def _record(self, account_id: str, change: str) -> None:
        target = AuditObject("account", account_id, account_id)
        await self._audit.record(None, AuditAction.ACCOUNT, target, change=change)

    async def _number(self, account_id: str, shelf: Shelf) -> str:
        count = await self._store.count(Query(account_id=account_id, shelf=shelf))
        return f"{count.number}" if count.is_exact else f"more than {count.number}"
