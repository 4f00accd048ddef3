"""The file of `RECORDINGS_MEDIA_OPTIONS`: endpoints and credentials of stores, by the beginnings of their URLs.

It is one JSON object, with what fsspec's file system of that scheme takes, so that any stores can be mixed:

    {"s3://audio/": {"endpoint_url": "https://minio.example.org", "key": "…", "secret": "…"}, "s3://": {}}

For web servers it is what `adapters.media.HttpMedia` takes: `method` and `headers`. No message here shows a value.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

MOST_BYTES: Final = 1 << 20
_OTHERS: Final = 0o007
_WEB: Final = frozenset({"http", "https"})
_OF_WEB: Final = frozenset({"method", "headers"})
_METHODS: Final = frozenset({"put", "post"})

MediaOptions = Mapping[str, Mapping[str, Any]]
"""Options by the beginnings of URLs; each ends with `/`, so that no bucket is taken for another one."""


class WrongMediaOptionsError(Exception):
    """The file cannot be used; the message says what to change, and never what is in it."""


def read_media_options(path: Path | None) -> MediaOptions:
    """The options in a file; none without one.

    Raises:
        WrongMediaOptionsError: it cannot be read, everybody on the machine can read it, or it is something else.
    """
    if path is None:
        return {}
    try:
        if path.stat().st_mode & _OTHERS:
            raise WrongMediaOptionsError(f"{path} can be read by everybody on this machine: chmod 600 it")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WrongMediaOptionsError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise WrongMediaOptionsError(f"{path} has more than {MOST_BYTES} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        # Not the error itself: a traceback would show what it could not read.
        raise WrongMediaOptionsError(f"{path} is no JSON{where}") from None
    if not isinstance(found, dict):
        raise WrongMediaOptionsError(f"{path} must hold one JSON object, of options by the beginnings of URLs")
    return dict(_entry(path, beginning, options) for beginning, options in found.items())


def _entry(path: Path, beginning: str, options: Any) -> tuple[str, Mapping[str, Any]]:
    try:
        parts = urlsplit(beginning)
    except ValueError:
        parts = urlsplit("")
    if "://" not in beginning or not parts.scheme or parts.scheme in {"file", "local"} or "@" in parts.netloc:
        raise WrongMediaOptionsError(
            f"{path} has a key that is no beginning of a URL without a user, such as s3:// or s3://bucket/"
        )
    if not isinstance(options, dict):
        raise WrongMediaOptionsError(f"{path} must have a JSON object for {beginning}")
    if parts.scheme in _WEB:
        _check_web(path, beginning, options, parts.netloc)
    return (beginning if beginning.endswith("/") else f"{beginning}/"), options


def _check_web(path: Path, beginning: str, options: Mapping[str, Any], host: str) -> None:
    if not host:
        # Its headers would be told to every web server there is.
        raise WrongMediaOptionsError(f"{path} has {beginning}, which names no host")
    headers = options.get("headers", {})
    texts = isinstance(headers, dict) and all(isinstance(value, str) for value in headers.values())
    if not options.keys() <= _OF_WEB or options.get("method", "put") not in _METHODS or not texts:
        raise WrongMediaOptionsError(
            f"{path} may have for {beginning} a method (put or post) and headers (an object of texts), nothing else"
        )
