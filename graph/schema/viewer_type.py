"""The `Viewer` type: the credentials of the request."""

from typing import Any

import strawberry

from graph.schema.enums import Scope
from graph.schema.field_info import Info
from graph.schema.node_types import Account
from recordings.model.account import Principal


async def _resolve_account(principal: strawberry.Parent[Principal], info: Info) -> Any:
    return await info.context.recordings.account(principal)


def _resolve_scopes(principal: strawberry.Parent[Principal]) -> list[Scope]:
    return [scope for scope in Scope if scope in principal.scopes]


@strawberry.type(description="The credentials of the request: a token or an API key.")
class Viewer:
    account: Account = strawberry.field(
        resolver=_resolve_account, description="The account that the credentials belong to."
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="The id of the user (owner) that the credentials are limited to. They can then access only the "
        "recordings of this user. Null if they are not limited to a user."
    )
    scopes: list[Scope] = strawberry.field(
        resolver=_resolve_scopes, description="The scopes of the credentials. No scope includes another one."
    )
    name: str = strawberry.field(description="The name of the credentials, as shown in logs.")
