"""Metadata in one SQLite file, for one machine."""

from adapters.metadata.sqlite.sqlite_store import SqliteStore

__all__ = ["SqliteStore"]
