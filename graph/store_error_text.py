"""The texts of errors of metadata stores for operators."""

import sqlite3
import sys

from recordings.ports.recording_store import StoreUnavailableError


def store_error_text(error: BaseException) -> str | None:
    """Return the reason of an error of a metadata store, or of the first one in a group; `None` for any other error."""
    if isinstance(error, BaseExceptionGroup):
        return store_error_text(error.exceptions[0])
    if isinstance(error, StoreUnavailableError):
        return str(error)
    if isinstance(error, sqlite3.Error):
        return f"SQLite: {error}"
    if "pymongo" not in sys.modules:
        # An installation with SQLite does not load the driver.
        return None
    from pymongo.errors import PyMongoError

    from adapters.metadata.mongodb import error_text

    return error_text(error) if isinstance(error, PyMongoError) else None
