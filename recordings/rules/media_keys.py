"""What the URL of stored audio tells: whose it is, and in which place it lies."""

from typing import Final

DIGEST: Final = 64
"""Characters of a SHA-256 that stands in a key for an id."""


def id_of(url: str) -> str | None:
    """The id (or digest of an id) in the URL of an object; `None` where the key is none of ours.

    A key is `<account>/<six characters of the name>/<name>.<format>`, as `media_key` makes it.
    """
    parts = url.rsplit("/", 2)
    name, dot, _format = parts[-1].rpartition(".")
    return name if len(parts) > 2 and dot and name and parts[-2] == name[:6] else None  # noqa: PLR2004 - of a split


def place_of(url: str, recording_id: str, account_id: str) -> str | None:
    """Where this service once put a recording's audio, by its URL; `None` where it did not, or in a data folder."""
    name = id_of(url)
    if name is None or not (name == recording_id or is_digest(name)):
        return None
    place, slash, folder = url.rsplit("/", 2)[0].rpartition("/")
    return f"{place}/" if slash and "://" in place and folder == account_id else None


def plain_place(place: str) -> str:
    """A place without a user and a password, as it may be written down."""
    scheme, separator, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def is_digest(name: str) -> bool:
    """Whether a name is a SHA-256 and no id."""
    return len(name) == DIGEST and all(character in "0123456789abcdef" for character in name)
