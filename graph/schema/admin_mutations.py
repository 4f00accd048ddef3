"""The mutations with which an administrator manages an account."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar, cast

import strawberry

from graph.schema import admin_inputs as inputs
from graph.schema.admin_fields import plain_account
from graph.schema.admin_types import (
    ApiKey,
    IngestAddress,
    RetentionRule,
    User,
    address_source,
    key_source,
    user_source,
)
from graph.schema.error_types import ManageAccountError, user_errors
from graph.schema.field_info import Info
from recordings.model.errors import Refused
from recordings.model.retention import Retention
from recordings.use_cases.administration import ManagedUser

_input = strawberry.argument(description="The input.")
Payload = TypeVar("Payload")


def _errors() -> Any:
    return strawberry.field(description="The errors. Empty if the mutation succeeded.")


@strawberry.type
class _RulesPayload:
    rules: list[RetentionRule] = strawberry.field(description="All rules now. Empty if there are errors.")
    errors: list[ManageAccountError] = _errors()


@strawberry.type(description="The result of `setRetentionRule`.")
class SetRetentionRulePayload(_RulesPayload):
    pass


@strawberry.type(description="The result of `clearRetentionRule`.")
class ClearRetentionRulePayload(_RulesPayload):
    pass


@strawberry.type(description="The result of `createApiKey`.")
class CreateApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(description="The key. Null if there are errors.")
    secret: str | None = strawberry.field(
        description="The secret, which clients send. It cannot be read again. Null if there are errors."
    )
    errors: list[ManageAccountError] = _errors()


@strawberry.type(description="The result of `revokeApiKey`.")
class RevokeApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(description="The key now. Null if there are errors.")
    errors: list[ManageAccountError] = _errors()


@strawberry.type(description="The result of `createIngestAddress`.")
class CreateIngestAddressPayload:
    ingest_address: IngestAddress | None = strawberry.field(description="The address. Null if there are errors.")
    url: str | None = strawberry.field(
        description="The URL, with its secret. It cannot be read again. Null if there are errors."
    )
    errors: list[ManageAccountError] = _errors()


@strawberry.type(description="The result of `revokeIngestAddress`.")
class RevokeIngestAddressPayload:
    ingest_address: IngestAddress | None = strawberry.field(description="The address now. Null if there are errors.")
    errors: list[ManageAccountError] = _errors()


@strawberry.type
class _UserPayload:
    user: User | None = strawberry.field(
        description="The user now, or the user that was deleted. Null if there are errors."
    )
    errors: list[ManageAccountError] = _errors()


@strawberry.type(description="The result of `createUser`.")
class CreateUserPayload(_UserPayload):
    pass


@strawberry.type(description="The result of `updateUser`.")
class UpdateUserPayload(_UserPayload):
    pass


@strawberry.type(description="The result of `setUserPassword`.")
class SetUserPasswordPayload(_UserPayload):
    pass


@strawberry.type(description="The result of `setUserDisabled`.")
class SetUserDisabledPayload(_UserPayload):
    pass


@strawberry.type(description="The result of `deleteUser`.")
class DeleteUserPayload(_UserPayload):
    pass


async def _payload(kind: type[Payload], action: Awaitable[dict[str, Any]], **without: Any) -> Payload:
    """Return a payload with the values of an action; or, if it is refused, with the errors and `without`."""
    make: Any = kind
    try:
        payload: Payload = make(**await action, errors=[])
    except Refused as refused:
        payload = make(**without, errors=cast("Any", user_errors(refused)))
    return payload


async def _set_rule(info: Info, input: Annotated[inputs.SetRetentionRuleInput, _input]) -> SetRetentionRulePayload:
    async def act() -> dict[str, Any]:
        rule = Retention(input.days, input.label)
        context = info.context
        return {
            "rules": await context.administration.set_rule(context.principal, plain_account(input.account_id), rule)
        }

    return await _payload(SetRetentionRulePayload, act(), rules=[])


async def _clear_rule(
    info: Info, input: Annotated[inputs.ClearRetentionRuleInput, _input]
) -> ClearRetentionRulePayload:
    async def act() -> dict[str, Any]:
        context, account_id = info.context, plain_account(input.account_id)
        return {"rules": await context.administration.clear_rule(context.principal, account_id, input.label)}

    return await _payload(ClearRetentionRulePayload, act(), rules=[])


async def _create_key(info: Info, input: Annotated[inputs.CreateApiKeyInput, _input]) -> CreateApiKeyPayload:
    async def act() -> dict[str, Any]:
        context, account_id = info.context, plain_account(input.account_id)
        new = await context.administration.create_key(
            context.principal, account_id, input.owner_id, frozenset(input.scopes)
        )
        return {"api_key": key_source(new.key), "secret": new.secret}

    return await _payload(CreateApiKeyPayload, act(), api_key=None, secret=None)


async def _revoke_key(info: Info, input: Annotated[inputs.RevokeApiKeyInput, _input]) -> RevokeApiKeyPayload:
    async def act() -> dict[str, Any]:
        context, account_id = info.context, plain_account(input.account_id)
        revoked = await context.administration.revoke_key(context.principal, account_id, input.id)
        return {"api_key": key_source(revoked)}

    return await _payload(RevokeApiKeyPayload, act(), api_key=None)


async def _create_address(
    info: Info, input: Annotated[inputs.CreateIngestAddressInput, _input]
) -> CreateIngestAddressPayload:
    async def act() -> dict[str, Any]:
        context, account_id = info.context, plain_account(input.account_id)
        new = await context.administration.create_ingest(context.principal, account_id, record_all=input.record_all)
        url = f"{context.base_url}/ingest/{new.address.id}/{new.secret}"
        return {"ingest_address": address_source(new.address), "url": url}

    return await _payload(CreateIngestAddressPayload, act(), ingest_address=None, url=None)


async def _revoke_address(
    info: Info, input: Annotated[inputs.RevokeIngestAddressInput, _input]
) -> RevokeIngestAddressPayload:
    async def act() -> dict[str, Any]:
        context, account_id = info.context, plain_account(input.account_id)
        revoked = await context.administration.revoke_ingest(context.principal, account_id, input.id)
        return {"ingest_address": address_source(revoked)}

    return await _payload(RevokeIngestAddressPayload, act(), ingest_address=None)


async def _user_payload(kind: type[Payload], action: Awaitable[ManagedUser]) -> Payload:
    async def act() -> dict[str, Any]:
        return {"user": user_source(await action)}

    return await _payload(kind, act(), user=None)


async def _create_user(info: Info, input: Annotated[inputs.CreateUserInput, _input]) -> CreateUserPayload:
    context = info.context
    texts = {"first_name": input.first_name, "last_name": input.last_name, "email": input.email}
    return await _user_payload(
        CreateUserPayload,
        context.administration.create_user(
            context.principal,
            plain_account(input.account_id),
            username=input.username,
            password=input.password,
            is_admin=input.is_admin,
            texts={name: value for name, value in texts.items() if value is not None},
        ),
    )


async def _update_user(info: Info, input: Annotated[inputs.UpdateUserInput, _input]) -> UpdateUserPayload:
    context, account_id = info.context, plain_account(input.account_id)
    action = context.administration.update_user(context.principal, account_id, input.id, input.changes())
    return await _user_payload(UpdateUserPayload, action)


async def _set_password(info: Info, input: Annotated[inputs.SetUserPasswordInput, _input]) -> SetUserPasswordPayload:
    context, account_id = info.context, plain_account(input.account_id)
    action = context.administration.set_password(context.principal, account_id, input.id, input.password)
    return await _user_payload(SetUserPasswordPayload, action)


async def _set_disabled(info: Info, input: Annotated[inputs.SetUserDisabledInput, _input]) -> SetUserDisabledPayload:
    context, account_id = info.context, plain_account(input.account_id)
    action = context.administration.set_disabled(context.principal, account_id, input.id, is_disabled=input.disabled)
    return await _user_payload(SetUserDisabledPayload, action)


async def _delete_user(info: Info, input: Annotated[inputs.DeleteUserInput, _input]) -> DeleteUserPayload:
    context, account_id = info.context, plain_account(input.account_id)
    return await _user_payload(
        DeleteUserPayload, context.administration.delete_user(context.principal, account_id, input.id)
    )


@strawberry.type
class AdminMutations:
    """The part of `Mutation` for administrators."""

    set_retention_rule: SetRetentionRulePayload = strawberry.mutation(
        resolver=_set_rule,
        description="Set how long the recordings with a label are kept. A server also applies the rule to the existing "
        "recordings, in the background. Needs the scopes ADMIN and DELETE.",
    )
    clear_retention_rule: ClearRetentionRulePayload = strawberry.mutation(
        resolver=_clear_rule,
        description="Remove the rule for a label. Its recordings follow the rule without a label, or are kept for "
        "good. Needs the scopes ADMIN and DELETE.",
    )
    create_api_key: CreateApiKeyPayload = strawberry.mutation(
        resolver=_create_key, description="Create an API key. Needs the scope ADMIN, and those of the key."
    )
    revoke_api_key: RevokeApiKeyPayload = strawberry.mutation(
        resolver=_revoke_key,
        description="Revoke an API key. No server accepts it after five seconds. Needs the scope ADMIN.",
    )
    create_ingest_address: CreateIngestAddressPayload = strawberry.mutation(
        resolver=_create_address,
        description="Create a URL to which a switch sends audio, as files or streams. Needs the scope ADMIN.",
    )
    revoke_ingest_address: RevokeIngestAddressPayload = strawberry.mutation(
        resolver=_revoke_address,
        description="Revoke an ingest address. No server accepts it after five seconds. Needs the scope ADMIN.",
    )
    create_user: CreateUserPayload = strawberry.mutation(
        resolver=_create_user,
        description="Create a user who signs in with a name and a password. Needs the scope ADMIN, and the scopes that "
        "the user gets: all for an administrator, else READ, LISTEN, CONTROL and DELETE.",
    )
    update_user: UpdateUserPayload = strawberry.mutation(
        resolver=_update_user,
        description="Change the names, the e-mail address or the role of a user. Needs the same scopes as "
        "`createUser`, for the role before and after the change.",
    )
    set_user_password: SetUserPasswordPayload = strawberry.mutation(
        resolver=_set_password,
        description="Replace the password of a user. This ends the user's tokens and signed URLs. Needs the same "
        "scopes as `createUser`.",
    )
    set_user_disabled: SetUserDisabledPayload = strawberry.mutation(
        resolver=_set_disabled,
        description="Disable or enable a user. Needs the same scopes as `createUser`.",
    )
    delete_user: DeleteUserPayload = strawberry.mutation(
        resolver=_delete_user,
        description="Delete a user. The user's recordings stay. Needs the same scopes as `createUser`.",
    )
