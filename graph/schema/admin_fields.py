"""The queries of an administrator: users, API keys, ingest addresses and retention rules."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar, cast

import strawberry
from strawberry import UNSET

from graph.schema.admin_types import (
    ApiKey,
    Connection,
    IngestAddress,
    ListPage,
    RetentionRule,
    User,
    address_source,
    key_source,
    user_source,
)
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.page_arguments import After, Before, First, Last, PageArguments
from graph.schema.partial_input import value_or_none
from graph.schema.policy_inputs import ACCOUNT_ID
from recordings.model import account as domain
from recordings.model.item_list import take_page
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
    return cast("Connection[User]", _page(info, TimeList.USERS, arguments, found, user_source))


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
    return cast("Connection[ApiKey]", _page(info, TimeList.KEYS, arguments, found, key_source))


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
    page = _page(info, TimeList.INGEST_ADDRESSES, arguments, found, address_source)
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


def _page(
    info: Info, kind: TimeList, arguments: PageArguments, found: Sequence[Listed], source: Callable[[Listed], Any]
) -> ListPage:
    """Return a page of a whole list. An account has few of these items."""

    def position(item: Listed) -> Position:
        return Position(item.created, item.id)

    cursors = info.context.cursors
    request = arguments.page_request(cursors, kind, None, info.context.max_page)
    page = take_page(found, request, position, descending=False) if request.limit else []
    edges = [{"node": source(item), "cursor": cursors.encode(kind, position(item))} for item in page]
    ends = {
        "hasNextPage": bool(page) and page[-1] != found[-1],
        "hasPreviousPage": bool(page) and page[0] != found[0],
    }
    return ListPage(edges, len(found), ends)
