"""The columns for the id of the signing key, and the table of encrypted secrets of accounts."""

from typing import Final

STATEMENTS: Final = (
    "ALTER TABLE installation ADD COLUMN key_id TEXT",
    "ALTER TABLE installation ADD COLUMN key_since INTEGER",
    """CREATE TABLE account_secrets (
        account_id TEXT NOT NULL,
        name TEXT NOT NULL,
        sealed TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    ) STRICT, WITHOUT ROWID""",
)
