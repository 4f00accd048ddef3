"""Global ids: a text that identifies any object of the API, as Relay requires."""

from base64 import b64decode, b64encode
from typing import Any, Final

import strawberry

from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import InvalidInput
from recordings.model.ids import MAX_ID

RECORDING: Final = "Recording"
ACCOUNT: Final = "Account"
LIVE_CALL: Final = "LiveCall"
_TYPES: Final = (RECORDING, ACCOUNT, LIVE_CALL)
_MAX_GLOBAL_ID: Final = 8 * MAX_ID
"""Maximum length of a global id. A character of an id takes up to 4 bytes, which are up to 6 characters in Base64."""


def global_id(type_name: str, plain_id: str) -> strawberry.ID:
    """Return the global id of an object."""
    return strawberry.ID(b64encode(f"{type_name}:{plain_id}".encode()).decode())


def split_id(text: str) -> tuple[str, str] | None:
    """Return the type and the plain id of a global id, or `None` if the text is no global id."""
    if len(text) > _MAX_GLOBAL_ID:
        return None
    try:
        type_name, colon, plain_id = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (type_name, plain_id) if colon and plain_id and type_name in _TYPES else None


def parse_id(text: str, *path: str) -> tuple[str, str]:
    """Return the type and the plain id of a global id.

    Raises:
        InvalidInput: the text is no global id.
    """
    parts = split_id(text)
    if parts is None:
        raise InvalidInput.of(path, "pattern", text, "a global id from this service")
    return parts


def plain(text: str, type_name: str) -> str:
    """Return the plain id of an object of this type, from its global id or its plain id."""
    parts = split_id(text)
    return parts[1] if parts is not None and parts[0] == type_name else text


def call_identity(call: Call) -> str:
    """Return the id of a live call in its global id: a call id is unique in its account."""
    return f"{call.account_id}:{call.call_id}"


def parse_call_id(text: str) -> tuple[str | None, str]:
    """Return the account id and the call id of a live call. A plain id has no account id."""
    parts = split_id(text)
    if parts is None or parts[0] != LIVE_CALL:
        return None, text
    account_id, _, call_id = parts[1].partition(":")
    return account_id, call_id


def type_of(source: Any) -> str:
    """Return the GraphQL type of an object with a global id. Rows are recordings."""
    if isinstance(source, Call):
        return LIVE_CALL
    return ACCOUNT if isinstance(source, Account) else RECORDING


def _resolve_id(source: strawberry.Parent[Any]) -> strawberry.ID:
    name = type_of(source)
    if name is LIVE_CALL:
        return global_id(name, call_identity(source))
    return global_id(name, source["id"] if name is RECORDING else source.id)


@strawberry.interface(description="An object with a global id.")
class Node:
    global_id: strawberry.ID = strawberry.field(
        name="id", resolver=_resolve_id, description="The global id: an opaque text that never changes."
    )

    @classmethod
    def resolve_type(cls, source: Any, *_: Any) -> str:
        return type_of(source)
