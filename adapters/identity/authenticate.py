"""Authentication of a request by its headers."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jwt

from adapters.identity.claims import ISSUER_ALGORITHMS, invalid_credentials
from adapters.identity.hashed_credentials import Credentials
from adapters.identity.revoked_tokens import Revocations
from adapters.identity.tokens import Tokens
from recordings.model.account import Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Unauthenticated
from recordings.model.ids import is_hex_id
from recordings.ports.audit import Audit
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.access_control import AccessControl

if TYPE_CHECKING:
    # This module imports an HTTP client, so it is loaded only where an issuer is used.
    from adapters.identity.jwks_issuer import Issuer

MAX_TOKEN: Final = 8_192
"""Characters of a token."""
_API_KEY: Final = re.compile(r"[0-9a-f]{64}")


class Identity:
    """Finds the principal of a request by a token of this service, a token of an external issuer, or an API key."""

    def __init__(
        self,
        store: MetadataStore,
        tokens: Tokens,
        credentials: Credentials,
        issuer: "Issuer | None" = None,
        revocations: Revocations | None = None,
        access: AccessControl | None = None,
        audit: Audit | None = None,
    ) -> None:
        """Without `audit`, refused credentials leave no entry in the audit trail."""
        self._tokens = tokens
        self._credentials = credentials
        self._revocations = revocations or Revocations(store)
        self._issuer = issuer
        self._access = access or AccessControl(store)
        self._audit = audit

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return the principal of a request with `X-Auth-Token` or `Authorization: Bearer`.

        Args:
            headers: the request's headers. `items()` may return a name more than once. Case does not matter.

        Raises:
            Unauthenticated: the credentials are missing or not valid.
        """
        return await self.authenticate_token(token_in(headers))

    async def authenticate_token(self, token: str) -> Principal:
        """Return the principal of a token or an API key.

        Raises:
            Unauthenticated: it is not valid.
        """
        principal = None
        try:
            principal = await self._principal(token) if len(token) <= MAX_TOKEN else None
            if principal is None:
                raise invalid_credentials()
            await self._access.check(principal)
        except Unauthenticated as error:
            if self._audit is not None:
                self._audit.refuse(principal, AuditAction.LOGIN, AuditObject("credentials"), error)
            raise
        return principal

    async def end_token(self, token: str) -> bool:
        """Revoke one of this service's tokens. This process rejects it at once, other processes within seconds.

        Returns:
            False for any other credential. An administrator revokes an API key, and the issuer its own tokens.
        """
        if len(token) > MAX_TOKEN or _API_KEY.fullmatch(token):
            return False
        try:
            verified = self._tokens.verify(token)
        except Unauthenticated:
            return False
        await self._revocations.revoke(verified)
        return True

    async def ingest(self, address_id: str, secret: str) -> Principal | None:
        """Return the principal of an ingest address. `None` if the address, its secret or its account is not valid."""
        principal = await self._credentials.ingest(address_id, secret)
        if principal is None or not await self._access.is_valid(principal):
            if self._audit is not None:
                target = AuditObject("ingest address", address_id if is_hex_id(address_id) else None)
                self._audit.refuse(principal, AuditAction.LOGIN, target, invalid_credentials())
            return None
        return principal

    async def _principal(self, token: str) -> Principal | None:
        if _API_KEY.fullmatch(token):
            return await self._credentials.key(token)
        verified = self._tokens.cached(token)
        if verified is None:
            header = _header(token)
            # The unverified header only selects who verifies the token. Each one accepts only its own algorithms and
            # keys.
            if self._issuer is not None and header.get("alg") in ISSUER_ALGORITHMS:
                return await self._issuer.read(token, header)
            verified = self._tokens.verify(token)
        if await self._revocations.is_revoked(verified):
            raise invalid_credentials()
        return verified.principal


def token_in(headers: Mapping[str, str]) -> str:
    """Return the credential in the headers. Two different credentials are ambiguous and rejected.

    Raises:
        Unauthenticated: the headers have no credential, or several different ones.
    """
    tokens = {token for name, value in headers.items() if (token := _token(name.lower(), value))}
    if not tokens:
        raise Unauthenticated("send a token or an API key as X-Auth-Token or Authorization: Bearer")
    if len(tokens) > 1:
        raise Unauthenticated("send one token or API key: the headers have several different ones")
    return tokens.pop()


def _token(name: str, value: str) -> str:
    if name == "x-auth-token":
        return value.strip()
    if name != "authorization":
        return ""
    scheme, _, rest = value.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise invalid_credentials() from error
