"""Reading the URL of stored audio: the recording's id, and the media store that has it."""

from typing import Final
from urllib.parse import urlsplit

MARK: Final = ".recordings-installation"
"""The key of the object that names the installation to which a media store belongs."""
AUDIT_FOLDER: Final = "audit"
"""The folder of the seals of the audit trail in a media store. No account has this id."""
DIGEST: Final = 64
"""Length of a SHA-256 in hex digits. A key has it instead of an id that is not safe as a file name."""


def id_of(url: str) -> str | None:
    """Return the id, or the digest of an id, in the URL of an object; `None` if this service did not make the key.

    A key is `<account>/<first six characters of the name>/<name>.<format>`; see `media_key`.
    """
    parts = url.rsplit("/", 2)
    name, dot, _format = parts[-1].rpartition(".")
    return name if len(parts) > 2 and dot and name and parts[-2] == name[:6] else None  # noqa: PLR2004 - the parts of the split


def location_of(url: str, recording_id: str, account_id: str) -> str | None:
    """Return the media store of a recording's URL.

    Return `None` if this service did not make the URL, or if it is in a local data folder.
    """
    name = id_of(url)
    if name is None or not (name == recording_id or is_digest(name)):
        return None
    location, slash, folder = url.rsplit("/", 2)[0].rpartition("/")
    return f"{location}/" if slash and "://" in location and folder == account_id else None


def provider_of(url: str) -> str:
    """Return the storage provider in the URL of its audio: the scheme and the host or bucket, without credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def plain_location(location: str) -> str:
    """Return the URL of a media store without a user name and a password."""
    scheme, separator, rest = location.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def is_digest(name: str) -> bool:
    """Return true if a name is a SHA-256, not an id."""
    return len(name) == DIGEST and all(character in "0123456789abcdef" for character in name)
