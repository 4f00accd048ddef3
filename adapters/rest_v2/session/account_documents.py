"""The documents of accounts and users that recording clients need (`docs/v2_contract.md`, section 9)."""

from typing import Any

from starlette.responses import Response

from adapters.rest_v2.listing.list_query import read_page_size
from adapters.rest_v2.listing.start_key import BadKeyError, decode, encode
from adapters.rest_v2.request.read_principal import read_principal
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import invalid
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.user import User
from recordings.use_cases.users import ManageUsers


class AccountEndpoint:
    """Serves `GET /accounts/{A}` and `GET /accounts/{A}/users`."""

    def __init__(self, *, users: ManageUsers, settings: V2Settings) -> None:
        self._users = users
        self._settings = settings

    async def get_account(self, context: RequestContext) -> Response:
        """Return the document of an account."""
        context.accepted_types()
        account = context.account
        document = {
            "id": account.id,
            "name": account.name,
            "realm": account.realm,
            "language": self._settings.language,
            "timezone": self._settings.timezone,
        }
        return context.reply(document)

    async def list_users(self, context: RequestContext) -> Response:
        """List the users of an account, sorted by name."""
        context.accepted_types()
        size = read_page_size(context.parameters)
        first = _first_key(context.parameters.find("start_key"))
        users = await self._users.users(read_principal(context, self._settings), context.account.id)
        rest = sorted((user for user in users if _key(user) >= first), key=_key)
        shown = rest if size is None else rest[:size]
        paging: dict[str, Any] = {}
        if size is not None:
            paging = {"page_size": len(shown), "start_key": encode(first)}
        if len(rest) > len(shown):
            paging["next_start_key"] = encode(_key(rest[len(shown)]))
        return context.reply([_item(user) for user in shown], paging=paging)


def _key(user: User) -> tuple[str, str]:
    return user.username.lower(), user.id


def _first_key(key: str | None) -> tuple[str, str]:
    if not key:
        return "", ""
    try:
        name, identity = decode(key)
    except (BadKeyError, ValueError) as error:
        raise invalid("start_key", "invalid", "not a start key of this list", value=key[:80]) from error
    return str(name), str(identity)


def _item(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "features": [],
        "priv_level": user.priv_level.value,
    }
