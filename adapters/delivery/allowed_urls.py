"""What a `url` may begin with, and who decides which server that leads to; with no I/O beyond an import.

The host of a URL is the caller's. So either the guard looks at the address that is connected to, or the URL names no
host but a bucket of a store whose endpoint the installation sets, or an operator has named the host.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from fsspec import get_filesystem_class

from recordings.model.options import is_in

WEB: Final = ("http", "https")
FTP: Final = ("ftp", "ftps")
SFTP: Final = ("sftp", "ssh")
BUCKETS: Final = frozenset({"az", "gcs", "gs", "memory", "oss", "s3", "s3a", "tos"})
"""What stands where a host would is a name inside a store of ours: it cannot say where that store is."""
_SEPARATORS: Final = re.compile(r"[/\\?#]")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)


def checked_places(places: Iterable[str]) -> tuple[str, ...]:
    """Places in full: `https` is `https://`.

    Raises:
        ValueError: nothing can be sent there, or callers could name any host there and nobody would look at it.
        ImportError: a package is missing for it.
    """
    found = tuple(place if "://" in place else f"{place}://" for place in places)
    for place in found:
        _check(place)
    return found


def _check(place: str) -> None:
    scheme, _, rest = place.partition("://")
    if scheme not in FTP:
        try:
            get_filesystem_class(scheme)
        except (ValueError, ImportError) as error:
            raise type(error)(f"{place!r}: {error}") from error
    if not is_bound(scheme) and not rest.strip("/"):
        raise ValueError(f"{place!r} leaves the host to the caller: write one, as in {scheme}://files.example.org/")


def is_bound(scheme: str) -> bool:
    """Whether a caller's URL of a scheme leads nowhere that has not been looked at."""
    return scheme in {*WEB, *FTP, *SFTP} or scheme in BUCKETS


def is_allowed(url: str, places: tuple[str, ...]) -> bool:
    """Whether something may be sent to a URL whose scheme is in lower case. `places` are checked ones."""
    scheme, _, rest = url.partition("://")
    # A path ends at its query or fragment, and to some servers a backslash is a slash.
    if ".." in _SEPARATORS.split(unquote(rest)):
        return False
    if scheme in BUCKETS and not _BUCKET.fullmatch(rest.partition("/")[0]):
        return False
    # A place of another scheme names its host.
    return is_in(url, places)
