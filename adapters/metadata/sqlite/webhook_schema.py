"""The tables of webhooks."""

from typing import Final

STATEMENTS: Final = (
    """CREATE TABLE webhooks (
        id TEXT NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        created INTEGER NOT NULL,
        enabled INTEGER NOT NULL,
        settings TEXT NOT NULL,
        revision INTEGER NOT NULL,
        progress TEXT NOT NULL,
        due_at INTEGER,
        holder TEXT NOT NULL,
        progress_revision INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX webhooks_of_account ON webhooks (account_id, created, id)",
    "CREATE INDEX webhooks_due ON webhooks (due_at) WHERE enabled AND due_at IS NOT NULL",
    # A ring of slots: a new attempt replaces the oldest one.
    """CREATE TABLE webhook_attempts (
        webhook_id TEXT NOT NULL,
        slot INTEGER NOT NULL,
        number INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (webhook_id, slot)
    ) STRICT, WITHOUT ROWID""",
)
