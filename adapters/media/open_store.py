"""Choose the kind of store for a URL, and its options."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from adapters.media.folder_store import FolderMedia
from adapters.media.http_store import HttpMedia
from adapters.media.store_keys import unquoted
from adapters.net import Guard
from recordings.ports.audio import MediaMissing

LOCAL: Final = "local:"
_FILE: Final = "file:///"
_S3: Final = frozenset({"s3", "s3a"})
_NO_S3: Final = "the packages for audio in S3 are not installed: install the extra 's3'"
WEB: Final = frozenset({"http", "https"})


class Store(Protocol):
    """A `MediaStore` that can be closed. Some stores also have a listing (`objects`) or signed URLs (`presign`)."""

    async def put(self, key: str, path: str, content_type: str) -> str:
        """As in the port."""

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As in the port."""

    async def length(self, url: str) -> int | None:
        """As in the port."""

    async def delete(self, url: str) -> None:
        """As in the port."""

    async def close(self) -> None:
        """Close the connections."""


class Opener:
    """Makes the store for a URL. No file or server is touched yet.

    `options` has the options of stores by URL prefix; the longest matching prefix is used. They are fsspec's options
    for this kind of store (`endpoint_url`, ...), or `method` and `headers` for a web server. S3 stores with the same
    options share their connections.
    """

    def __init__(self, data_dir: Path, guard: Guard, options: Mapping[str, Mapping[str, Any]]) -> None:
        self._data_dir = data_dir
        self._guard = guard
        self._options = dict(sorted(options.items(), key=lambda item: -len(item[0])))
        self._connections: dict[str, Any] = {}

    def writer(self, url: str | None) -> tuple[str, Store]:
        """Return the URL prefix of a location to write to, and its store. `None` stands for the data folder.

        Raises:
            ValueError: the URL is not absolute.
        """
        if url is None:
            return LOCAL, FolderMedia(self._data_dir / "media", LOCAL)
        scheme, separator, rest = url.partition("://")
        if not separator or not rest.strip("/"):
            message = f"{url!r} is not a URL for audio: write one such as file:///var/audio or s3://bucket/folder"
            raise ValueError(message)
        if scheme == "file":
            folder = _folder_at(url)
            return folder.prefix, folder
        base = f"{url.rstrip('/')}/"
        if scheme in WEB:
            return base, HttpMedia(self._guard, base, **self._options.get(self._options_prefix(base), {}))
        return base, self._fsspec_or_s3(base)

    def reader_prefix(self, url: str) -> str:
        """Return the prefix of all URLs that one store can read together with this one.

        Raises:
            MediaMissing: no store can have that URL.
        """
        scheme, separator, _rest = url.partition("://")
        if not separator or not scheme.isidentifier():
            raise MediaMissing(url)
        return _FILE if scheme == "file" else max(self._options_prefix(url), _host_prefix(url), key=len)

    def reader(self, url: str) -> Store:
        """Return a store that reads all URLs with the `reader_prefix` of this URL."""
        prefix = self.reader_prefix(url)
        if prefix == _FILE:
            return FolderMedia(Path("/"), _FILE, prune=False)
        if url.partition(":")[0] in WEB:
            return HttpMedia(self._guard, prefix if prefix in self._options else None, **self._options.get(prefix, {}))
        return self._fsspec_or_s3(url)

    def _options_prefix(self, url: str) -> str:
        """Return the longest matching prefix with options, or else the scheme."""
        return next((each for each in self._options if url.startswith(each)), f"{url.partition(':')[0]}://")

    def _fsspec_or_s3(self, url: str) -> Store:
        prefix = self._options_prefix(url)
        options = self._options.get(prefix, {})
        if url.partition(":")[0] not in _S3:
            # A late import, as all of fsspec: a server with a folder and without such URLs does not need it.
            from adapters.media.fsspec_store import RemoteMedia

            return RemoteMedia(url, options)
        # S3 is an optional extra, so its libraries are imported only here.
        try:
            from adapters.media.s3_client import S3Client
            from adapters.media.s3_store import S3Media
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(_NO_S3) from error
        if prefix not in self._connections:
            self._connections[prefix] = S3Client(options)
        return S3Media(url, connection=self._connections[prefix])


def _host_prefix(url: str) -> str:
    """Return the URL prefix of the host, or `""` if URLs of this kind name no host (S3 has one endpoint for all)."""
    from fsspec import get_filesystem_class

    try:
        found = get_filesystem_class(url.partition("://")[0])._get_kwargs_from_urls(url)  # noqa: SLF001 - as `url_to_fs`
    except (ValueError, ImportError):
        return ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/" if "host" in found else ""


def check_scheme(url: str) -> None:
    """Check that an installed store supports the scheme of a URL.

    Raises:
        ValueError: no store supports the scheme.
        ImportError: a package for this store is not installed.
    """
    scheme = url.partition("://")[0]
    if scheme not in {"file", *WEB, *_S3}:
        from fsspec import get_filesystem_class

        get_filesystem_class(scheme)


def _folder_at(url: str) -> FolderMedia:
    if not url.startswith(_FILE):
        message = f"{url!r} names another machine: write file:/// and an absolute path"
        raise ValueError(message)
    path = "/" + unquoted(url.removeprefix(_FILE).rstrip("/"))
    return FolderMedia(Path(path), f"file://{quote(path)}/")
