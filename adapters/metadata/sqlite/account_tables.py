"""Accounts and credentials in SQLite. Each function runs one method of the store on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from adapters.metadata.row_fields import decode, encode
from recordings.model.account import Account, ApiKey, IngestAddress, Scope
from recordings.model.installation import Installation
from recordings.model.instants import Millis
from recordings.model.query import PageRequest, Position
from recordings.model.quota import Quota
from recordings.model.retention import Retention
from recordings.model.user import User
from recordings.ports.account_stores import RealmTaken

_ACCOUNT = "SELECT id, name, created, tree, retention, media, numbers, realm, quota FROM accounts"
_KEY = "SELECT id, account_id, scopes, secret_sha256, created, owner_id, revoked FROM api_keys"
_INGEST = "SELECT id, account_id, secret_sha256, created, revoked, record_all FROM ingest_addresses"
OLDEST_FIRST = "ORDER BY created, id"
_BELOW: Final = (
    "WITH RECURSIVE below (id) AS (SELECT id FROM accounts WHERE parent_id = ? "
    "UNION ALL SELECT accounts.id FROM accounts JOIN below ON accounts.parent_id = below.id LIMIT ?)"
)
_DELETE_LIMIT: Final = 100
"""How many expired tokens one revocation deletes: more than one, so the table shrinks, in a short transaction."""
_INSERT_REVOKED: Final = (
    "INSERT INTO revoked_tokens (id, until) VALUES (?, ?) "
    "ON CONFLICT (id) DO UPDATE SET until = max(until, excluded.until)"
)
_DELETE_EXPIRED: Final = (
    "DELETE FROM revoked_tokens WHERE id IN (SELECT id FROM revoked_tokens "
    "WHERE until < CAST(strftime('%s', 'now') AS INTEGER) * 1000 ORDER BY until LIMIT ?)"
)


def add_account(connection: sqlite3.Connection, account: Account) -> bool:
    """Add an account. Return `False` if the id exists. `RealmTaken` if another account has its realm."""
    values = (account.id, account.name, account.created, encode(account.tree), *_settings_columns(account))
    statement = (
        "INSERT INTO accounts (id, name, created, tree, retention, media, numbers, realm, quota, parent_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    )
    return _write(connection, statement, (*values, account.parent_id))


def save_account(connection: sqlite3.Connection, account: Account) -> bool:
    """Replace an account's name and settings. Return `False` if the account does not exist.

    Raises:
        RealmTaken: another account has its realm.
    """
    statement = "UPDATE accounts SET name = ?, retention = ?, media = ?, numbers = ?, realm = ?, quota = ? WHERE id = ?"
    return _write(connection, statement, (account.name, *_settings_columns(account), account.id))


def _write(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> bool:
    try:
        return connection.execute(statement, values).rowcount == 1
    except sqlite3.IntegrityError as error:
        raise RealmTaken from error


def _settings_columns(account: Account) -> tuple[str, str | None, str, str | None, str]:
    rules = encode([asdict(rule) for rule in account.retention])
    return rules, account.media, encode(account.numbers), account.sip_realm, encode(account.quota.as_mapping())


def account(connection: sqlite3.Connection, account_id: str) -> Account | None:
    """Return an account by id."""
    found = connection.execute(f"{_ACCOUNT} WHERE id = ?", (account_id,)).fetchone()
    return _account(*found) if found else None


def accounts(connection: sqlite3.Connection, limit: int, after: Account | None) -> list[Account]:
    """Return accounts, oldest first; with `after`, only the accounts that follow it."""
    where, values = following(after)
    found = connection.execute(f"{_ACCOUNT} WHERE true{where} {OLDEST_FIRST} LIMIT ?", (*values, limit))
    return [_account(*values) for values in found]


def children(connection: sqlite3.Connection, parent_id: str, request: PageRequest) -> list[Account]:
    """Return a page of the accounts directly below an account, oldest first."""
    where, values = _within(request)
    direction = "DESC" if request.backward else "ASC"
    found = connection.execute(
        f"{_ACCOUNT} WHERE parent_id = ?{where} ORDER BY created {direction}, id {direction} LIMIT ?",
        (parent_id, *values, request.limit),
    )
    accounts = [_account(*row) for row in found]
    return accounts[::-1] if request.backward else accounts


def count_children(connection: sqlite3.Connection, parent_id: str) -> int:
    """Return the number of accounts directly below an account."""
    return int(connection.execute("SELECT count(*) FROM accounts WHERE parent_id = ?", (parent_id,)).fetchone()[0])


def accounts_below(connection: sqlite3.Connection, account_id: str, limit: int) -> list[Account]:
    """Return at most `limit` of the accounts below an account."""
    found = connection.execute(f"{_BELOW} {_ACCOUNT} WHERE id IN below", (account_id, limit))
    return [_account(*row) for row in found]


def _within(request: PageRequest) -> tuple[str, list[Any]]:
    bounds = [("(created, id) > (?, ?)", request.after), ("(created, id) < (?, ?)", request.before)]
    given = [(text, position) for text, position in bounds if position is not None]
    return "".join(f" AND {text}" for text, _ in given), [
        value for _, position in given for value in (position.key, position.id)
    ]


def following(item: Account | ApiKey | IngestAddress | User | None) -> tuple[str, Sequence[Any]]:
    """Return the further terms of a WHERE clause for the items after this one, oldest first."""
    return _within(PageRequest(limit=1, after=None if item is None else Position(item.created, item.id)))


def _account(*row: Any) -> Account:
    account_id, name, created, tree, retention, media, numbers, realm, quota = row
    rules = tuple(Retention(**rule) for rule in decode(retention))
    limits = Quota(**decode(quota))
    return Account(account_id, name, created, tuple(decode(tree)), rules, media, tuple(decode(numbers)), realm, limits)


def add_key(connection: sqlite3.Connection, key: ApiKey) -> None:
    """Add an API key."""
    values = (key.id, key.account_id, encode(key.scopes), key.secret_sha256, key.created, key.owner_id, key.revoked)
    connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def key_by_hash(connection: sqlite3.Connection, secret_sha256: str) -> ApiKey | None:
    """Return the API key with this hash."""
    found = connection.execute(f"{_KEY} WHERE secret_sha256 = ?", (secret_sha256,)).fetchone()
    return _key(found) if found else None


def keys(connection: sqlite3.Connection, account_id: str, limit: int, after: ApiKey | None) -> list[ApiKey]:
    """Return API keys of an account, oldest first."""
    where, values = following(after)
    statement = f"{_KEY} WHERE account_id = ?{where} {OLDEST_FIRST} LIMIT ?"
    return [_key(row) for row in connection.execute(statement, (account_id, *values, limit))]


def _key(values: Sequence[Any]) -> ApiKey:
    key_id, account_id, scopes, *others = values
    return ApiKey(key_id, account_id, tuple(Scope(scope) for scope in decode(scopes)), *others)


def add_ingest(connection: sqlite3.Connection, address: IngestAddress) -> None:
    """Add an ingest address."""
    secret, revoked = address.secret_sha256, address.revoked
    values = (address.id, address.account_id, secret, address.created, revoked, int(address.record_all))
    connection.execute("INSERT INTO ingest_addresses VALUES (?, ?, ?, ?, ?, ?)", values)


def ingest_address(connection: sqlite3.Connection, address_id: str) -> IngestAddress | None:
    """Return an ingest address by id."""
    found = connection.execute(f"{_INGEST} WHERE id = ?", (address_id,)).fetchone()
    return _address(found) if found else None


def ingest_addresses(
    connection: sqlite3.Connection, account_id: str, limit: int, after: IngestAddress | None
) -> list[IngestAddress]:
    """Return ingest addresses of an account, oldest first."""
    where, values = following(after)
    statement = f"{_INGEST} WHERE account_id = ?{where} {OLDEST_FIRST} LIMIT ?"
    found = connection.execute(statement, (account_id, *values, limit))
    return [_address(values) for values in found]


def _address(values: Sequence[Any]) -> IngestAddress:
    address_id, account_id, secret, created, revoked, record_all = values
    return IngestAddress(address_id, account_id, secret, created, revoked, record_all=bool(record_all))


def revoke(connection: sqlite3.Connection, table: str, identity: str, at: Millis) -> bool:
    """Revoke the row with this id. A second revocation keeps the time of the first."""
    statement = f"UPDATE {table} SET revoked = coalesce(revoked, ?) WHERE id = ?"
    return connection.execute(statement, (at, identity)).rowcount == 1


def revoke_token(connection: sqlite3.Connection, token_id: str, until: Millis) -> None:
    """Revoke a token until it expires, and delete some expired ones."""
    connection.execute(_DELETE_EXPIRED, (_DELETE_LIMIT,))
    connection.execute(_INSERT_REVOKED, (token_id, until))


def is_token_revoked(connection: sqlite3.Connection, token_id: str) -> bool:
    """Return true if a token is revoked."""
    return connection.execute("SELECT 1 FROM revoked_tokens WHERE id = ?", (token_id,)).fetchone() is not None


def note_location(connection: sqlite3.Connection, url: str, at: Millis) -> None:
    """Store the URL of a media store that holds audio."""
    connection.execute("INSERT INTO places VALUES (?, ?) ON CONFLICT (url) DO NOTHING", (url, at))


def locations(connection: sqlite3.Connection, limit: int, after: str) -> list[str]:
    """Return the media store URLs that sort after `after`."""
    found = connection.execute("SELECT url FROM places WHERE url > ? ORDER BY url LIMIT ?", (after, limit))
    return [url for (url,) in found]


def installation(connection: sqlite3.Connection) -> Installation:
    """Return the identity of the installation."""
    return Installation(*connection.execute("SELECT id, created, key_id, key_since FROM installation").fetchone())


def touch(connection: sqlite3.Connection) -> None:
    """Write a row without a change, to find out whether the file can be written."""
    connection.execute("UPDATE installation SET created = created")
