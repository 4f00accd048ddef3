"""Accounts and credentials in SQLite: what each method of the port does on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are ours, the values are parameters

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from adapters.metadata.row_fields import decode, encode
from recordings.model.account import Account, ApiKey, IngestAddress, Scope
from recordings.model.instants import Millis
from recordings.model.retention import Retention

_ACCOUNT = "SELECT id, name, created, tree, retention, media, numbers FROM accounts"
_KEY = "SELECT id, account_id, scopes, secret_sha256, created, owner_id, revoked FROM api_keys"
_INGEST = "SELECT id, account_id, secret_sha256, created, revoked FROM ingest_addresses"
OLDEST_FIRST = "ORDER BY created, id"
_SWEPT: Final = 100
"""Most ended tokens that are forgotten at once: more than come in, and never a long transaction."""
_END: Final = (
    "INSERT INTO revoked_tokens (id, until) VALUES (?, ?) "
    "ON CONFLICT (id) DO UPDATE SET until = max(until, excluded.until)"
)
_SWEEP: Final = (
    "DELETE FROM revoked_tokens WHERE id IN (SELECT id FROM revoked_tokens "
    "WHERE until < CAST(strftime('%s', 'now') AS INTEGER) * 1000 ORDER BY until LIMIT ?)"
)


def add_account(connection: sqlite3.Connection, account: Account) -> bool:
    """Keep a new account, unless its id is there."""
    values = (account.id, account.name, account.created, encode(account.tree), *_decided(account))
    statement = "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    return connection.execute(statement, values).rowcount == 1


def save_account(connection: sqlite3.Connection, account: Account) -> bool:
    """Replace what it is called and decides."""
    statement = "UPDATE accounts SET name = ?, retention = ?, media = ?, numbers = ? WHERE id = ?"
    return connection.execute(statement, (account.name, *_decided(account), account.id)).rowcount == 1


def _decided(account: Account) -> tuple[str, str | None, str]:
    return encode([asdict(rule) for rule in account.retention]), account.media, encode(account.numbers)


def account(connection: sqlite3.Connection, account_id: str) -> Account | None:
    """An account by id."""
    found = connection.execute(f"{_ACCOUNT} WHERE id = ?", (account_id,)).fetchone()
    return _account(*found) if found else None


def accounts(connection: sqlite3.Connection, limit: int, after: Account | None) -> list[Account]:
    """All accounts, oldest first, or those that follow one."""
    where, values = ("WHERE (created, id) > (?, ?)", (after.created, after.id)) if after else ("", ())
    found = connection.execute(f"{_ACCOUNT} {where} {OLDEST_FIRST} LIMIT ?", (*values, limit))
    return [_account(*values) for values in found]


def _account(
    account_id: str, name: str, created: Millis, tree: str, retention: str, media: str | None, numbers: str
) -> Account:
    rules = tuple(Retention(**rule) for rule in decode(retention))
    return Account(account_id, name, created, tuple(decode(tree)), rules, media, tuple(decode(numbers)))


def add_key(connection: sqlite3.Connection, key: ApiKey) -> None:
    """Keep a new key."""
    values = (key.id, key.account_id, encode(key.scopes), key.secret_sha256, key.created, key.owner_id, key.revoked)
    connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def key_by_hash(connection: sqlite3.Connection, secret_sha256: str) -> ApiKey | None:
    """The key with this hash."""
    found = connection.execute(f"{_KEY} WHERE secret_sha256 = ?", (secret_sha256,)).fetchone()
    return _key(found) if found else None


def keys(connection: sqlite3.Connection, account_id: str) -> list[ApiKey]:
    """The keys of an account, oldest first."""
    return [_key(values) for values in connection.execute(f"{_KEY} WHERE account_id = ? {OLDEST_FIRST}", (account_id,))]


def _key(values: Sequence[Any]) -> ApiKey:
    key_id, account_id, scopes, *others = values
    return ApiKey(key_id, account_id, tuple(Scope(scope) for scope in decode(scopes)), *others)


def add_ingest(connection: sqlite3.Connection, address: IngestAddress) -> None:
    """Keep a new ingest address."""
    values = (address.id, address.account_id, address.secret_sha256, address.created, address.revoked)
    connection.execute("INSERT INTO ingest_addresses VALUES (?, ?, ?, ?, ?)", values)


def ingest_address(connection: sqlite3.Connection, address_id: str) -> IngestAddress | None:
    """An ingest address by id."""
    found = connection.execute(f"{_INGEST} WHERE id = ?", (address_id,)).fetchone()
    return IngestAddress(*found) if found else None


def ingest_addresses(connection: sqlite3.Connection, account_id: str) -> list[IngestAddress]:
    """The ingest addresses of an account, oldest first."""
    found = connection.execute(f"{_INGEST} WHERE account_id = ? {OLDEST_FIRST}", (account_id,))
    return [IngestAddress(*values) for values in found]


def revoke(connection: sqlite3.Connection, table: str, identity: str, at: Millis) -> bool:
    """Revoke what a table has under an id; the first instant stays."""
    statement = f"UPDATE {table} SET revoked = coalesce(revoked, ?) WHERE id = ?"
    return connection.execute(statement, (at, identity)).rowcount == 1


def revoke_token(connection: sqlite3.Connection, token_id: str, until: Millis) -> None:
    """Remember that a token was ended, and forget some that are over."""
    connection.execute(_SWEEP, (_SWEPT,))
    connection.execute(_END, (token_id, until))


def is_token_revoked(connection: sqlite3.Connection, token_id: str) -> bool:
    """Whether a token was ended."""
    return connection.execute("SELECT 1 FROM revoked_tokens WHERE id = ?", (token_id,)).fetchone() is not None


def note_place(connection: sqlite3.Connection, url: str, at: Millis) -> None:
    """Remember a place."""
    connection.execute("INSERT INTO places VALUES (?, ?) ON CONFLICT (url) DO NOTHING", (url, at))


def places(connection: sqlite3.Connection, limit: int, after: str) -> list[str]:
    """The places above one."""
    found = connection.execute("SELECT url FROM places WHERE url > ? ORDER BY url LIMIT ?", (after, limit))
    return [url for (url,) in found]
