"""From URLs to stores: which kind of store a URL names, with which options."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from fsspec import get_filesystem_class

from adapters.media.folder_store import FolderMedia
from adapters.media.fsspec_store import RemoteMedia
from adapters.media.http_store import HttpMedia
from adapters.media.store_keys import unquoted
from adapters.net import Guard
from recordings.ports.audio import MediaMissing

LOCAL: Final = "local:"
_FILE: Final = "file:///"
_S3: Final = frozenset({"s3", "s3a"})
_NO_S3: Final = "audio in S3 needs packages that are not installed: install the extra 's3'"
WEB: Final = frozenset({"http", "https"})


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


class Opener:
    """Makes the store for a URL; nothing is touched yet.

    `options` are by the beginnings of URLs, the longest counts: fsspec's for that kind of store (`endpoint_url`, ...);
    for a web server `method` and `headers`. Stores of S3 with the same options share their connections.
    """

    def __init__(self, data_dir: Path, guard: Guard, options: Mapping[str, Mapping[str, Any]]) -> None:
        self._data_dir = data_dir
        self._guard = guard
        self._options = dict(sorted(options.items(), key=lambda item: -len(item[0])))
        self._connections: dict[str, Any] = {}

    def place(self, url: str | None) -> tuple[str, Store]:
        """The beginning of the URLs of a place to write to, and its store. `None` is the data folder.

        Raises:
            ValueError: it is no absolute URL.
        """
        if url is None:
            return LOCAL, FolderMedia(self._data_dir / "media", LOCAL)
        scheme, separator, rest = url.partition("://")
        if not separator or not rest.strip("/"):
            message = f"{url!r} is no place for audio: write a URL such as file:///var/audio or s3://bucket/folder"
            raise ValueError(message)
        if scheme == "file":
            folder = _folder_at(url)
            return folder.prefix, folder
        base = f"{url.rstrip('/')}/"
        if scheme in WEB:
            return base, HttpMedia(self._guard, base, **self._options.get(self._beginning(base), {}))
        return base, self._other(base)

    def kind_of(self, url: str) -> str:
        """The beginning of the URLs that are read like this one.

        Raises:
            MediaMissing: no store could ever have that URL.
        """
        scheme, separator, _rest = url.partition("://")
        if not separator or not scheme.isidentifier():
            raise MediaMissing(url)
        return _FILE if scheme == "file" else max(self._beginning(url), _host_of(url), key=len)

    def reader(self, url: str) -> Store:
        """A store that reads all URLs of that kind."""
        kind = self.kind_of(url)
        if kind == _FILE:
            return FolderMedia(Path("/"), _FILE, prune=False)
        if url.partition(":")[0] in WEB:
            return HttpMedia(self._guard, kind if kind in self._options else None, **self._options.get(kind, {}))
        return self._other(url)

    def _beginning(self, url: str) -> str:
        """The longest of the beginnings that have options of their own, or the scheme."""
        return next((each for each in self._options if url.startswith(each)), f"{url.partition(':')[0]}://")

    def _other(self, url: str) -> Store:
        prefix = self._beginning(url)
        options = self._options.get(prefix, {})
        if url.partition(":")[0] not in _S3:
            return RemoteMedia(url, options)
        # An extra: its libraries are there where it is used.
        try:
            from adapters.media.s3_client import S3Client
            from adapters.media.s3_store import S3Media
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(_NO_S3) from error
        if prefix not in self._connections:
            self._connections[prefix] = S3Client(options)
        return S3Media(url, connection=self._connections[prefix])


def _host_of(url: str) -> str:
    """The beginning of the URLs of one host, where the kind of store has hosts; S3 and its like have one endpoint."""
    try:
        told = get_filesystem_class(url.partition("://")[0])._get_kwargs_from_urls(url)  # noqa: SLF001 - as `url_to_fs`
    except (ValueError, ImportError):
        return ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/" if "host" in told else ""


def check_scheme(url: str) -> None:
    """Find out whether anything that is installed here reaches URLs like this one.

    Raises:
        ValueError: no store has such URLs.
        ImportError: a package is missing for it.
    """
    scheme = url.partition("://")[0]
    if scheme not in {"file", *WEB, *_S3}:
        get_filesystem_class(scheme)


def _folder_at(url: str) -> FolderMedia:
    if not url.startswith(_FILE):
        message = f"{url!r} names another machine: write file:/// and an absolute path"
        raise ValueError(message)
    path = "/" + unquoted(url.removeprefix(_FILE).rstrip("/"))
    return FolderMedia(Path(path), f"file://{quote(path)}/")
