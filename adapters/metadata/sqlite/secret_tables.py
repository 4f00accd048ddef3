"""The id of the signing key, and the encrypted secrets of accounts, in SQLite."""

import json
import sqlite3
from collections.abc import Sequence

from adapters.metadata.sqlite import account_tables
from adapters.metadata.sqlite.database import Database
from recordings.model.installation import Installation
from recordings.model.instants import Millis
from recordings.ports.secret_store import AccountSecret


class SecretTables:
    """The `SecretStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def claim_key(self, key_id: str, at: Millis, instead_of: str | None = None) -> Installation:
        """Store the id of the signing key if the stored one is `instead_of`. Return the installation after that."""
        found: Installation = await self._database.write(
            lambda connection: _claim_key(connection, key_id, at, instead_of)
        )
        return found

    async def account_secret(self, account_id: str, name: str) -> Sequence[str]:
        """Return the encrypted values of a secret, the newest first."""
        found: Sequence[str] = await self._database.read(lambda connection: _values(connection, account_id, name))
        return found

    async def save_account_secret(self, secret: AccountSecret, expected: Sequence[str]) -> bool:
        """Replace a secret if its stored values are `expected`."""
        return bool(await self._database.write(lambda connection: _save(connection, secret, expected)))

    async def account_secrets(self, limit: int, after: AccountSecret | None = None) -> Sequence[AccountSecret]:
        """Return the secrets of all accounts, sorted by account and name."""
        statement = (
            "SELECT account_id, name, sealed FROM account_secrets WHERE (account_id, name) > (?, ?) "
            "ORDER BY account_id, name LIMIT ?"
        )
        start = ("", "") if after is None else (after.account_id, after.name)
        rows = await self._database.read(lambda connection: connection.execute(statement, (*start, limit)).fetchall())
        return [AccountSecret(account_id, name, tuple(json.loads(sealed))) for account_id, name, sealed in rows]


def _claim_key(connection: sqlite3.Connection, key_id: str, at: Millis, instead_of: str | None) -> Installation:
    connection.execute("UPDATE installation SET key_id = ?, key_since = ? WHERE key_id IS ?", (key_id, at, instead_of))
    return account_tables.installation(connection)


def _values(connection: sqlite3.Connection, account_id: str, name: str) -> tuple[str, ...]:
    statement = "SELECT sealed FROM account_secrets WHERE account_id = ? AND name = ?"
    found = connection.execute(statement, (account_id, name)).fetchone()
    return () if found is None else tuple(json.loads(found[0]))


def _save(connection: sqlite3.Connection, secret: AccountSecret, expected: Sequence[str]) -> bool:
    if _values(connection, secret.account_id, secret.name) != tuple(expected):
        return False
    key = (secret.account_id, secret.name)
    if secret.sealed:
        connection.execute("INSERT OR REPLACE INTO account_secrets VALUES (?, ?, ?)", (*key, json.dumps(secret.sealed)))
    else:
        connection.execute("DELETE FROM account_secrets WHERE account_id = ? AND name = ?", key)
    return True
