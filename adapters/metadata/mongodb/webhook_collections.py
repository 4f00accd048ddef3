"""Webhooks in MongoDB: one document for each, with its progress, and its last attempts."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, ReplaceOne, ReturnDocument
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database, Document
from adapters.metadata.mongodb.indexes import HAS_DUE, WEBHOOK_ATTEMPTS, WEBHOOKS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from adapters.metadata.webhook_values import (
    attempt_text,
    progress_text,
    read_attempt,
    read_progress,
    read_settings,
    settings_text,
)
from recordings.model.instants import Millis
from recordings.model.webhook import MAX_ATTEMPTS_KEPT, Webhook, WebhookAttempt, WebhookProgress
from recordings.ports.webhook_store import Endpoint, WebhookClaim

_BY_AGE: Final = [("created", ASCENDING), ("_id", ASCENDING)]


@raises_store_unavailable
class WebhookCollections:
    """The collections of webhooks and of their attempts."""

    def __init__(self, database: Database) -> None:
        self._webhooks = database[WEBHOOKS]
        self._attempts = database[WEBHOOK_ATTEMPTS]

    async def webhook(self, webhook_id: str) -> Endpoint | None:
        """Return a webhook."""
        found = await self._webhooks.find_one({"_id": webhook_id})
        return None if found is None else _endpoint(found)

    async def webhooks(self, account_id: str, limit: int) -> Sequence[Endpoint]:
        """Return the webhooks of an account, the oldest first."""
        found = self._webhooks.find({"account_id": account_id}, sort=_BY_AGE, limit=limit)
        return [_endpoint(each) for each in await found.to_list(None)]

    async def enabled_webhooks(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of these accounts."""
        found = self._webhooks.find({"account_id": {"$in": list(account_ids)}, "enabled": True}, {"settings": 1})
        return [read_settings(each["settings"]) for each in await found.to_list(None)]

    async def all_enabled_webhooks(self, after: str, limit: int) -> Sequence[Endpoint]:
        """Return enabled webhooks of all accounts, by id."""
        found = self._webhooks.find({"_id": {"$gt": after}, "enabled": True}, sort=[("_id", ASCENDING)], limit=limit)
        return [_endpoint(each) for each in await found.to_list(None)]

    async def insert_webhook(self, webhook: Webhook, progress: WebhookProgress) -> bool:
        """Add a webhook."""
        document = {"_id": webhook.id, "account_id": webhook.account_id, "created": webhook.created}
        try:
            await self._webhooks.insert_one(document | _settings(webhook) | _progress(progress))
        except DuplicateKeyError:
            return False
        return True

    async def save_webhook(self, webhook: Webhook) -> bool:
        """Save settings if their revision is the next one."""
        expected = {"_id": webhook.id, "revision": webhook.revision - 1}
        return bool((await self._webhooks.update_one(expected, {"$set": _settings(webhook)})).matched_count)

    async def save_progress(self, progress: WebhookProgress, attempts: Sequence[WebhookAttempt] = ()) -> bool:
        """Save progress if its revision is the next one, and add attempts."""
        expected = {"_id": progress.webhook_id, "progress_revision": progress.revision - 1}
        if not (await self._webhooks.update_one(expected, {"$set": _progress(progress)})).matched_count:
            return False
        if attempts:
            await self._attempts.bulk_write(
                [_replacement(progress.webhook_id, each) for each in attempts[-MAX_ATTEMPTS_KEPT:]]
            )
        return True

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook and its attempts."""
        deleted = await self._webhooks.delete_one({"_id": webhook_id})
        await self._attempts.delete_many({"webhook_id": webhook_id})
        return bool(deleted.deleted_count)

    async def claim_webhooks(self, claim: WebhookClaim) -> Sequence[Endpoint]:
        """Lease webhooks."""
        is_due = {"enabled": True, "due_at": {"$lte": claim.now, **HAS_DUE["due_at"]}}
        if claim.ids is None:
            selectors: list[Document] = [is_due] * claim.limit
        else:
            is_free = {"$or": [{"holder": ""}, {"due_at": is_due["due_at"]}]}
            selectors = [{"_id": each, "enabled": True, **is_free} for each in claim.ids]
        change = {"$set": {"holder": claim.holder, "due_at": claim.until}, "$inc": {"progress_revision": 1}}
        claimed: list[Endpoint] = []
        for selector in selectors:
            found = await self._webhooks.find_one_and_update(
                selector, change, sort=[("due_at", ASCENDING)], return_document=ReturnDocument.AFTER
            )
            if found is not None:
                claimed.append(_endpoint(found))
            if len(claimed) == claim.limit or (found is None and claim.ids is None):
                break
        return claimed

    async def release_webhooks(self, holders: str, now: Millis) -> int:
        """End the leases of holders."""
        # The index of due webhooks serves it: a leased webhook is due at the end of its lease.
        leased = {"enabled": True, "due_at": HAS_DUE["due_at"], "holder": {"$regex": f"^{re.escape(holders)}"}}
        change = {"$set": {"holder": "", "due_at": now}, "$inc": {"progress_revision": 1}}
        return int((await self._webhooks.update_many(leased, change)).modified_count)

    async def webhook_attempts(self, webhook_id: str, limit: int) -> Sequence[WebhookAttempt]:
        """Return the last attempts, the newest first."""
        found = self._attempts.find({"webhook_id": webhook_id}, sort=[("number", DESCENDING)], limit=limit)
        return [read_attempt(each["body"]) for each in await found.to_list(None)]


def _settings(webhook: Webhook) -> Document:
    return {"enabled": webhook.enabled, "settings": settings_text(webhook), "revision": webhook.revision}


def _progress(progress: WebhookProgress) -> Document:
    return {
        "progress": progress_text(progress),
        "due_at": progress.due_at,
        "holder": progress.holder,
        "progress_revision": progress.revision,
    }


def _replacement(webhook_id: str, attempt: WebhookAttempt) -> ReplaceOne[Document]:
    # A ring of slots: a new attempt replaces the oldest one.
    identity = f"{webhook_id}:{attempt.number % MAX_ATTEMPTS_KEPT}"
    document = {"webhook_id": webhook_id, "number": attempt.number, "body": attempt_text(attempt)}
    return ReplaceOne({"_id": identity}, document, upsert=True)


def _endpoint(found: Mapping[str, Any]) -> Endpoint:
    due_at = found["due_at"]
    progress = read_progress(
        found["progress"],
        None if due_at is None else int(due_at),
        str(found["holder"]),
        int(found["progress_revision"]),
    )
    return Endpoint(read_settings(found["settings"]), progress)
