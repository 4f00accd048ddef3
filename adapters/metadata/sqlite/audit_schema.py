"""The tables of the audit trail."""

from typing import Final

from adapters.metadata.audit_columns import ENTRIES, SEALS

STATEMENTS: Final = (
    f"""CREATE TABLE {ENTRIES} (
        id TEXT NOT NULL UNIQUE,
        account_id TEXT NOT NULL,
        writer TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        object_id TEXT,
        outcome TEXT NOT NULL,
        body TEXT NOT NULL,
        prev TEXT NOT NULL,
        hash TEXT NOT NULL,
        UNIQUE (account_id, writer, seq)
    ) STRICT""",
    f"CREATE INDEX {ENTRIES}_by_time ON {ENTRIES} (account_id, at, id)",
    f"CREATE INDEX {ENTRIES}_by_who ON {ENTRIES} (account_id, who, at, id)",
    f"CREATE INDEX {ENTRIES}_by_object ON {ENTRIES} (account_id, object_id, at, id) WHERE object_id IS NOT NULL",
    f"""CREATE TABLE {SEALS} (
        id TEXT NOT NULL PRIMARY KEY,
        writer TEXT NOT NULL,
        at INTEGER NOT NULL,
        text TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
)
