"""The queries of an administrator: users, API keys, ingest addresses and retention rules."""

from typing import Annotated, TypeVar, cast

import strawberry
from strawberry import UNSET

from graph.schema.admin_types import (
    ApiKey,
    IngestAddress,
    RetentionRule,
    User,
    address_source,
    key_source,
    user_source,
)
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.list_page import Connection, cut_page
from graph.schema.page_arguments import After, Before, First, Last, PageArguments
from graph.schema.partial_input import value_or_none
from graph.schema.policy_inputs import ACCOUNT_ID
from recordings.model import account as domain
from recordings.model.query import Position
from recordings.rules.cursor import TimeList
from recordings.use_cases.administration import ManagedUser

AccountId = Annotated[strawberry.ID | None, strawberry.argument(description=ACCOUNT_ID)]
Listed = TypeVar("Listed", ManagedUser, domain.ApiKey, domain.IngestAddress)


async def resolve_users(
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    account_id: AccountId = UNSET,
) -> Connection[User]:
    """Return a page of the users of an account."""
    context = info.context
    found = await context.administration.users(context.principal, plain_account(account_id))
    arguments = PageArguments.of(first, after, last, before)
    return cast("Connection[User]", cut_page(info, TimeList.USERS, arguments, found, _position, user_source))


async def resolve_keys(
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    account_id: AccountId = UNSET,
) -> Connection[ApiKey]:
    """Return a page of the API keys of an account."""
    context = info.context
    found = await context.administration.keys(context.principal, plain_account(account_id))
    arguments = PageArguments.of(first, after, last, before)
    return cast("Connection[ApiKey]", cut_page(info, TimeList.KEYS, arguments, found, _position, key_source))


async def resolve_addresses(
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    account_id: AccountId = UNSET,
) -> Connection[IngestAddress]:
    """Return a page of the ingest addresses of an account."""
    context = info.context
    found = await context.administration.ingest_addresses(context.principal, plain_account(account_id))
    arguments = PageArguments.of(first, after, last, before)
    page = cut_page(info, TimeList.INGEST_ADDRESSES, arguments, found, _position, address_source)
    return cast("Connection[IngestAddress]", page)


async def resolve_rules(info: Info, account_id: AccountId = UNSET) -> list[RetentionRule]:
    """Return the retention rules of an account."""
    context = info.context
    rules = await context.administration.rules(context.principal, plain_account(account_id))
    return cast("list[RetentionRule]", list(rules))


def plain_account(account_id: str | None) -> str | None:
    """Return the plain id of an account that a client named, or `None`."""
    given = value_or_none(account_id)
    return None if given is None else plain(given, ACCOUNT)


def _position(item: Listed) -> Position:
    return Position(item.created, item.id)
