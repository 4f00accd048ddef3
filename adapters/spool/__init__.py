"""The node's own disk, where audio waits for the finalizer. See `FolderSpool`."""

from adapters.spool.body import BodyWriter
from adapters.spool.folder import FolderSpool
from adapters.spool.tracks import SpoolWriter

__all__ = ["BodyWriter", "FolderSpool", "SpoolWriter"]
