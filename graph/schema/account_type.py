"""Accounts, and who is asking."""

from collections.abc import Sequence
from typing import Any, cast

import strawberry

from graph.schema.call_type import LiveCall
from graph.schema.connection import RecordingConnection, resolve_recordings
from graph.schema.field_info import Info
from graph.schema.global_id import Node
from graph.schema.resolver_context import Context
from recordings.model import account as access


def parent_id_of(account: access.Account, context: Context) -> strawberry.ID | None:
    """The id of the account right above, if it is in reach: what is above the asker's own account is not."""
    if account.parent_id is None or account.id == context.principal.account_id:
        return None
    return strawberry.ID(account.parent_id)


def _resolve_parent_id(account: strawberry.Parent[access.Account], info: Info) -> strawberry.ID | None:
    return parent_id_of(account, info.context)


async def _resolve_calls(account: strawberry.Parent[access.Account], info: Info) -> list[LiveCall]:
    context = info.context
    calls: Sequence[Any] = await context.recordings.calls(context.principal, account.id)
    return list(calls)


@strawberry.type(description="An account in the tree of accounts.")
class Account(Node):
    id: strawberry.ID = strawberry.field(name="plainId", description="The plain id, as the v2 API knows it.")
    name: str = strawberry.field(description="Its name.")
    parent_id: strawberry.ID | None = strawberry.field(
        resolver=_resolve_parent_id,
        description="The plain id of the account right above it; null where that is out of reach.",
    )
    recordings: RecordingConnection = strawberry.field(
        resolver=resolve_recordings, description="The recordings of this very account, none of its descendants'."
    )
    calls: list[LiveCall] = strawberry.field(
        resolver=_resolve_calls, description="Live calls that could be recorded now, newest first, at most 100."
    )

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, access.Account)


async def _resolve_account(principal: strawberry.Parent[access.Principal], info: Info) -> Account:
    # GraphQL's account is read from the domain's.
    return cast("Account", await info.context.recordings.account(principal))


def _resolve_scopes(principal: strawberry.Parent[access.Principal]) -> list[access.Scope]:
    return [scope for scope in access.Scope if scope in principal.scopes]


@strawberry.type(description="Who is asking.")
class Viewer:
    account: Account = strawberry.field(resolver=_resolve_account, description="The account of the credentials.")
    owner_id: strawberry.ID | None = strawberry.field(
        description="The user that the credentials are bound to: nobody else's recordings are in reach. Null if they "
        "are bound to none."
    )
    scopes: list[access.Scope] = strawberry.field(
        resolver=_resolve_scopes, description="What the credentials may do. No scope implies another one."
    )
    name: str = strawberry.field(description="The name of the credentials in origins and logs.")
