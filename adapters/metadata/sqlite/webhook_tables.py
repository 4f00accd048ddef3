"""Webhooks in SQLite: one row for each, with its progress, and its last attempts."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from adapters.metadata.sqlite.database import Database
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

_SELECT: Final = "SELECT settings, progress, due_at, holder, progress_revision FROM webhooks"
_INSERT: Final = "INSERT OR IGNORE INTO webhooks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE: Final = "UPDATE webhooks SET enabled = ?, settings = ?, revision = ? WHERE id = ? AND revision = ?"
_PROGRESS: Final = (
    "UPDATE webhooks SET progress = ?, due_at = ?, holder = ?, progress_revision = ? "
    "WHERE id = ? AND progress_revision = ?"
)
_LEASE: Final = (
    "UPDATE webhooks SET due_at = ?, holder = ?, progress_revision = progress_revision + 1 WHERE id = ? "
    "RETURNING settings, progress, due_at, holder, progress_revision"
)
_DUE: Final = "SELECT id FROM webhooks WHERE enabled AND due_at <= ? ORDER BY due_at LIMIT ?"
_RELEASE: Final = (
    "UPDATE webhooks SET due_at = ?, holder = '', progress_revision = progress_revision + 1 "
    "WHERE enabled AND due_at IS NOT NULL AND substr(holder, 1, ?) = ?"
)
_FREE: Final = "SELECT id FROM webhooks WHERE id = ? AND enabled AND (holder = '' OR due_at <= ?)"


class WebhookTables:
    """The `WebhookStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def webhook(self, webhook_id: str) -> Endpoint | None:
        """Return a webhook."""
        found = await self._find("WHERE id = ?", webhook_id)
        return found[0] if found else None

    async def webhooks(self, account_id: str, limit: int) -> Sequence[Endpoint]:
        """Return the webhooks of an account, the oldest first."""
        return await self._find("WHERE account_id = ? ORDER BY created, id LIMIT ?", account_id, limit)

    async def enabled_webhooks(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of these accounts."""
        marks = ", ".join("?" * len(account_ids))
        found = await self._find(f"WHERE account_id IN ({marks}) AND enabled", *account_ids)
        return [each.webhook for each in found]

    async def all_enabled_webhooks(self, after: str, limit: int) -> Sequence[Endpoint]:
        """Return enabled webhooks of all accounts, by id."""
        return await self._find("WHERE id > ? AND enabled ORDER BY id LIMIT ?", after, limit)

    async def insert_webhook(self, webhook: Webhook, progress: WebhookProgress) -> bool:
        """Add a webhook."""
        values = (
            webhook.id, webhook.account_id, webhook.created, webhook.enabled, settings_text(webhook), webhook.revision,
            progress_text(progress), progress.due_at, progress.holder, progress.revision,
        )  # fmt: skip
        return bool(await self._database.write(lambda connection: connection.execute(_INSERT, values).rowcount))

    async def save_webhook(self, webhook: Webhook) -> bool:
        """Save settings if their revision is the next one."""
        values = (webhook.enabled, settings_text(webhook), webhook.revision, webhook.id, webhook.revision - 1)
        return bool(await self._database.write(lambda connection: connection.execute(_UPDATE, values).rowcount))

    async def save_progress(self, progress: WebhookProgress, attempts: Sequence[WebhookAttempt] = ()) -> bool:
        """Save progress if its revision is the next one, and add attempts."""
        return bool(await self._database.write(lambda connection: _save_progress(connection, progress, attempts)))

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook and its attempts."""
        return bool(await self._database.write(lambda connection: _delete(connection, webhook_id)))

    async def claim_webhooks(self, claim: WebhookClaim) -> Sequence[Endpoint]:
        """Lease webhooks."""
        # Most looks find nothing, and a transaction that writes waits for others.
        if not await self._database.read(lambda connection: _free_ids(connection, claim)):
            return []
        found: list[Endpoint] = await self._database.write(lambda connection: _claim(connection, claim))
        return found

    async def release_webhooks(self, holders: str, now: Millis) -> int:
        """End the leases of holders."""
        values = now, len(holders), holders
        return int(await self._database.write(lambda connection: connection.execute(_RELEASE, values).rowcount))

    async def webhook_attempts(self, webhook_id: str, limit: int) -> Sequence[WebhookAttempt]:
        """Return the last attempts, the newest first."""
        statement = "SELECT body FROM webhook_attempts WHERE webhook_id = ? ORDER BY number DESC LIMIT ?"
        rows = await self._database.read(
            lambda connection: connection.execute(statement, (webhook_id, limit)).fetchall()
        )
        return [read_attempt(body) for (body,) in rows]

    async def _find(self, condition: str, *values: object) -> list[Endpoint]:
        rows = await self._database.read(
            lambda connection: connection.execute(f"{_SELECT} {condition}", values).fetchall()
        )
        return _endpoints(rows)


def _save_progress(
    connection: sqlite3.Connection, progress: WebhookProgress, attempts: Sequence[WebhookAttempt]
) -> bool:
    values = (
        progress_text(progress), progress.due_at, progress.holder, progress.revision, progress.webhook_id,
        progress.revision - 1,
    )  # fmt: skip
    if not connection.execute(_PROGRESS, values).rowcount:
        return False
    connection.executemany(
        "INSERT OR REPLACE INTO webhook_attempts VALUES (?, ?, ?, ?)",
        (
            (progress.webhook_id, each.number % MAX_ATTEMPTS_KEPT, each.number, attempt_text(each))
            for each in attempts[-MAX_ATTEMPTS_KEPT:]
        ),
    )
    return True


def _delete(connection: sqlite3.Connection, webhook_id: str) -> bool:
    connection.execute("DELETE FROM webhook_attempts WHERE webhook_id = ?", (webhook_id,))
    return connection.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,)).rowcount == 1


def _free_ids(connection: sqlite3.Connection, claim: WebhookClaim) -> list[str]:
    if claim.ids is None:
        return [found for (found,) in connection.execute(_DUE, (claim.now, claim.limit))]
    free = (connection.execute(_FREE, (each, claim.now)).fetchone() for each in claim.ids)
    return [found for (found,) in filter(None, free)][: claim.limit]


def _claim(connection: sqlite3.Connection, claim: WebhookClaim) -> list[Endpoint]:
    ids = _free_ids(connection, claim)
    return _endpoints(connection.execute(_LEASE, (claim.until, claim.holder, each)).fetchone() for each in ids)


def _endpoints(rows: Iterable[tuple[Any, ...]]) -> list[Endpoint]:
    return [
        Endpoint(read_settings(settings), read_progress(progress, due_at, holder, revision))
        for settings, progress, due_at, holder, revision in rows
    ]
