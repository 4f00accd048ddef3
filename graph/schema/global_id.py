"""Global ids: one text that names any object of the API, by Relay's rules."""

from base64 import b64decode, b64encode
from typing import Any, Final

import strawberry

from recordings.model.account import Account
from recordings.model.errors import InvalidInput
from recordings.model.ids import MAX_ID

RECORDING: Final = "Recording"
ACCOUNT: Final = "Account"
_TYPES: Final = (RECORDING, ACCOUNT)
_MAX_GLOBAL_ID: Final = 8 * MAX_ID
"""Characters of a global id; more is none of ours. Of an id, each takes up to 4 bytes, or 6 in Base64."""


def global_id(type_name: str, plain_id: str) -> strawberry.ID:
    """The global id of an object."""
    return strawberry.ID(b64encode(f"{type_name}:{plain_id}".encode()).decode())


def split_id(text: str) -> tuple[str, str] | None:
    """The type and the plain id that a global id names; `None` if it is no global id."""
    if len(text) > _MAX_GLOBAL_ID:
        return None
    try:
        type_name, colon, plain_id = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (type_name, plain_id) if colon and plain_id and type_name in _TYPES else None


def parse_id(text: str, *path: str) -> tuple[str, str]:
    """The type and the plain id that a global id names.

    Raises:
        InvalidInput: it is no global id.
    """
    named = split_id(text)
    if named is None:
        raise InvalidInput.of(path, "pattern", text, "a global id that this service gave")
    return named


def plain(text: str, type_name: str) -> str:
    """The plain id of an object of a type, from its global or its plain id."""
    named = split_id(text)
    return named[1] if named is not None and named[0] == type_name else text


def type_of(source: Any) -> str:
    """The GraphQL type of an object that has a global id: rows are recordings."""
    return ACCOUNT if isinstance(source, Account) else RECORDING


def _resolve_id(source: strawberry.Parent[Any]) -> strawberry.ID:
    name = type_of(source)
    return global_id(name, source["id"] if name is RECORDING else source.id)


@strawberry.interface(description="An object with a global id.")
class Node:
    global_id: strawberry.ID = strawberry.field(
        name="id", resolver=_resolve_id, description="The global id: opaque, and the same for ever."
    )

    @classmethod
    def resolve_type(cls, source: Any, *_: Any) -> str:
        return type_of(source)
