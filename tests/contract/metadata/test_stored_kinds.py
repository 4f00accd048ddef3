"""The list of kinds that backups and migrations copy is complete, in both stores."""

import ast
from importlib import import_module
from pathlib import Path

from adapters.metadata.mongodb.indexes import INDEXES
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite.database import connect
from adapters.metadata.stored_kinds import COLLECTIONS, TABLES

MONGODB = Path(__file__).parents[3] / "adapters" / "metadata" / "mongodb"
DATABASES = {"database", "_database", "_every", "_all"}
ADVICE = "add it to adapters/metadata/stored_kinds.py: is it copied, rebuilt, or temporary?"


async def test_each_table_is_known(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.close()
    connection = connect(tmp_path / "recordings.sqlite3", "ro")
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    columns = {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in found}
    connection.close()
    assert {name for name in found if not name.startswith("sqlite_")} == set(TABLES), ADVICE
    assert [name for name, kind in TABLES.items() if kind.is_copied and not set(kind.key) <= columns[name]] == []


def test_each_collection_is_known() -> None:
    assert collections_in_source() | set(INDEXES) == set(COLLECTIONS), ADVICE


def collections_in_source() -> set[str]:
    """Return the values of the names with which the source chooses a collection, such as `database[EVENTS]`."""
    found = set()
    for path in MONGODB.glob("*.py"):
        module = import_module(f"adapters.metadata.mongodb.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id.isupper():
                of = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                if of in DATABASES:
                    found.add(str(getattr(module, node.slice.id)))
    assert len(found) > 10
    return found
