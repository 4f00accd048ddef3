"""The URLs that recordings may be sent to. No I/O except an import.

The caller chooses the host of a URL. Therefore one of three conditions must hold: the guard checks the address of the
connection, or the URL names a bucket of a store whose endpoint the installation configures, or an operator has allowed
the host.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from recordings.model.options import is_in

WEB: Final = ("http", "https")
FTP: Final = ("ftp", "ftps")
SFTP: Final = ("sftp", "ssh")
BUCKETS: Final = frozenset({"az", "gcs", "gs", "memory", "oss", "s3", "s3a", "tos"})
"""Schemes with a bucket instead of a host. The installation configures the endpoint of these stores."""
_SEPARATORS: Final = re.compile(r"[/\\?#]")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)


def full_prefixes(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the allowed URL prefixes in full: `https` becomes `https://`.

    Raises:
        ValueError: no store has this scheme, or callers could choose a host that nothing checks.
        ImportError: the package for this scheme is missing.
    """
    found = tuple(prefix if "://" in prefix else f"{prefix}://" for prefix in prefixes)
    for prefix in found:
        _check(prefix)
    return found


def _check(prefix: str) -> None:
    scheme, _, rest = prefix.partition("://")
    if scheme not in {*WEB, *FTP}:
        # A late import, because most servers need no other scheme.
        from fsspec import get_filesystem_class

        try:
            get_filesystem_class(scheme)
        except (ValueError, ImportError) as error:
            raise type(error)(f"{prefix!r}: {error}") from error
    if not has_checked_host(scheme) and not rest.strip("/"):
        raise ValueError(f"{prefix!r} allows every host: add a host, as in {scheme}://files.example.org/")


def has_checked_host(scheme: str) -> bool:
    """Return true if URLs of a scheme lead only to hosts that the guard checks or the installation configures."""
    return scheme in {*WEB, *FTP, *SFTP} or scheme in BUCKETS


def is_allowed(url: str, prefixes: tuple[str, ...]) -> bool:
    """Return true if a recording may be sent to a URL.

    Args:
        url: a URL with its scheme in lower case.
        prefixes: the result of `full_prefixes`.
    """
    scheme, _, rest = url.partition("://")
    # A path ends at its query or fragment. Some servers read a backslash as a slash.
    if ".." in _SEPARATORS.split(unquote(rest)):
        return False
    if scheme in BUCKETS and not _BUCKET.fullmatch(rest.partition("/")[0]):
        return False
    # A prefix of any other scheme names its host.
    return is_in(url, prefixes)
