"""The mutations for the secret that signs an account's deliveries."""

from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET

from graph.schema.error_types import DeliverySecretError, user_errors
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.partial_input import PartialInput
from graph.schema.policy_inputs import ACCOUNT_ID
from recordings.model.errors import Refused

_input = strawberry.argument(description="The input.")


def _errors() -> Any:
    return strawberry.field(description="The errors. Empty if the mutation succeeded.")


@strawberry.input(description="The account whose deliveries are signed with a new secret.")
class RotateDeliverySecretInput(PartialInput):
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=ACCOUNT_ID)
    secret: str | None = strawberry.field(
        default=UNSET,
        description="The new secret: `whsec_` and 24 to 64 bytes in base64. Default: the service makes one.",
    )


@strawberry.input(description="The account whose secret is deleted.")
class ClearDeliverySecretInput(PartialInput):
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=ACCOUNT_ID)
    only_old: bool = strawberry.field(
        default=False, description="Delete only the secret before the present one, to end a rotation."
    )


@strawberry.type(description="The result of `rotateDeliverySecret`.")
class RotateDeliverySecretPayload:
    secret: str | None = strawberry.field(
        description="The new secret, for the receiver. It cannot be read again. Null if there are errors."
    )
    errors: list[DeliverySecretError] = _errors()


@strawberry.type(description="The result of `clearDeliverySecret`.")
class ClearDeliverySecretPayload:
    remaining: int | None = strawberry.field(
        description="How many secrets sign the deliveries now. With 0, they are not signed. Null if there are errors."
    )
    errors: list[DeliverySecretError] = _errors()


async def rotate(info: Info, input: Annotated[RotateDeliverySecretInput, _input]) -> RotateDeliverySecretPayload:
    """Set the secret that signs the deliveries of an account."""
    context = info.context
    try:
        secret = await context.secrets.rotate_delivery_secret(context.principal, _plain(input.account_id), input.secret)
    except Refused as refused:
        return RotateDeliverySecretPayload(secret=None, errors=cast("Any", user_errors(refused)))
    return RotateDeliverySecretPayload(secret=secret, errors=[])


async def clear(info: Info, input: Annotated[ClearDeliverySecretInput, _input]) -> ClearDeliverySecretPayload:
    """Delete the secret that signs the deliveries of an account."""
    context = info.context
    try:
        remaining = await context.secrets.clear_delivery_secret(
            context.principal, _plain(input.account_id), only_old=input.only_old
        )
    except Refused as refused:
        return ClearDeliverySecretPayload(remaining=None, errors=cast("Any", user_errors(refused)))
    return ClearDeliverySecretPayload(remaining=remaining, errors=[])


def _plain(account_id: str | None) -> str | None:
    return None if account_id is None else plain(account_id, ACCOUNT)
