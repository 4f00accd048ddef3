"""New SQLite files of the tests are copies of one migrated file.

Thousands of tests open a store in an empty folder. The migration of a new file takes most of the time of such a start,
and its result is always the same, except for the identity of the installation.
`tests/contract/metadata/test_sqlite.py` and the servers in processes of their own do not use the copy.
"""

import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Final

from adapters.metadata.sqlite import database
from adapters.metadata.sqlite.migrations import migrate

CREATE_EMPTY: Final[Callable[[Path], None]] = database.create
"""The function of the product."""


def create_migrated(path: Path) -> None:
    """Create a file with the latest schema, unless the file exists."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content, identity = _template()
    # Readable for its owner only, like the file of the product.
    with tempfile.NamedTemporaryFile(dir=path.parent) as draft:
        draft.write(content.replace(identity, _identity(uuid.uuid4().hex, time.time_ns() // 1_000_000)))
        draft.flush()
        # Another process may create the file at the same time, and no process may see half of it.
        with suppress(FileExistsError):
            path.hardlink_to(draft.name)


@cache
def _template() -> tuple[bytes, bytes]:
    """Return the content of a migrated file, and the bytes of its identity."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "template.sqlite3")
        CREATE_EMPTY(path)
        # At its end, the last connection copies the write-ahead log to the file.
        with closing(database.connect(path, "rw")) as connection:
            migrate(connection)
            identity = _identity(*connection.execute("SELECT id, created FROM installation").fetchone())
        content = path.read_bytes()
    assert content.count(identity) == 1
    return content, identity


def _identity(installation: str, created: int) -> bytes:
    """Return a row of the table `installation` in SQLite's format: a text, and an integer of six bytes."""
    return installation.encode() + created.to_bytes(6, "big")
