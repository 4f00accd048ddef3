"""Metadata in one SQLite file, on a single machine."""

from adapters.metadata.sqlite.peer_file import PeerFile
from adapters.metadata.sqlite.sqlite_store import SqliteStore

__all__ = ["PeerFile", "SqliteStore"]
