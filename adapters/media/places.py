"""From settings to stores: which kind of store a URL names, and one router over those that are configured."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from adapters.media.folder import FolderMedia
from adapters.media.http import HttpMedia
from adapters.media.keys import unquoted
from adapters.media.remote import RemoteMedia
from adapters.net import Guard

LOCAL: Final = "local:"
_FILE: Final = "file:///"
_S3: Final = frozenset({"s3", "s3a"})
_WEB: Final = frozenset({"http", "https"})


class Store(Protocol):
    """A `MediaStore` that can be closed. Some can list (`objects`) and some can sign (`presign`)."""

    async def put(self, key: str, path: str, content_type: str) -> str:
        """As in the port."""

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As in the port."""

    async def length(self, url: str) -> int | None:
        """As in the port."""

    async def delete(self, url: str) -> None:
        """As in the port."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where audio is kept: a URL, or the data folder without one.

    `options` are fsspec's for that kind of store (`endpoint_url`, ...); for a web server `method` and `headers`.
    """

    url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def open_place(place: Place, data_dir: Path, guard: Guard) -> tuple[str, Store]:
    """The beginning of a place's URLs, and its store. Nothing is touched yet.

    Raises:
        ValueError: its URL is no absolute one.
    """
    if place.url is None:
        return LOCAL, FolderMedia(data_dir / "media", LOCAL)
    scheme, separator, rest = place.url.partition("://")
    if not separator or not rest.strip("/"):
        message = f"{place.url!r} is no place for audio: write a URL such as file:///var/audio or s3://bucket/folder"
        raise ValueError(message)
    if scheme == "file":
        folder = _folder_at(place.url)
        return folder.prefix, folder
    base = f"{place.url.rstrip('/')}/"
    if scheme in _WEB:
        return base, HttpMedia(guard, base, **place.options)
    return base, open_other(place.url, place.options)


def open_other(url: str, options: Mapping[str, Any]) -> Store:
    """The store at a URL that is neither a folder's nor a web server's."""
    if url.partition(":")[0] in _S3:
        # An extra: its libraries are there where it is used.
        from adapters.media.s3 import S3Media

        return S3Media(url, options)
    return RemoteMedia(url, options)


def all_files() -> FolderMedia:
    """Files of folders that were configured once."""
    return FolderMedia(Path("/"), _FILE, prune=False)


def _folder_at(url: str) -> FolderMedia:
    if not url.startswith(_FILE):
        message = f"{url!r} names another machine: write file:/// and an absolute path"
        raise ValueError(message)
    path = "/" + unquoted(url.removeprefix(_FILE).rstrip("/"))
    return FolderMedia(Path(path), f"file://{quote(path)}/")
