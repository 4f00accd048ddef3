"""The types of what an administrator manages: users, API keys, ingest addresses and retention rules."""

from typing import Final, cast

import strawberry

from graph.schema.enums import Scope
from graph.schema.scalars import DateTime
from recordings.model import account as domain
from recordings.model.user import PrivLevel
from recordings.use_cases.administration import ManagedUser

_CREATED: Final = "The time at which it was created."
_REVOKED: Final = "The time at which it was revoked. Null if it is valid."


@strawberry.type(description="A user of an account. Users sign in with a name and a password.")
class User:
    id: strawberry.ID = strawberry.field(description="The id: the `ownerId` of the user's recordings.")
    username: str = strawberry.field(description="The name for signing in.")
    first_name: str = strawberry.field(description="The given name.")
    last_name: str = strawberry.field(description="The family name.")
    email: str = strawberry.field(description="The e-mail address.")
    is_admin: bool = strawberry.field(
        description="Whether the user can access all recordings of the account, and manage it."
    )
    created: DateTime = strawberry.field(description=_CREATED)
    disabled_at: DateTime | None = strawberry.field(
        description="The time since which the user cannot sign in. Null if the user is enabled."
    )


@strawberry.type(description="A long-lived credential of an account. Its secret is shown only once.")
class ApiKey:
    id: strawberry.ID = strawberry.field(description="The id.")
    owner_id: strawberry.ID | None = strawberry.field(description="The owner that the key is limited to.")
    scopes: list[Scope] = strawberry.field(description="The scopes.")
    created: DateTime = strawberry.field(description=_CREATED)
    revoked_at: DateTime | None = strawberry.field(description=_REVOKED)


@strawberry.type(description="A URL to which a switch sends the audio of an account. Its secret is shown only once.")
class IngestAddress:
    id: strawberry.ID = strawberry.field(description="The id.")
    record_all: bool = strawberry.field(description="Whether every call whose audio arrives here is recorded.")
    created: DateTime = strawberry.field(description=_CREATED)
    revoked_at: DateTime | None = strawberry.field(description=_REVOKED)


@strawberry.type(description="How long recordings are kept.")
class RetentionRule:
    label: str | None = strawberry.field(
        description="The label of the recordings. Null: all recordings whose label has no rule."
    )
    days: int = strawberry.field(description="The number of days after the start of the recording.")


def user_source(managed: ManagedUser) -> User:
    """Return the source of a `User`."""
    user = managed.user
    names = ("id", "username", "first_name", "last_name", "email", "created")
    values = {name: getattr(user, name) for name in names}
    is_admin = user.priv_level is PrivLevel.ADMIN
    return cast("User", {**values, "is_admin": is_admin, "disabled_at": managed.disabled})


def key_source(key: domain.ApiKey) -> ApiKey:
    """Return the source of an `ApiKey`."""
    values = {"id": key.id, "owner_id": key.owner_id, "scopes": list(key.scopes), "created": key.created}
    return cast("ApiKey", {**values, "revoked_at": key.revoked})


def address_source(address: domain.IngestAddress) -> IngestAddress:
    """Return the source of an `IngestAddress`."""
    values = {"id": address.id, "record_all": address.record_all, "created": address.created}
    return cast("IngestAddress", {**values, "revoked_at": address.revoked})
