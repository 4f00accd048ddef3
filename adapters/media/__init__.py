"""Media stores: a folder, S3, web servers and all stores that fsspec supports. Start with `open_media_store`."""

from adapters.media.folder_store import FolderMedia
from adapters.media.http_store import HttpMedia
from adapters.media.media_router import MediaRouter, open_media_store
from adapters.media.seal_archive import MediaSealArchive
from adapters.media.store_errors import AccessRefusedError, BrokenTransferError, MediaFaultError

__all__ = [
    "AccessRefusedError",
    "BrokenTransferError",
    "FolderMedia",
    "HttpMedia",
    "MediaFaultError",
    "MediaRouter",
    "MediaSealArchive",
    "open_media_store",
]
