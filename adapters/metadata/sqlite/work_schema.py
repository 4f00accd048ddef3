"""The kind of work of due recordings with its index (see `recordings.model.work`), and the table of retention runs."""

from typing import Final

STATEMENTS: Final = (
    "ALTER TABLE recordings ADD COLUMN work TEXT",
    """UPDATE recordings SET work = CASE
        WHEN state = 'FINALIZING' THEN 'FINALIZE'
        WHEN state IN ('REQUESTED', 'ARMED', 'RECORDING', 'PAUSED', 'MASKED') THEN 'CHECK'
        WHEN state = 'TRASHED' THEN 'PURGE'
        WHEN state = 'STORED' AND delivery_state = 'PENDING' THEN 'DELIVER'
        ELSE 'EXPIRE' END
    WHERE due_at IS NOT NULL""",
    # Each kind of work has a range of the index, and each account a range in it.
    "DROP INDEX recordings_due",
    "CREATE INDEX recordings_due ON recordings (work, account_id, node, due_at, id) WHERE due_at IS NOT NULL",
    """CREATE TABLE retention_runs (
        account_id TEXT NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        finished INTEGER,
        body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX retention_runs_open ON retention_runs (account_id) WHERE finished IS NULL",
)
