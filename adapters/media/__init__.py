"""Where audio is kept: a folder, S3, web servers, anything that fsspec reaches. Begin with `open_media_store`."""

from adapters.media.faults import AccessRefusedError, BrokenTransferError, MediaFaultError
from adapters.media.folder import FolderMedia
from adapters.media.http import HttpMedia
from adapters.media.remote import RemoteMedia
from adapters.media.router import MediaRouter, open_media_store

__all__ = [
    "AccessRefusedError",
    "BrokenTransferError",
    "FolderMedia",
    "HttpMedia",
    "MediaFaultError",
    "MediaRouter",
    "RemoteMedia",
    "open_media_store",
]
