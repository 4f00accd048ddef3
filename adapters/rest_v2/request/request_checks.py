"""The checks before an operation, in their order (`docs/v2_contract.md`, section 4.5).

Body (400), expired token (401), path and method (404, 405), page of another site (403), type of the body (415), rate
limit (429), authentication (401), account (404, 403). Kazoo looks for the account before it authenticates. Here
authentication comes first, so that a client without a token cannot learn which accounts exist.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from adapters.http.token_bucket import TokenBuckets, rate_key
from adapters.rest_v2.adapter_functions import Authenticate
from adapters.rest_v2.request.cross_site import is_forgeable
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
    V2Error,
    bad_identifier,
    expired,
    forbidden,
    not_account_id,
    not_authenticated,
    too_many_requests,
)
from adapters.rest_v2.session.login_digests import LoginDigests
from adapters.rest_v2.v2_routes import find
from recordings.model.account import Account, Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Unauthenticated
from recordings.model.ids import is_hex_id
from recordings.ports.account_stores import AccountStore
from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.rules.access import can_access_account, no_account

IDENTITY: Final = "identity"
COST: Final = 1
LOGIN_COST: Final = 35
"""Tokens that a login costs."""
MAX_BUCKETS: Final = 16_384
"""Maximum number of (client, account) pairs that have a bucket."""
_TUNNELLED: Final = "POST"
_ID_LENGTH: Final = 32
_NO_ACCOUNT: Final = "-"
_CLIENT_LENGTH: Final = 64
"""Maximum characters of a client's address. A proxy may send a text of any length."""


class RequestChecks:
    """Checks a request, and fills in its credential, operation, principal and account."""

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        logins: LoginDigests,
        accounts: AccountStore,
        audit: Audit,
        buckets: TokenBuckets,
        principals: TokenBuckets,
        clock: Clock,
    ) -> None:
        self._authenticate = authenticate
        self._logins = logins
        self._accounts = accounts
        self._audit = audit
        self._buckets = buckets
        self._principals = principals
        self._clock = clock

    async def run(self, context: RequestContext) -> None:
        """Check a request and fill in its context.

        Raises:
            V2Error: a check failed.
        """
        await self._read(context)
        context.credential = find_credential(context.request.headers, context.parameters)
        self._check_expiry(context)
        method = _method(context)
        context.target = find(method, path_of(context.request))
        if is_forgeable(method, context.request.headers, context.credential):
            raise forbidden("a page of another site must send a token, not Basic credentials")
        _check_type(context)
        if context.operation.login:
            self._charge(context, LOGIN_COST)
            return
        if context.operation.public:
            self._charge(context, COST)
            return
        context.authenticated = await self._sign_in(context)
        context.account_id = context.argument("account_id") or context.principal.account_id
        if not _is_checked(context):
            context.found_account = await self._account(context)
        self._show_tokens(context)

    async def _read(self, context: RequestContext) -> None:
        query = read_query(context.request.scope["query_string"].decode("utf-8", "replace"))
        # The query comes first: it says whether an error about the body is indented.
        context.parameters = Parameters(query)
        body = await _body(context.request)
        if body and context.request.headers.get("content-encoding", IDENTITY).lower() != IDENTITY:
            raise V2Error(415, bare=True, headers={"accept-encoding": IDENTITY})
        envelope = read_body(body, context.request.headers.get("content-type", ""))
        context.parameters = Parameters(query, envelope)

    def _check_expiry(self, context: RequestContext) -> None:
        token = context.credential.token if context.credential else None
        if token is None:
            return
        context.show_token(token)
        if is_expired(token, self._clock.now()):
            raise expired()

    async def _sign_in(self, context: RequestContext) -> Principal:
        credential = context.credential
        principal = None
        # A valid token costs nothing in the client's bucket, which slows down guesses, requests without a token, and
        # password hashing.
        if credential is not None and credential.scheme is Scheme.TOKEN:
            principal = await self._principal(credential, context.client)
            if principal is not None and self._principals.take(rate_key(principal), COST):
                raise too_many_requests()
        if principal is None:
            self._charge(context, COST)
            if credential is None or credential.scheme is Scheme.TOKEN:
                raise not_authenticated()
            self._charge_hashing(context, credential)
            principal = await self._principal(credential, context.client)
        if principal is None:
            refused = Unauthenticated("unknown user or wrong password")
            self._audit.refuse(None, AuditAction.LOGIN, AuditObject("user"), refused)
            raise not_authenticated()
        return _check_account_header(context, principal)

    async def _principal(self, credential: Credential, client: str) -> Principal | None:
        if credential.scheme is Scheme.BASIC:
            return await self._logins.basic(*credential.basic, client) if credential.basic else None
        if credential.token is None:
            return None
        try:
            return await self._authenticate(credential.token)
        except Unauthenticated:
            return None

    async def _account(self, context: RequestContext) -> Account:
        principal, account_id = context.principal, context.account_id
        if len(account_id) != _ID_LENGTH:
            raise not_account_id(account_id)
        account = await self._accounts.account(account_id) if is_hex_id(account_id) else None
        if account is None:
            raise bad_identifier(account_id)
        if not can_access_account(principal, account.id, account.tree):
            self._audit.refuse(principal, AuditAction.READ, AuditObject("account", account.id), no_account(account.id))
            raise forbidden()
        return account

    def _charge(self, context: RequestContext, cost: int) -> None:
        wait = self._buckets.take(_bucket(context), cost)
        self._show_tokens(context, 0 if wait else cost)
        if wait:
            raise too_many_requests(wait if context.operation.login else None)

    def _charge_hashing(self, context: RequestContext, credential: Credential) -> None:
        """Also charge the client's own bucket for a password guess, because the client chooses the account."""
        guess = credential.basic
        if guess is None or not context.argument("account_id") or self._logins.remembers(*guess):
            return
        if self._buckets.take((_bucket(context)[0], ""), COST):
            raise too_many_requests()

    def _show_tokens(self, context: RequestContext, consumed: int | None = None) -> None:
        consumed = context.fields.consumed if consumed is None else consumed
        remaining = self._buckets.level(_bucket(context))
        context.fields = replace(context.fields, consumed=consumed, remaining=remaining)


