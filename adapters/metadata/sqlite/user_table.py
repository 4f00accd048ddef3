"""Users in SQLite. Each function runs one method of the store on a connection, in its thread."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from adapters.metadata.sqlite.account_tables import OLDEST_FIRST, following
from recordings.model.user import Method, Passwords, PrivLevel, User

_SELECT: Final = (
    "SELECT account_id, id, username, created, first_name, last_name, email, priv_level, md5, sha FROM users "
    "WHERE account_id = ?"
)
_INSERT: Final = (
    "INSERT INTO users (account_id, id, username, login, created, first_name, last_name, email, priv_level, md5, sha) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def add_user(connection: sqlite3.Connection, user: User) -> bool:
    """Add a user. Return `False` if the account already has this user id or user name."""
    hashes = (user.passwords.md5, user.passwords.sha) if user.passwords else (None, None)
    about = (user.created, user.first_name, user.last_name, user.email, user.priv_level.value)
    values = (user.account_id, user.id, user.username, user.username.lower(), *about, *hashes)
    return connection.execute(_INSERT, values).rowcount == 1


def user(connection: sqlite3.Connection, account_id: str, user_id: str) -> User | None:
    """Return a user of an account by id."""
    found = connection.execute(f"{_SELECT} AND id = ?", (account_id, user_id)).fetchone()
    return _user(found) if found else None


def users(connection: sqlite3.Connection, account_id: str, limit: int, after: User | None) -> list[User]:
    """Return users of an account, oldest first."""
    where, values = following(after)
    found = connection.execute(f"{_SELECT}{where} {OLDEST_FIRST} LIMIT ?", (account_id, *values, limit))
    return [_user(row) for row in found]


def user_by_hash(connection: sqlite3.Connection, account_id: str, method: Method, hashed: str) -> User | None:
    """Return the user of an account whose password has this hash."""
    found = connection.execute(f"{_SELECT} AND {method.value} = ?", (account_id, hashed)).fetchone()
    return _user(found) if found else None


def _user(values: Sequence[Any]) -> User:
    account_id, user_id, username, created, first_name, last_name, email, priv_level, md5, sha = values
    return User(
        id=user_id,
        account_id=account_id,
        username=username,
        created=created,
        first_name=first_name,
        last_name=last_name,
        email=email,
        priv_level=PrivLevel(priv_level),
        passwords=None if md5 is None else Passwords(md5, sha),
    )
