"""Policy documents in SQLite. Each function runs one method of the store on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, Final

from adapters.metadata.policy_values import NAMES, from_values, to_values
from recordings.model.recording_policy import DocumentKind, PolicyDocument

_COLUMNS: Final = ", ".join(NAMES)
_SELECT: Final = f"SELECT {_COLUMNS} FROM policy_documents WHERE account_id = ?"
_INSERT: Final = (
    f"INSERT INTO policy_documents ({_COLUMNS}) VALUES ({', '.join('?' * len(NAMES))}) ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    f"UPDATE policy_documents SET ({_COLUMNS}) = ({', '.join('?' * len(NAMES))}) "
    "WHERE account_id = ? AND kind = ? AND id = ? AND revision = ?"
)


def policy_documents(
    connection: sqlite3.Connection, account_id: str, names: Collection[tuple[DocumentKind, str]]
) -> list[PolicyDocument]:
    """Return the documents that exist of these kinds and ids."""
    if not names:
        return []
    where = " OR ".join(["(kind = ? AND id = ?)"] * len(names))
    values = [value for kind, identity in names for value in (kind.value, identity)]
    return _documents(connection.execute(f"{_SELECT} AND ({where})", (account_id, *values)))


def documents_of_kind(
    connection: sqlite3.Connection, account_id: str, kind: DocumentKind, limit: int
) -> list[PolicyDocument]:
    """Return the documents of a kind, by id."""
    found = connection.execute(f"{_SELECT} AND kind = ? ORDER BY id LIMIT ?", (account_id, kind.value, limit))
    return _documents(found)


def save_policy_document(connection: sqlite3.Connection, document: PolicyDocument) -> bool:
    """Save a document if its revision is the next one. Otherwise return `False`."""
    values = tuple(to_values(document).values())
    if document.revision == 1:
        return connection.execute(_INSERT, values).rowcount == 1
    key = (document.account_id, document.kind.value, document.id, document.revision - 1)
    return connection.execute(_UPDATE, (*values, *key)).rowcount == 1


def _documents(cursor: Iterable[tuple[Any, ...]]) -> list[PolicyDocument]:
    return [from_values(dict(zip(NAMES, values, strict=True))) for values in cursor]
