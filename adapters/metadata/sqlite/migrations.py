"""The tables, and the migration steps that create them. A released step never changes: a change is a new step."""

import sqlite3
from typing import Final

from adapters.metadata.sqlite import (
    audit_schema,
    event_table,
    secret_schema,
    stats_schema,
    terms_schema,
    webhook_schema,
    work_schema,
)
from recordings.model.query import OrderField

TABLE: Final = "recordings"
DUE: Final = "recordings_due"
OVERDUE: Final = "recordings_stranded"
LEASED: Final = "recordings_leased"
ID_INDEX: Final = "sqlite_autoindex_recordings_1"
CHANGE_CLOCK: Final = "change_clock"
"""One row. `at` is the `changed` of all recordings that the current, or the last, transaction wrote."""


class SchemaTooNewError(RuntimeError):
    """The file was written by a later release, so this release cannot read its tables."""


def column(name: str) -> str:
    """Return a field's column name, quoted: some fields are SQL keywords."""
    return f'"{name}"'


def index_of(order: OrderField, *, owner: bool) -> str:
    """Return the name of the index for a sort order: over an account, or over one owner's recordings."""
    return f"{TABLE}_by_{'owner_' if owner else ''}{order.value}"


def lookup_index(field: str) -> str:
    """Return the name of the index that finds an account's rows by the value of a field."""
    return f"{TABLE}_of_{field}"


def field_index(field: str) -> str:
    """Return the name of the index that has an account's rows by the value of a field, each value in START order."""
    return f"{TABLE}_on_{field}"


_RECORDINGS: Final = f"""
CREATE TABLE {TABLE} (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    state TEXT NOT NULL,
    start INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    options TEXT NOT NULL,
    origin TEXT NOT NULL,
    name TEXT NOT NULL,
    format TEXT NOT NULL,
    recorder TEXT NOT NULL,
    owner_id TEXT,
    endpoint_id TEXT,
    interaction_id TEXT,
    cdr_id TEXT,
    direction TEXT,
    request TEXT,
    caller_id_name TEXT,
    caller_id_number TEXT,
    callee_id_name TEXT,
    callee_id_number TEXT,
    label TEXT,
    duration_ms INTEGER,
    reason TEXT,
    reason_detail TEXT,
    end_cause TEXT,
    spans TEXT NOT NULL,
    media TEXT,
    delivery TEXT,
    hold TEXT,
    delete_at INTEGER,
    user_metadata TEXT NOT NULL,
    custom_channel_vars TEXT NOT NULL,
    imported TEXT,
    trashed_from TEXT,
    trashed_at INTEGER,
    trashed_by TEXT,
    purge_at INTEGER,
    start_key TEXT,
    start_fingerprint TEXT,
    applied TEXT NOT NULL,
    source_key TEXT,
    source_sha256 TEXT,
    node TEXT,
    due_at INTEGER,
    attempts INTEGER NOT NULL,
    lease TEXT,
    revision INTEGER NOT NULL,
    shelf TEXT NOT NULL,
    active_call TEXT
) STRICT
"""

_ACCOUNTS: Final = """
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    tree TEXT NOT NULL,
    retention TEXT NOT NULL,
    media TEXT
) STRICT
"""

_KEYS: Final = """
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    owner_id TEXT,
    revoked INTEGER
) STRICT
"""

_INGEST: Final = """
CREATE TABLE ingest_addresses (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT
"""


def _indexed(name: str, keys: str, *, unique: bool = False, present: str = "") -> str:
    kind = "UNIQUE INDEX" if unique else "INDEX"
    where = f" WHERE {present} IS NOT NULL" if present else ""
    return f"CREATE {kind} {name} ON {TABLE} ({keys}){where}"


def _listings(*orders: OrderField) -> list[str]:
    return [
        _indexed(index_of(order, owner=owner), f"account_id, {'owner_id, ' if owner else ''}shelf, {order.value}, id")
        for order in orders
        for owner in (False, True)
    ]


_FIRST: Final = (
    _RECORDINGS,
    *_listings(OrderField.START, OrderField.CREATED, OrderField.DURATION, OrderField.CALLER),
    _indexed(lookup_index("call_id"), "account_id, call_id"),
    _indexed(lookup_index("interaction_id"), "account_id, interaction_id"),
    _indexed(lookup_index("active_call"), "account_id, active_call", unique=True, present="active_call"),
    _indexed(lookup_index("start_key"), "account_id, start_key", unique=True, present="start_key"),
    _indexed(lookup_index("source_key"), "account_id, source_key, created, id", present="source_key"),
    _indexed(DUE, "node, due_at, id", present="due_at"),
    _indexed(OVERDUE, "due_at, id", present="due_at IS NOT NULL AND node"),
    _indexed(LEASED, "lease", present="lease"),
    _indexed(f"{TABLE}_held", "node, state, created, id", present="node"),
    _ACCOUNTS,
    "CREATE INDEX accounts_by_created ON accounts (created, id)",
    _KEYS,
    "CREATE INDEX api_keys_of_account ON api_keys (account_id, created, id)",
    _INGEST,
    "CREATE INDEX ingest_addresses_of_account ON ingest_addresses (account_id, created, id)",
)

