"""From the headers of a request to the principal who makes it."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jwt

from adapters.identity.claims import ISSUER_ALGORITHMS, refused
from adapters.identity.hashed_credentials import Credentials
from adapters.identity.revoked_tokens import Revocations
from adapters.identity.tokens import Tokens
from recordings.model.account import Principal
from recordings.model.errors import Unauthenticated
from recordings.ports.account_stores import AccountStore

if TYPE_CHECKING:
    # It brings an HTTP client along: loaded by whoever makes one.
    from adapters.identity.jwks_issuer import Issuer

MAX_TOKEN: Final = 8_192
_API_KEY: Final = re.compile(r"[0-9a-f]{64}")
_CACHED: Final = 4_096


class Identity:
    """Tells who makes a request, by a token of ours, a token of the issuer (if there is one) or an API key."""

    def __init__(
        self,
        store: AccountStore,
        tokens: Tokens,
        credentials: Credentials,
        issuer: "Issuer | None" = None,
        revocations: Revocations | None = None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._credentials = credentials
        self._revocations = revocations or Revocations(store)
        self._issuer = issuer
        self._accounts: dict[str, None] = {}

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal of a request, by its `X-Auth-Token` or `Authorization: Bearer`.

        `headers.items()` may give a name more than once; names are compared without regard to case.

        Raises:
            Unauthenticated: there are no credentials, or they are not valid.
        """
        return await self.authenticate_token(token_in(headers))

    async def authenticate_token(self, token: str) -> Principal:
        """The principal of a token or an API key, however it came.

        Raises:
            Unauthenticated: it is not valid.
        """
        if len(token) > MAX_TOKEN:
            raise refused()
        principal = await self._principal(token)
        if principal is None or not await self._exists(principal.account_id):
            raise refused()
        return principal

    async def end_token(self, token: str) -> bool:
        """End a token of ours before its time; this process knows at once, others within seconds.

        `False` for anything else: an API key is revoked by whoever administers it, and an issuer's token by its issuer.
        """
        if len(token) > MAX_TOKEN or _API_KEY.fullmatch(token):
            return False
        try:
            read = self._tokens.read(token)
        except Unauthenticated:
            return False
        await self._revocations.end(read)
        return True

    async def ingest(self, address_id: str, secret: str) -> Principal | None:
        """The principal of an ingest address; `None` for one that is unknown or revoked, or another's secret."""
        return await self._credentials.ingest(address_id, secret)

    async def _principal(self, token: str) -> Principal | None:
        if _API_KEY.fullmatch(token):
            return await self._credentials.key(token)
        read = self._tokens.known(token)
        if read is None:
            header = _header(token)
            # The header only chooses who checks the token; each checker accepts its own algorithms with its own keys.
            if self._issuer is not None and header.get("alg") in ISSUER_ALGORITHMS:
                return await self._issuer.read(token, header)
            read = self._tokens.read(token)
        if await self._revocations.ended(read):
            raise refused()
        return read.principal

    async def _exists(self, account_id: str) -> bool:
        # Accounts are never removed, so one that was seen stays.
        if account_id in self._accounts:
            return True
        if await self._store.account(account_id) is None:
            return False
        if len(self._accounts) >= _CACHED:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[account_id] = None
        return True


def token_in(headers: Mapping[str, str]) -> str:
    """The one credential in the headers. Two different ones are refused: which of them was meant is a guess.

    Raises:
        Unauthenticated: there is none, or more than one.
    """
    found = {token for name, value in headers.items() if (token := _token(name.lower(), value))}
    if not found:
        message = "send a token or an API key as X-Auth-Token or Authorization: Bearer"
        raise Unauthenticated(message)
    if len(found) > 1:
        message = "send one token or API key: there are several different ones"
        raise Unauthenticated(message)
    return found.pop()


def _token(name: str, value: str) -> str:
    if name == "x-auth-token":
        return value.strip()
    scheme, _, rest = value.strip().partition(" ")
    return rest.strip() if name == "authorization" and scheme.lower() == "bearer" else ""


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise refused() from error
