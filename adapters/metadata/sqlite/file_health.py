"""The health of the SQLite file: whether it is damaged, and whether it is still the file that was opened."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from recordings.ports.recording_store import StoreUnavailableError

log: Final = logging.getLogger(__name__)
_PRIMARY_CODE_MASK: Final = 0xFF
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_MISSING_PARTS: Final = ("no such table", "no such index", "no such column", "malformed database schema")
"""Errors of statements that are correct on the schema of this release."""
_MAX_PROBLEMS: Final = 5
_STEPS_PER_CHECK: Final = 100_000


class FileHealth:
    """Notices that a database file is damaged, or was replaced or removed. A problem lasts until the file is reopened.

    It is safe to use from several threads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._opened: tuple[Any, Any] = (None, None)
        self.problem: str | None = None

    def note_opened(self) -> None:
        """Remember the files that are open now."""
        self._opened = (_identity(self._path), _identity(self._wal))

    def require_same_file(self) -> None:
        """Raise `StoreUnavailableError` if the file is no longer the opened one. Writes to that one would be lost."""
        main, wal = self._opened
        if main is not None and _identity(self._path) != main:
            self._set("the SQLite file was replaced or removed while it was open: restart the server")
        elif wal is not None and _identity(self._wal) != wal:
            self._set("the write-ahead log of the SQLite file was replaced or removed: restart the server")
        else:
            return
        raise StoreUnavailableError(self.problem)

    def note_error(self, error: sqlite3.Error) -> bool:
        """Return true if an error of a statement means that the file is damaged."""
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY_CODE_MASK
        if code not in _DAMAGED and not any(part in str(error) for part in _MISSING_PARTS):
            return False
        self._set(f"the SQLite file is damaged: {error}")
        return True

    def require_trusted(self, result: object) -> None:
        """Raise `StoreUnavailableError` if a result says that there is nothing, but the file cannot be trusted."""
        if self.problem is not None and (not result or not getattr(result, "rows", True)):
            raise StoreUnavailableError(self.problem)

    def quick_check(self, connect: Callable[[], sqlite3.Connection], seconds: float) -> bool:
        """Check the structure of the whole file. Return false if the time was too short."""
        deadline = time.monotonic() + seconds
        try:
            connection = connect()
        except sqlite3.Error as error:
            self.note_error(error)
            return True
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_PER_CHECK)
            found = [str(text) for (text,) in connection.execute(f"PRAGMA quick_check({_MAX_PROBLEMS})")]
        except sqlite3.Error as error:
            if (getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY_CODE_MASK == sqlite3.SQLITE_INTERRUPT:
                return False
            self.note_error(error)
            return True
        finally:
            connection.close()
        if found != ["ok"]:
            self._set(f"the SQLite file is damaged: {'; '.join(found)[:300]}")
        return True

    def _set(self, problem: str) -> None:
        if self.problem is None:
            log.error("metadata file failing: %s", problem)
        self.problem = problem


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a fifth faster, and it runs before each transaction
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
