"""The lists of users and accounts, and the storage that recording clients need (`docs/v2_contract.md`, section 9)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from starlette.responses import Response

from adapters.rest_v2.listing.list_query import read_page_size
from adapters.rest_v2.listing.start_key import BadKeyError, decode, encode
from adapters.rest_v2.request.read_principal import read_principal
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import escaped, invalid
from adapters.rest_v2.session.storage_plan import storage_plan
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import Account, Scope
from recordings.model.user import User
from recordings.rules.access import require_scope
from recordings.use_cases.users import ManageUsers

_UI_METADATA: Final = "ui_metadata"
"""The key that Monster UI adds to every body."""
Item = TypeVar("Item")
Key = tuple[str, str]


class AccountEndpoint:
    """Serves the lists of users and accounts, and the storage of an account."""

    def __init__(self, *, users: ManageUsers, settings: V2Settings) -> None:
        self._users = users
        self._settings = settings

    async def list_users(self, context: RequestContext) -> Response:
        """List the users of an account, sorted by name."""
        context.accepted_types()
        users = await self._users.users(read_principal(context, self._settings), context.account.id)
        return reply_with_page(context, users, _user_key, user_item)

    async def list_children(self, context: RequestContext) -> Response:
        """List the accounts directly below an account, sorted by name."""
        return await self._list_accounts(context, direct=True)

    async def list_descendants(self, context: RequestContext) -> Response:
        """List all accounts below an account, sorted by name."""
        return await self._list_accounts(context, direct=False)

    async def get_storage(self, context: RequestContext) -> Response:
        """Return the storage plan that describes the account's media store."""
        context.accepted_types()
        require_scope(context.principal, Scope.READ)
        return context.reply(storage_plan(context.account, self._settings.storage))

    async def put_storage(self, context: RequestContext) -> Response:
        """Return the same plan. Only an operator can set another media store, so a request for one is 400."""
        context.accepted_types()
        require_scope(context.principal, Scope.READ)
        plan = storage_plan(context.account, self._settings.storage)
        for name, value in context.parameters.body().items():
            if name != _UI_METADATA and value != plan.get(name):
                message = "An operator sets the media store, with: recordings account set ID --media URL"
                raise invalid(escaped(name), "error", message)
        return context.reply(plan, status=201)

    async def _list_accounts(self, context: RequestContext, *, direct: bool) -> Response:
        context.accepted_types()
        found = await self._users.accounts_below(context.principal, context.account.id, direct=direct)
        return reply_with_page(context, found, _account_key, _account_item)


def reply_with_page(
    context: RequestContext, items: Sequence[Item], key: Callable[[Item], Key], shown: Callable[[Item], dict[str, Any]]
) -> Response:
    """Return a page of items, sorted by their key."""
    size = read_page_size(context.parameters)
    first = _first_key(context.parameters.find("start_key"))
    rest = sorted((item for item in items if key(item) >= first), key=key)
    page = rest if size is None else rest[:size]
    paging: dict[str, Any] = {}
    if size is not None:
        paging = {"page_size": len(page), "start_key": encode(first)}
    if len(rest) > len(page):
        paging["next_start_key"] = encode(key(rest[len(page)]))
    return context.reply([shown(item) for item in page], paging=paging)


def _first_key(key: str | None) -> Key:
    if not key:
        return "", ""
    try:
        name, identity = decode(key)
    except (BadKeyError, ValueError) as error:
        raise invalid("start_key", "invalid", "not a start key of this list", value=key[:80]) from error
    return str(name), str(identity)


def _user_key(user: User) -> Key:
    return user.username.lower(), user.id


def user_item(user: User) -> dict[str, Any]:
    """Return the document of a user, as a list has it."""
    return {
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "features": [],
        "priv_level": user.priv_level.value,
    }


def _account_key(account: Account) -> Key:
    return account.name.lower(), account.id


def _account_item(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name, "realm": account.realm, "tree": list(account.tree)}
