"""Metadata in one SQLite file, on a single machine."""

from adapters.metadata.sqlite.sqlite_store import SqliteStore

__all__ = ["SqliteStore"]
