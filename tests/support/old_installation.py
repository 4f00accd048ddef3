"""An installation whose metadata store is older than all its audio."""

import sqlite3
from contextlib import closing
from pathlib import Path

from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.instants import Millis


def set_created(data: Path, created: Millis = 0) -> None:
    """Set the time at which the metadata store of a data folder was created."""
    with closing(sqlite3.connect(data / FILE)) as connection, connection:
        connection.execute("UPDATE installation SET created = ?", (created,))
