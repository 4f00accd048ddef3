"""One `MediaStore` over all: new audio goes to the configured place, and stored audio is read where its URL says."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from adapters.media.folder import FolderMedia
from adapters.media.keys import unquoted
from adapters.media.remote import RemoteMedia
from recordings.ports import MediaMissing, MediaStore

_LOCAL: Final = "local:"
_FILE: Final = "file:///"


class MediaRouter:
    """Reads each URL by its beginning, so that audio stays where it is when another place is configured.

    URLs come out of recordings, into which only this service writes them.
    """

    def __init__(self, target: MediaStore, known: Mapping[str, MediaStore]) -> None:
        """`known` has stores by the beginnings of their URLs, longer ones first."""
        self._target = target
        self._known = dict(known)

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Keep a file at the configured place."""
        return await self._target.put(key, path, content_type)

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a URL from `start` up to (not with) `end`. Raises `MediaMissing`."""
        return self._of(url).read(url, start, end)

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing."""
        return await self._of(url).length(url)

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        await self._of(url).delete(url)

    async def close(self) -> None:
        """Let go of connections."""
        for store in {id(store): store for store in (self._target, *self._known.values())}.values():
            if isinstance(store, RemoteMedia):
                await store.close()

    def _of(self, url: str) -> MediaStore:
        for prefix, store in self._known.items():
            if url.startswith(prefix):
                return store
        scheme, separator, _rest = url.partition("://")
        if not separator or not scheme.isidentifier():
            raise MediaMissing(url)
        self._known[f"{scheme}://"] = store = RemoteMedia(f"{scheme}://")
        return store


def open_media_store(url: str | None, data_dir: Path, options: Mapping[str, Any] | None = None) -> MediaRouter:
    """The store at a URL, or in the data folder without one.

    `options` are fsspec's for that kind of store (`endpoint_url`, ...). Nothing is touched yet.

    Raises:
        ValueError: it is no absolute URL.
    """
    known: dict[str, MediaStore] = {_LOCAL: FolderMedia(data_dir / "media", _LOCAL)}
    # Files of a folder that was configured once.
    files = {_FILE: FolderMedia(Path("/"), _FILE, prune=False)}
    if url is None:
        return MediaRouter(known[_LOCAL], known | files)
    scheme, separator, rest = url.partition("://")
    if not separator or not rest.strip("/"):
        message = f"{url!r} is no place for audio: write a URL such as file:///var/audio or s3://bucket/folder"
        raise ValueError(message)
    target = _folder_at(url) if scheme == "file" else RemoteMedia(url, options)
    prefix = target.prefix if isinstance(target, FolderMedia) else f"{scheme}://"
    return MediaRouter(target, known | {prefix: target} | files)


def _folder_at(url: str) -> FolderMedia:
    if not url.startswith(_FILE):
        message = f"{url!r} names another machine: write file:/// and an absolute path"
        raise ValueError(message)
    path = "/" + unquoted(url.removeprefix(_FILE).rstrip("/"))
    return FolderMedia(Path(path), f"file://{quote(path)}/")
