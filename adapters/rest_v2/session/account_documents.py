"""Accounts and users, as far as clients of the recordings ask for them (`docs/rest_v2.md`)."""

from typing import Any

from starlette.responses import Response

from adapters.rest_v2.dependencies import Choices
from adapters.rest_v2.listing.list_query import page_size_of
from adapters.rest_v2.listing.start_key import BadKeyError, decode, encode
from adapters.rest_v2.request.read_principal import reader_of
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import invalid
from recordings.model.user import User
from recordings.use_cases.users import ManageUsers


class Directory:
    """Answers `GET /accounts/{A}` and `GET /accounts/{A}/users`."""

    def __init__(self, *, members: ManageUsers, choices: Choices) -> None:
        self._members = members
        self._choices = choices

    async def get_account(self, exchange: RequestContext) -> Response:
        """An account's document."""
        exchange.choices()
        account = exchange.account
        document = {
            "id": account.id,
            "name": account.name,
            "realm": account.realm,
            "language": self._choices.language,
            "timezone": self._choices.timezone,
        }
        return exchange.reply(document)

    async def list_users(self, exchange: RequestContext) -> Response:
        """The users of an account, by name."""
        exchange.choices()
        size = page_size_of(exchange.parameters)
        begin = _begin(exchange.parameters.find("start_key"))
        users = await self._members.users(reader_of(exchange, self._choices), exchange.account.id)
        rest = sorted((user for user in users if _key(user) >= begin), key=_key)
        shown = rest if size is None else rest[:size]
        paging: dict[str, Any] = {}
        if size is not None:
            paging = {"page_size": len(shown), "start_key": encode(begin)}
        if len(rest) > len(shown):
            paging["next_start_key"] = encode(_key(rest[len(shown)]))
        return exchange.reply([_item(user) for user in shown], paging=paging)


def _key(user: User) -> tuple[str, str]:
    return user.username.lower(), user.id


def _begin(key: str | None) -> tuple[str, str]:
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