_USERS: Final = """
CREATE TABLE users (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    username TEXT NOT NULL,
    -- The user name in lower case, by Python's rules: SQLite's rules cover only ASCII.
    login TEXT NOT NULL,
    created INTEGER NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    priv_level TEXT NOT NULL,
    md5 TEXT,
    sha TEXT,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, login)
) STRICT
"""

_SECOND: Final = (_USERS, "CREATE INDEX users_by_created ON users (account_id, created, id)")

_REVOKED_TOKENS: Final = """
CREATE TABLE revoked_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

_THIRD: Final = (_REVOKED_TOKENS, "CREATE INDEX revoked_tokens_by_until ON revoked_tokens (until)")

_PLACES: Final = """
CREATE TABLE places (
    url TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

_FOURTH: Final = (_PLACES,)

_FIFTH: Final = ("ALTER TABLE accounts ADD COLUMN numbers TEXT NOT NULL DEFAULT '[]'",)

_SIXTH: Final = (f"ALTER TABLE {TABLE} ADD COLUMN trashed_reason TEXT",)

_SEVENTH: Final = (
    f"ALTER TABLE {TABLE} ADD COLUMN ended INTEGER",
    # The best known time for recordings of older releases. Imported recordings have only the time of their creation.
    """UPDATE recordings SET ended = CASE
        WHEN imported IS NOT NULL THEN created
        WHEN media IS NOT NULL THEN json_extract(media, '$.stored_at')
        ELSE modified END
    WHERE state NOT IN ('REQUESTED', 'ARMED', 'RECORDING', 'PAUSED', 'MASKED')""",
    *_listings(OrderField.ENDED),
)

_EIGHTH: Final = (
    "ALTER TABLE accounts ADD COLUMN realm TEXT",
    "CREATE UNIQUE INDEX accounts_of_realm ON accounts (realm) WHERE realm IS NOT NULL",
)

_NINTH: Final = (
    f"ALTER TABLE {TABLE} ADD COLUMN held_source TEXT",
    # Older releases may have stored the same file several times. Only the first of these recordings holds it.
    """UPDATE recordings SET held_source = source_key || ':' || source_sha256 WHERE rowid IN (
        SELECT min(rowid) FROM recordings
        WHERE 'STORED' IN (state, CASE state WHEN 'TRASHED' THEN trashed_from END)
            AND source_key IS NOT NULL AND source_sha256 IS NOT NULL
        GROUP BY account_id, source_key, source_sha256)""",
    _indexed(lookup_index("held_source"), "account_id, held_source", unique=True, present="held_source"),
)

_TENTH: Final = (
    "CREATE TABLE installation (id TEXT NOT NULL, created INTEGER NOT NULL) STRICT",
    # The first account is the oldest trace of an installation of an older release.
    """INSERT INTO installation SELECT lower(hex(randomblob(16))),
        coalesce((SELECT min(created) FROM accounts), CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))""",
)

_ELEVENTH: Final = (f"ALTER TABLE {TABLE} ADD COLUMN reference TEXT",)

_POLICIES: Final = """
CREATE TABLE policy_documents (
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    fill TEXT,
    rules TEXT NOT NULL,
    revision INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    PRIMARY KEY (account_id, kind, id)
) STRICT, WITHOUT ROWID
"""

_TWELFTH: Final = (
    _POLICIES,
    f"ALTER TABLE {TABLE} ADD COLUMN policy TEXT",
    f"ALTER TABLE {TABLE} ADD COLUMN consent TEXT",
    "ALTER TABLE ingest_addresses ADD COLUMN record_all INTEGER NOT NULL DEFAULT 0",
)

_THIRTEENTH: Final = (
    # Not generated columns: SQLite allows no `json_extract` in them without `trusted_schema`.
    f"ALTER TABLE {TABLE} ADD COLUMN delivery_state TEXT",
    f"ALTER TABLE {TABLE} ADD COLUMN media_length INTEGER",
    """UPDATE recordings SET delivery_state = json_extract(delivery, '$.state'),
        media_length = json_extract(media, '$.length')
    WHERE delivery IS NOT NULL OR media IS NOT NULL""",
)

_FOURTEENTH: Final = (
    f"ALTER TABLE {TABLE} ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
    "UPDATE recordings SET changed = modified",
    _indexed(index_of(OrderField.MODIFIED, owner=False), "account_id, changed, id"),
    _indexed(index_of(OrderField.MODIFIED, owner=True), "account_id, owner_id, changed, id"),
    f"CREATE TABLE {CHANGE_CLOCK} (at INTEGER NOT NULL) STRICT",
    "INSERT INTO change_clock SELECT coalesce(max(changed), 0) FROM recordings",
)

_SIXTEENTH: Final = (
    "ALTER TABLE accounts ADD COLUMN parent_id TEXT",
    "UPDATE accounts SET parent_id = json_extract(tree, '$[#-1]')",
    "CREATE INDEX accounts_of_parent ON accounts (parent_id, created, id) WHERE parent_id IS NOT NULL",
    "CREATE INDEX users_of_md5 ON users (account_id, md5) WHERE md5 IS NOT NULL",
    "CREATE INDEX users_of_sha ON users (account_id, sha) WHERE sha IS NOT NULL",
)

_FACETS: Final = (
    "state || '|' || coalesce(reason, '') || '|' || coalesce(end_cause, '') || '|' || coalesce(direction, '')"
    " || '|' || coalesce(delivery_state, '') || '|' || (media IS NOT NULL) || '|' || (hold IS NOT NULL)"
    " || '|' || format"
)

_FIELD_INDEXES: Final = (
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id",
    "interaction_id", "cdr_id", "endpoint_id", "origin", "label", "name", "facets",
)  # fmt: skip

_SEVENTEENTH: Final = (
    # See `adapters.metadata.facets`. Not a generated column: SQLite 3.40 reads the row for each entry of its index.
    f"ALTER TABLE {TABLE} ADD COLUMN facets TEXT",
    f"UPDATE {TABLE} SET facets = {_FACETS}",  # noqa: S608 - constants
    *(_indexed(field_index(name), f"account_id, shelf, {column(name)}, start, id") for name in _FIELD_INDEXES),
    _indexed(field_index("media_length"), "account_id, shelf, media_length, id"),
    # The new indexes serve their queries, too.
    *(f"DROP INDEX {lookup_index(name)}" for name in ("call_id", "interaction_id")),
)

_EIGHTEENTH: Final = (
    # `person` is the id of a user or of an owner, or empty for the account itself.
    """CREATE TABLE access_limits (
        account_id TEXT NOT NULL,
        person TEXT NOT NULL,
        disabled INTEGER,
        not_before INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (account_id, person)
    ) STRICT, WITHOUT ROWID""",
)

_QUOTAS: Final = ("ALTER TABLE accounts ADD COLUMN quota TEXT NOT NULL DEFAULT '{}'",)

_BARE_TOMBSTONES: Final = (
    # Tombstones of earlier releases have ids of the switch, the name of who deleted them, and a text.
    """UPDATE recordings SET call_id = '', interaction_id = NULL, cdr_id = NULL, trashed_by = NULL,
        trashed_reason = NULL, source_sha256 = NULL WHERE state = 'PURGED'""",
)

MIGRATIONS: Final = (
    _FIRST,
    _SECOND,
    _THIRD,
    _FOURTH,
    _FIFTH,
    _SIXTH,
    _SEVENTH,
    _EIGHTH,
    _NINTH,
    _TENTH,
    _ELEVENTH,
    _TWELFTH,
    _THIRTEENTH,
    _FOURTEENTH,
    stats_schema.STATEMENTS,
    _SIXTEENTH,
    _SEVENTEENTH,
    _EIGHTEENTH,
    terms_schema.STATEMENTS,
    secret_schema.STATEMENTS,
    audit_schema.STATEMENTS,
    event_table.STATEMENTS,
    _QUOTAS,
    _BARE_TOMBSTONES,
    work_schema.STATEMENTS,
    stats_schema.MARK_DAYS,
    webhook_schema.STATEMENTS,
    (*terms_schema.WITHOUT_INSERTS, *stats_schema.WITHOUT_INSERTS),
)
"""Step n migrates `user_version` n to n + 1."""


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the file to the latest schema: all steps or none. A second process waits and then finds nothing to do.

    Raises:
        SchemaTooNewError: the file was written by a later release.
    """
    if _version(connection) == len(MIGRATIONS):
        # Without a write, so that a server can start on a full disk.
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        _migrate(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise SchemaTooNewError(
            f"the file has schema {version}, this release supports up to {len(MIGRATIONS)}: install a later release"
        )
    terms_schema.add_functions(connection)
    for step in MIGRATIONS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
