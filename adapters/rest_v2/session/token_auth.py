"""Tokens for API keys and users, and their description (`docs/v2_contract.md`, section 4.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from adapters.rest_v2.adapter_functions import Authenticate, EndToken, IssueToken
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.request_credential import claims_of
from adapters.rest_v2.request.v2_errors import (
    V2Error,
    escaped,
    invalid,
    not_authenticated,
    not_in_enum,
    required,
    unknown_identifier,
    wrong_type,
)
from adapters.rest_v2.session.login_digests import LoginDigests
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import Account, Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Unauthenticated
from recordings.model.user import Method
from recordings.ports.account_stores import AccountStore
from recordings.ports.audit import Audit

KEY_LENGTH: Final = 64
MAX_CREDENTIALS: Final = 64
_METHODS: Final = tuple(method.value for method in Method)


class AuthEndpoint:
    """Serves `api_auth`, `user_auth` and `token_auth`."""

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        end_token: EndToken,
        issue_token: IssueToken,
        logins: LoginDigests,
        accounts: AccountStore,
        audit: Audit,
        settings: V2Settings,
    ) -> None:
        self._authenticate = authenticate
        self._end_token = end_token
        self._issue_token = issue_token
        self._logins = logins
        self._accounts = accounts
        self._audit = audit
        self._settings = settings

    async def api_auth(self, context: RequestContext) -> Response:
        """Return a token for an API key."""
        context.accepted_types()
        key = read_key(context.parameters.body())
        try:
            principal = await self._authenticate(key)
        except Unauthenticated as error:
            raise unknown_identifier(key) from error
        return await self._start_session(context, principal, principal.owner_id)

    async def user_auth(self, context: RequestContext) -> Response:
        """Return a token for the digest of a user's name and password."""
        context.accepted_types()
        credentials, method, names = read_credentials(context.parameters.body())
        user = await self._logins.find(credentials, method, context.client, **names)
        if user is None:
            error = Unauthenticated("unknown user or wrong password")
            self._audit.refuse(None, AuditAction.LOGIN, AuditObject("user"), error)
            raise not_authenticated() from error
        return await self._start_session(context, self._logins.principal(user), user.id)

    async def get_token_auth(self, context: RequestContext) -> Response:
        """Describe the token and its account."""
        context.accepted_types()
        claims = claims_of(context.credential.token or "") if context.credential else {}
        shown = {name: claims[name] for name in ("iss", "exp", "iat", "method") if name in claims}
        return context.reply(shown | session(context.account, context.principal.owner_id, self._settings))

    async def delete_token_auth(self, context: RequestContext) -> Response:
        """End the token. An API key and Basic credentials get the same response, but stay valid."""
        context.accepted_types()
        token = context.credential.token if context.credential else None
        if token is not None:
            principal = context.principal
            target = AuditObject("token", principal.token_id, principal.account_id)
            await self._audit.record(principal, AuditAction.LOGOUT, target)
            await self._end_token(token)
        return context.reply({})

    async def _start_session(self, context: RequestContext, principal: Principal, owner_id: str | None) -> Response:
        account = await self._accounts.account(principal.account_id)
        if account is None:
            raise not_authenticated()
        target = AuditObject("user" if principal.user_id else "key", principal.user_id or principal.key_id, account.id)
        await self._audit.record(principal, AuditAction.LOGIN, target)
        context.show_token(self._issue_token(principal, self._settings.token_seconds))
        return context.reply(session(account, owner_id, self._settings), status=201)


def session(account: Account, owner_id: str | None, settings: V2Settings) -> dict[str, Any]:
    """Return the description of a client's account. Features that this service does not have are empty or false."""
    values: dict[str, Any] = {
        "account_id": account.id,
        "owner_id": owner_id,
        "account_name": account.name,
        "apps": [],
        "language": settings.language,
        "reseller_id": account.tree[0] if account.tree else account.id,
        "is_reseller": False,
        "is_master_account": False,
        "cluster_id": "",
        "capabilities": {},
        "ui_config": {},
    }
    return {name: value for name, value in values.items() if value is not None}


def read_key(data: Mapping[str, Any]) -> str:
    """Return the API key of a request. Raises `V2Error` for a missing key, a wrong length or another name."""
    _check_names(data, ("api_key",))
    return _text(data, "api_key", KEY_LENGTH, KEY_LENGTH)


def read_credentials(data: Mapping[str, Any]) -> tuple[str, Method, dict[str, str]]:
    """Return the credentials of a request, their method, and the names of their account. Raises `V2Error`."""
    credentials = _text(data, "credentials", 1, MAX_CREDENTIALS)
    method = data.get("method", Method.MD5.value)
    if method not in _METHODS:
        raise not_in_enum("method", _METHODS, method)
    # The first of two names that has a value counts.
    wanted = {"name": ("account_name",), "realm": ("account_realm", "realm"), "number": ("phone_number",)}
    first = {short: next((data[name] for name in names if data.get(name)), None) for short, names in wanted.items()}
    names = {short: value for short, value in first.items() if isinstance(value, str)}
    return credentials, Method(method), names


def _check_names(data: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [name for name in data if name not in names]
    if unknown:
        raise invalid(escaped(unknown[0]), "additionalProperties", "Extra key is not allowed")


def _text(data: Mapping[str, Any], name: str, minimum: int, maximum: int) -> str:
    if name not in data:
        raise required(name)
    value = data[name]
    if not isinstance(value, str):
        raise wrong_type(name, "string", value)
    if len(value) < minimum:
        raise _length(name, "minLength", f"String must be at least {minimum} characters", minimum)
    if len(value) > maximum:
        raise _length(name, "maxLength", f"String must not be more than {maximum} characters", maximum)
    return value


def _length(name: str, rule: str, message: str, target: int) -> V2Error:
    return invalid(name, rule, message, target=target)
