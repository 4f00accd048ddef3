"""The inputs of the mutations with which an administrator manages an account."""

from collections.abc import Mapping
from typing import Any, Final

import strawberry
from strawberry import UNSET

from graph.schema.enums import Scope
from graph.schema.partial_input import PartialInput
from graph.schema.policy_inputs import ACCOUNT_ID
from recordings.model.user import PrivLevel, UserField

_LABEL: Final = "The label. Left out: all recordings whose label has no rule."


def _account_id() -> Any:
    return strawberry.field(default=UNSET, description=ACCOUNT_ID)


@strawberry.input(description="The rule for a label.")
class SetRetentionRuleInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    label: str | None = strawberry.field(default=UNSET, description=_LABEL)
    days: int = strawberry.field(description="The number of days after the start: an integer from 1 to 36500.")


@strawberry.input(description="The label whose rule is removed.")
class ClearRetentionRuleInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    label: str | None = strawberry.field(default=UNSET, description=_LABEL)


@strawberry.input(description="The new API key.")
class CreateApiKeyInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    owner_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description="Limit the key to the recordings of this user, by the id. Default: all of the account.",
    )
    scopes: list[Scope] = strawberry.field(description="The scopes. The credentials of the request must have them.")


@strawberry.input(description="The new ingest address.")
class CreateIngestAddressInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    record_all: bool = strawberry.field(
        default=False, description="Record every call whose audio arrives at the address."
    )


@strawberry.input(description="The new user.")
class CreateUserInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    username: str = strawberry.field(
        description="The name for signing in: 1 to 128 characters. It is unique in the account."
    )
    password: str = strawberry.field(description="The password, at least 8 characters.")
    first_name: str | None = strawberry.field(default=UNSET, description="The given name.")
    last_name: str | None = strawberry.field(default=UNSET, description="The family name.")
    email: str | None = strawberry.field(default=UNSET, description="The e-mail address.")
    is_admin: bool = strawberry.field(
        default=False,
        description="Let the user access all recordings of the account, and manage it. The credentials of the request "
        "must have all scopes.",
    )


@strawberry.input(description="An object of the account.")
class ManagedObjectInput(PartialInput):
    account_id: strawberry.ID | None = _account_id()
    id: strawberry.ID = strawberry.field(description="The id of the object.")


@strawberry.input(description="The API key to revoke.")
class RevokeApiKeyInput(ManagedObjectInput):
    pass


@strawberry.input(description="The ingest address to revoke.")
class RevokeIngestAddressInput(ManagedObjectInput):
    pass


@strawberry.input(description="A user, and the fields to change. A field that is left out keeps its value.")
class UpdateUserInput(ManagedObjectInput):
    first_name: str | None = strawberry.field(default=UNSET, description="The given name.")
    last_name: str | None = strawberry.field(default=UNSET, description="The family name.")
    email: str | None = strawberry.field(default=UNSET, description="The e-mail address.")
    is_admin: bool | None = strawberry.field(
        default=UNSET,
        description="Whether the user can access all recordings of the account, and manage it. Another value ends the "
        "user's tokens and signed URLs.",
    )

    def changes(self) -> Mapping[UserField, str]:
        """Return the changed fields."""
        level = PrivLevel.ADMIN if self.is_admin else PrivLevel.USER
        texts = {
            UserField.FIRST_NAME: self.first_name,
            UserField.LAST_NAME: self.last_name,
            UserField.EMAIL: self.email,
            UserField.PRIV_LEVEL: None if self.is_admin is None else level.value,
        }
        return {field: text for field, text in texts.items() if text is not None}


@strawberry.input(description="A user, and the new password.")
class SetUserPasswordInput(ManagedObjectInput):
    password: str = strawberry.field(description="The password, at least 8 characters.")


@strawberry.input(description="A user, and whether the user can sign in.")
class SetUserDisabledInput(ManagedObjectInput):
    disabled: bool = strawberry.field(description="True: none of the user's credentials is valid.")


@strawberry.input(description="The user to delete.")
class DeleteUserInput(ManagedObjectInput):
    pass