def _bucket(context: RequestContext) -> tuple[str, str]:
    """Return the key of a request's bucket. All texts that are not account ids share one bucket."""
    account = context.argument("account_id")
    return context.client[:_CLIENT_LENGTH], account if not account or is_hex_id(account) else _NO_ACCOUNT


def _is_checked(context: RequestContext) -> bool:
    """Return true if the account exists and need not be read: the check of a token includes its own account."""
    is_token = context.credential is not None and context.credential.token is not None
    return is_token and not context.operation.needs_account and context.account_id == context.principal.account_id


def path_of(request: Request) -> str:
    """Return the path below the mount point, still percent-encoded: a segment may contain an encoded slash."""
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    segments = raw.decode("latin-1").partition("?")[0].strip("/").split("/")
    mounted = request.scope.get("root_path", "").strip("/")
    return "/".join(segments[len(mounted.split("/")) :] if mounted else segments)


def _method(context: RequestContext) -> str:
    """Return the method, or the `verb` of a `POST` (`docs/v2_contract.md`, section 5.2)."""
    method = context.request.method
    verb = context.parameters.in_query("verb") or context.parameters.envelope.get("verb")
    return verb.upper() if method == _TUNNELLED and isinstance(verb, str) else method


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large()
    return bytes(body)


def _check_type(context: RequestContext) -> None:
    content_type = media_type(context.request.headers.get("content-type", "application/json"))
    if context.operation.takes_body and content_type not in BODY_TYPES:
        raise V2Error(415, bare=True)


def _check_account_header(context: RequestContext, principal: Principal) -> Principal:
    account_id = context.request.headers.get("x-auth-account-id")
    if account_id is not None and account_id != principal.account_id:
        raise not_authenticated()
    return principal
