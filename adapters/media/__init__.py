"""Where audio is kept: a folder, or anything that fsspec reaches. Begin with `open_media_store`."""

from adapters.media.folder import FolderMedia
from adapters.media.remote import RemoteMedia
from adapters.media.router import MediaRouter, open_media_store

__all__ = ["FolderMedia", "MediaRouter", "RemoteMedia", "open_media_store"]
