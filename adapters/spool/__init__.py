"""The spool: the part of this node's disk where audio waits for the finalizer. See `FolderSpool`."""

from adapters.spool.folder_spool import FolderSpool
from adapters.spool.track_writer import SpoolWriter
from adapters.spool.upload_file import BodyWriter

__all__ = ["BodyWriter", "FolderSpool", "SpoolWriter"]
