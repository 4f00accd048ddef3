"""Read the file of `RECORDINGS_MEDIA_OPTIONS`: endpoints and credentials of media stores.

The file is one JSON object. Each key is the beginning of a URL, and each value has the options of fsspec's file system
for that scheme:

    {"s3://audio/": {"endpoint_url": "https://minio.example.org", "key": "…", "secret": "…"}, "s3://": {}}

For web servers, the options are those of `adapters.media.HttpMedia`: `method` and `headers`. No error message shows
the value of an option.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

MAX_BYTES: Final = 1 << 20
_OTHER_USERS: Final = 0o007
_WEB_SCHEMES: Final = frozenset({"http", "https"})
_WEB_OPTIONS: Final = frozenset({"method", "headers"})
_METHODS: Final = frozenset({"put", "post"})

MediaOptions = Mapping[str, Mapping[str, Any]]
"""Options by the beginning of a URL. Each key ends with `/`, so that it does not match a longer bucket name."""


class MediaOptionsError(Exception):
    """The file cannot be used. The message says what to change, without showing the file's content."""


def read_media_options(path: Path | None) -> MediaOptions:
    """Return the options in a file; none if there is no file.

    Raises:
        MediaOptionsError: the file is unreadable or invalid, or all users of this machine can read it.
    """
    if path is None:
        return {}
    try:
        if path.stat().st_mode & _OTHER_USERS:
            raise MediaOptionsError(f"{path} can be read by all users of this machine: run chmod 600 on it")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MediaOptionsError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise MediaOptionsError(f"{path} has more than {MAX_BYTES} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        # Without the original error, because its traceback would show the file's content.
        raise MediaOptionsError(f"{path} is not valid JSON{where}") from None
    if not isinstance(found, dict):
        raise MediaOptionsError(f"{path} must contain one JSON object, with options by the beginnings of URLs")
    return dict(_entry(path, beginning, options) for beginning, options in found.items())


def _entry(path: Path, beginning: str, options: Any) -> tuple[str, Mapping[str, Any]]:
    try:
        parts = urlsplit(beginning)
    except ValueError:
        parts = urlsplit("")
    if "://" not in beginning or not parts.scheme or parts.scheme in {"file", "local"} or "@" in parts.netloc:
        raise MediaOptionsError(
            f"{path} has an invalid key: each key must be the beginning of a URL without a user, such as s3:// or s3://bucket/"
        )
    if not isinstance(options, dict):
        raise MediaOptionsError(f"{path}: the value for {beginning} must be a JSON object")
    if parts.scheme in _WEB_SCHEMES:
        _check_web(path, beginning, options, parts.netloc)
    return (beginning if beginning.endswith("/") else f"{beginning}/"), options


def _check_web(path: Path, beginning: str, options: Mapping[str, Any], host: str) -> None:
    if not host:
        # Otherwise its headers would be sent to every web server.
        raise MediaOptionsError(f"{path}: {beginning} must name a host")
    headers = options.get("headers", {})
    are_texts = isinstance(headers, dict) and all(isinstance(value, str) for value in headers.values())
    if not options.keys() <= _WEB_OPTIONS or options.get("method", "put") not in _METHODS or not are_texts:
        raise MediaOptionsError(
            f"{path}: {beginning} may only have a method (put or post) and headers (an object of texts)"
        )
