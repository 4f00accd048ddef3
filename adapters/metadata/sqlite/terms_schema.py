"""The table of the terms of user metadata (`adapters.metadata.metadata_terms`).

Inserts add to it, and triggers keep it afterwards. Only recordings with metadata have rows in it. The recordings keep
their terms as a JSON list, for the triggers.
"""

# ruff: noqa: S608 - the names in these statements are constants

import sqlite3
from typing import Final

from adapters.metadata.metadata_terms import TERMS, terms_of_json
from adapters.metadata.row_fields import encode

TERM_TABLE: Final = "recordings_terms"

_TERMS: Final = f"""
CREATE TABLE {TERM_TABLE} (
    account_id TEXT NOT NULL,
    shelf TEXT NOT NULL,
    term TEXT NOT NULL,
    start INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (account_id, shelf, term, start, id)
) STRICT, WITHOUT ROWID
"""
# `OR IGNORE`: JSON has no duplicate terms, but a damaged row must not stop its next save.
_ADD_TERMS: Final = (
    f"INSERT OR IGNORE INTO {TERM_TABLE} SELECT new.account_id, new.shelf, value, new.start, new.id "
    f"FROM json_each(new.{TERMS});"
)
_DROP_TERMS: Final = (
    f"DELETE FROM {TERM_TABLE} WHERE account_id = old.account_id AND shelf = old.shelf AND start = old.start "
    f"AND id = old.id AND term IN (SELECT value FROM json_each(old.{TERMS}));"
)
ADD_TERMS: Final = f"INSERT OR IGNORE INTO {TERM_TABLE} SELECT ?, ?, value, ?, ? FROM json_each(?)"
"""Adds the terms of an inserted recording."""
_INDEXED_BY_TERMS: Final = ("account_id", "shelf", "start", "id", TERMS)

_REPLACE_TERMS: Final = f"{_DROP_TERMS} {_ADD_TERMS}"
_KEYS: Final = ", ".join(_INDEXED_BY_TERMS)
_CHANGED: Final = " OR ".join(f"old.{name} IS NOT new.{name}" for name in _INDEXED_BY_TERMS)

ADD_ALL_TERMS: Final = (
    f"INSERT OR IGNORE INTO {TERM_TABLE} SELECT account_id, shelf, value, start, recordings.id "
    f"FROM recordings CROSS JOIN json_each({TERMS})"
)

STATEMENTS: Final = (
    _TERMS,
    f"ALTER TABLE recordings ADD COLUMN {TERMS} TEXT",
    f"UPDATE recordings SET {TERMS} = terms_of_json(user_metadata) WHERE user_metadata != '{{}}'",
    ADD_ALL_TERMS,
    f"CREATE TRIGGER terms_inserted AFTER INSERT ON recordings WHEN new.{TERMS} IS NOT NULL BEGIN {_ADD_TERMS} END",
    f"CREATE TRIGGER terms_deleted AFTER DELETE ON recordings WHEN old.{TERMS} IS NOT NULL BEGIN {_DROP_TERMS} END",
    f"CREATE TRIGGER terms_updated AFTER UPDATE OF {_KEYS} ON recordings WHEN {_CHANGED} BEGIN {_REPLACE_TERMS} END",
)
WITHOUT_INSERTS: Final = ("DROP TRIGGER terms_inserted",)
"""The migration step after which the statement of an insert adds the terms (`recording_table.note_inserted`)."""


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that the statements call."""
    connection.create_function("terms_of_json", 1, _terms_of_json, deterministic=True)


def _terms_of_json(text: str) -> str | None:
    terms = terms_of_json(text)
    return None if terms is None else encode(terms)
