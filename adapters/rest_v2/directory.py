"""Accounts and users, as far as clients of the recordings ask for them (`docs/rest_v2.md`)."""

from typing import Any

from starlette.responses import Response

from adapters.rest_v2.exchange import Exchange
from adapters.rest_v2.faults import invalid
from adapters.rest_v2.needs import Choices
from adapters.rest_v2.plan import page_size_of
from adapters.rest_v2.reader import reader_of
from adapters.rest_v2.startkey import BadKeyError, decode, encode
from recordings.membership import Membership
from recordings.users import User


class Directory:
    """Answers `GET /accounts/{A}` and `GET /accounts/{A}/users`."""

    def __init__(self, *, members: Membership, choices: Choices) -> None:
        self._members = members
        self._choices = choices

    async def get_account(self, exchange: Exchange) -> Response:
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

    async def list_users(self, exchange: Exchange) -> Response:
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
