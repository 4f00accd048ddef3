"""Disabled accounts and people, and ended tokens, in SQLite. Each method makes one call in a thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

from adapters.metadata.sqlite.database import Database
from recordings.model.account import AccessState
from recordings.model.instants import Millis
from recordings.model.user import Passwords, UserField

_ACCOUNT_TABLES: Final = ("users", "api_keys", "ingest_addresses", "policy_documents", "account_secrets")
_DISABLE: Final = (
    "INSERT INTO access_limits (account_id, person, disabled) VALUES (?, ?, ?) ON CONFLICT (account_id, person) "
    "DO UPDATE SET disabled = CASE WHEN excluded.disabled IS NULL THEN NULL "
    "ELSE coalesce(disabled, excluded.disabled) END"
)
_END_TOKENS: Final = (
    "INSERT INTO access_limits (account_id, person, not_before) VALUES (?, ?, ?) ON CONFLICT (account_id, person) "
    "DO UPDATE SET not_before = max(not_before, excluded.not_before)"
)


class AccessTables:
    """The `AccessStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def access_state(self, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
        """Return the state of credentials."""
        found: AccessState = await self._database.read(
            lambda connection: _state(connection, account_id, people, key_id)
        )
        return found

    async def disabled(self, account_id: str) -> Mapping[str, Millis]:
        """Return the disabled people of an account, and since when."""
        statement = "SELECT person, disabled FROM access_limits WHERE account_id = ? AND disabled IS NOT NULL"
        return dict(
            await self._database.read(lambda connection: connection.execute(statement, (account_id,)).fetchall())
        )

    async def set_disabled(self, account_id: str, person: str, at: Millis | None) -> None:
        """Disable an account or a person, or enable them with `None`."""
        await self._database.write(lambda connection: connection.execute(_DISABLE, (account_id, person, at)).rowcount)

    async def end_tokens(self, account_id: str, person: str, at: Millis) -> None:
        """End all tokens that were issued before an instant."""
        await self._database.write(
            lambda connection: connection.execute(_END_TOKENS, (account_id, person, at)).rowcount
        )

    async def delete_account(self, account_id: str) -> None:
        """Delete an account with its users, keys, ingest addresses and policies."""
        await self._database.write(lambda connection: _delete_account(connection, account_id))

    async def delete_user(self, account_id: str, user_id: str) -> None:
        """Delete a user."""
        statement = "DELETE FROM users WHERE account_id = ? AND id = ?"
        await self._database.write(lambda connection: connection.execute(statement, (account_id, user_id)).rowcount)

    async def save_passwords(self, account_id: str, user_id: str, passwords: Passwords) -> bool:
        """Replace the password of a user. Return `False` if the user does not exist."""
        statement = "UPDATE users SET md5 = ?, sha = ? WHERE account_id = ? AND id = ?"
        values = (passwords.md5, passwords.sha, account_id, user_id)
        return bool(await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1))

    async def save_user(self, account_id: str, user_id: str, changes: Mapping[UserField, str]) -> bool:
        """Change some fields of a user. Return `False` if the user does not exist."""
        columns = ", ".join(f"{field.value} = ?" for field in changes)
        statement = f"UPDATE users SET {columns} WHERE account_id = ? AND id = ?"
        values = (*changes.values(), account_id, user_id)
        return bool(await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1))


def _state(connection: sqlite3.Connection, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
    subjects = ["", *people]
    marks = ", ".join("?" for _ in subjects)
    exists, disabled, not_before, revoked = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ?), count(disabled), coalesce(max(not_before), 0), "
        "? IS NOT NULL AND NOT EXISTS (SELECT 1 FROM api_keys WHERE id = ? AND revoked IS NULL) "
        f"FROM access_limits WHERE account_id = ? AND person IN ({marks})",
        (account_id, key_id, key_id, account_id, *subjects),
    ).fetchone()
    return AccessState(bool(exists) and not disabled and not revoked, not_before)


def _delete_account(connection: sqlite3.Connection, account_id: str) -> None:
    for table in _ACCOUNT_TABLES:
        connection.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
    connection.execute("DELETE FROM accounts WHERE id = ?", (account_id,))
