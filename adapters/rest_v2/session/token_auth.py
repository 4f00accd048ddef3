"""Tokens: for an API key, for a user's credentials, and what one says (contract section 4.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from adapters.rest_v2.dependencies import Accounts, Choices, Identity, Issue
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.request_credential import claims_of
from adapters.rest_v2.request.v2_errors import (
    Fault,
    invalid,
    not_authenticated,
    not_listed,
    required,
    unknown_identifier,
    wrong_type,
)
from adapters.rest_v2.session.login_digests import LoginDigests
from recordings.model.account import Account, Principal
from recordings.model.errors import Unauthenticated
from recordings.model.user import Method

KEY_LENGTH: Final = 64
MAX_CREDENTIALS: Final = 64
_METHODS: Final = tuple(method.value for method in Method)


class Sessions:
    """Answers `api_auth`, `user_auth` and `token_auth`."""

    def __init__(
        self, *, identity: Identity, issue: Issue, logins: LoginDigests, accounts: Accounts, choices: Choices
    ) -> None:
        self._identity = identity
        self._issue = issue
        self._logins = logins
        self._accounts = accounts
        self._choices = choices

    async def api_auth(self, exchange: RequestContext) -> Response:
        """A token for an API key."""
        exchange.choices()
        key = read_key(exchange.parameters.body())
        try:
            principal = await self._identity.authenticate_token(key)
        except Unauthenticated as error:
            raise unknown_identifier(key) from error
        return await self._begin(exchange, principal, principal.owner_id)

    async def user_auth(self, exchange: RequestContext) -> Response:
        """A token for the digest of a user's name and password."""
        exchange.choices()
        credentials, method, names = read_credentials(exchange.parameters.body())
        user = await self._logins.find(credentials, method, **names)
        if user is None:
            raise not_authenticated()
        return await self._begin(exchange, self._logins.principal(user), user.id)

    async def get_token_auth(self, exchange: RequestContext) -> Response:
        """What the token says, and whose it is."""
        exchange.choices()
        claims = claims_of(exchange.credential.token or "") if exchange.credential else {}
        told = {name: claims[name] for name in ("iss", "exp", "iat", "method") if name in claims}
        return exchange.reply(told | session(exchange.account, exchange.principal.owner_id, self._choices))

    async def delete_token_auth(self, exchange: RequestContext) -> Response:
        """End the token. What is not ended by its holder (an API key, Basic) is answered alike, and holds on."""
        exchange.choices()
        token = exchange.credential.token if exchange.credential else None
        if token is not None:
            await self._identity.end_token(token)
        return exchange.reply({})

    async def _begin(self, exchange: RequestContext, principal: Principal, owner_id: str | None) -> Response:
        account = await self._accounts.account(principal.account_id)
        if account is None:
            raise not_authenticated()
        exchange.token_changed(self._issue(principal, self._choices.token_seconds))
        return exchange.reply(session(account, owner_id, self._choices), status=201)


def session(account: Account, owner_id: str | None, choices: Choices) -> dict[str, Any]:
    """What a client is told of the account that it is in. What this service has no part of is said to be off."""
    told: dict[str, Any] = {
        "account_id": account.id,
        "owner_id": owner_id,
        "account_name": account.name,
        "apps": [],
        "language": choices.language,
        "reseller_id": account.tree[0] if account.tree else account.id,
        "is_reseller": False,
        "is_master_account": False,
        "cluster_id": "",
        "capabilities": {},
        "ui_config": {},
    }
    return {name: value for name, value in told.items() if value is not None}


def read_key(data: Mapping[str, Any]) -> str:
    """The API key of a request. Raises `Fault` unless it is there, of its length and alone."""
    _check_names(data, ("api_key",))
    return _text(data, "api_key", KEY_LENGTH, KEY_LENGTH)


def read_credentials(data: Mapping[str, Any]) -> tuple[str, Method, dict[str, str]]:
    """The credentials of a request, their method, and how their account is named. Raises `Fault`."""
    credentials = _text(data, "credentials", 1, MAX_CREDENTIALS)
    method = data.get("method", Method.MD5.value)
    if method not in _METHODS:
        raise not_listed("method", _METHODS, method)
    wanted = {"name": "account_name", "realm": "account_realm", "number": "phone_number"}
    names = {short: data[name] for short, name in wanted.items() if isinstance(data.get(name), str)}
    return credentials, Method(method), names


def _check_names(data: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [name for name in data if name not in names]
    if unknown:
        raise invalid(unknown[0], "additionalProperties", "Extra key is not allowed")


def _text(data: Mapping[str, Any], name: str, least: int, most: int) -> str:
    if name not in data:
        raise required(name)
    value = data[name]
    if not isinstance(value, str):
        raise wrong_type(name, "string", value)
    if len(value) < least:
        raise _length(name, "minLength", f"String must be at least {least} characters", least)
    if len(value) > most:
        raise _length(name, "maxLength", f"String must not be more than {most} characters", most)
    return value


def _length(name: str, rule: str, message: str, target: int) -> Fault:
    return invalid(name, rule, message, target=target)
