"""What a request has to pass before its operation begins, in this order (contract section 4.5).

Body (400), expired token (401), path and method (404, 405), the body's type (415), rate limit (429), authentication
(401), account (404, 403). The reference looks for the account before it asks who wants to know; here it is the other
way round, so that nobody without a token learns which accounts there are.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from adapters.http.token_bucket import TokenBuckets
from adapters.rest_v2.dependencies import Accounts, Identity
from adapters.rest_v2.request.parameters import (
    BODY_TYPES,
    MAX_BODY,
    Parameters,
    media_type,
    read_body,
    read_query,
    too_large,
)
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.request_credential import Credential, Scheme, find_credential, is_expired
from adapters.rest_v2.request.v2_errors import (
    Fault,
    bad_identifier,
    expired,
    forbidden,
    not_account_id,
    not_authenticated,
    too_many_requests,
)
from adapters.rest_v2.session.login_digests import LoginDigests
from adapters.rest_v2.v2_routes import find
from recordings.model.account import Account, Principal, can_access_account
from recordings.model.errors import Unauthenticated
from recordings.model.ids import is_hex_id
from recordings.ports.process import Clock

COST: Final = 1
LOGIN_COST: Final = 35
"""Tokens that a login costs."""
MAX_BUCKETS: Final = 16_384
"""The most (client, account) pairs that have a bucket."""
_TUNNELLED: Final = "POST"
_ID_LENGTH: Final = 32
_NO_ACCOUNT: Final = "-"
_CLIENT_LENGTH: Final = 64
"""Characters of an address; where a proxy says it, it says what it likes."""


class Gate:
    """Lets requests in: finds out what is asked for, who asks, and where."""

    def __init__(
        self, *, identity: Identity, logins: LoginDigests, accounts: Accounts, buckets: TokenBuckets, clock: Clock
    ) -> None:
        self._identity = identity
        self._logins = logins
        self._accounts = accounts
        self._buckets = buckets
        self._clock = clock

    async def enter(self, exchange: RequestContext) -> None:
        """Fill an exchange in.

        Raises:
            Fault: it goes no further than this.
        """
        await self._read(exchange)
        exchange.credential = find_credential(exchange.request.headers, exchange.parameters)
        self._check_expiry(exchange)
        exchange.target = find(_method(exchange), path_of(exchange.request))
        _check_type(exchange)
        if exchange.operation.login:
            self._charge(exchange, LOGIN_COST)
            return
        exchange.signed_in = await self._sign_in(exchange)
        exchange.at = await self._account(exchange)
        self._tell(exchange)

    async def _read(self, exchange: RequestContext) -> None:
        query = read_query(exchange.request.scope["query_string"].decode("utf-8", "replace"))
        # A refusal of the body may have to be indented, so the query is there first.
        exchange.parameters = Parameters(query)
        envelope = read_body(await _body(exchange.request), exchange.request.headers.get("content-type", ""))
        exchange.parameters = Parameters(query, envelope)

    def _check_expiry(self, exchange: RequestContext) -> None:
        token = exchange.credential.token if exchange.credential else None
        if token is None:
            return
        exchange.token_changed(token)
        if is_expired(token, self._clock.now()):
            raise expired()

    async def _sign_in(self, exchange: RequestContext) -> Principal:
        credential = exchange.credential
        principal = None
        # A token that holds costs nothing: those who have none, guess, or make us hash, are slowed down.
        if credential is not None and credential.scheme is Scheme.TOKEN:
            principal = await self._principal(credential)
        if principal is None:
            self._charge(exchange, COST)
            if credential is None or credential.scheme is Scheme.TOKEN:
                raise not_authenticated()
            self._charge_hashing(exchange, credential)
            principal = await self._principal(credential)
        if principal is None:
            raise not_authenticated()
        return _claimed(exchange, principal)

    async def _principal(self, credential: Credential) -> Principal | None:
        if credential.scheme is Scheme.BASIC:
            return await self._logins.basic(*credential.basic) if credential.basic else None
        if credential.token is None:
            return None
        try:
            return await self._identity.authenticate_token(credential.token)
        except Unauthenticated:
            return None

    async def _account(self, exchange: RequestContext) -> Account:
        principal = exchange.principal
        given = exchange.argument("account_id") or principal.account_id
        if len(given) != _ID_LENGTH:
            raise not_account_id(given)
        account = await self._accounts.account(given) if is_hex_id(given) else None
        if account is None:
            raise bad_identifier(given)
        if not can_access_account(principal, account):
            raise forbidden()
        return account

    def _charge(self, exchange: RequestContext, cost: int) -> None:
        wait = self._buckets.take(_bucket(exchange), cost)
        self._tell(exchange, 0 if wait else cost)
        if wait:
            raise too_many_requests()

    def _charge_hashing(self, exchange: RequestContext, credential: Credential) -> None:
        """A guess of a password is paid by the client, too: the account in the path is its own choice."""
        guess = credential.basic
        if guess is None or not exchange.argument("account_id") or self._logins.remembers(*guess):
            return
        if self._buckets.take((_bucket(exchange)[0], ""), COST):
            raise too_many_requests()

    def _tell(self, exchange: RequestContext, consumed: int | None = None) -> None:
        consumed = exchange.meta.consumed if consumed is None else consumed
        remaining = self._buckets.level(_bucket(exchange))
        exchange.meta = replace(exchange.meta, consumed=consumed, remaining=remaining)


def _bucket(exchange: RequestContext) -> tuple[str, str]:
    """What a client pays out of: of its own choice is nothing but which account, and what is none is one for all."""
    account = exchange.argument("account_id")
    return exchange.client[:_CLIENT_LENGTH], account if not account or is_hex_id(account) else _NO_ACCOUNT


def path_of(request: Request) -> str:
    """The path below where the app is mounted, as it came: a segment may have an encoded slash."""
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    segments = raw.decode("latin-1").partition("?")[0].strip("/").split("/")
    mounted = request.scope.get("root_path", "").strip("/")
    return "/".join(segments[len(mounted.split("/")) :] if mounted else segments)


def _method(exchange: RequestContext) -> str:
    """The method, or the one that a `POST` names in `verb` (section 5)."""
    method = exchange.request.method
    verb = exchange.parameters.in_query("verb") or exchange.parameters.envelope.get("verb")
    return verb.upper() if method == _TUNNELLED and isinstance(verb, str) else method


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large()
    return bytes(body)


def _check_type(exchange: RequestContext) -> None:
    given = media_type(exchange.request.headers.get("content-type", "application/json"))
    if exchange.operation.takes_body and given not in BODY_TYPES:
        raise Fault(415, bare=True)


def _claimed(exchange: RequestContext, principal: Principal) -> Principal:
    claimed = exchange.request.headers.get("x-auth-account-id")
    if claimed is not None and claimed != principal.account_id:
        raise not_authenticated()
    return principal
