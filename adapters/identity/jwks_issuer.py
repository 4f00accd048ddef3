"""Tokens of an external issuer, which publishes its public keys as a JWKS (RFC 7517)."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.identity.claims import ISSUER_ALGORITHMS, invalid_credentials, principal_from_claims
from adapters.identity.tokens import LEEWAY, REQUIRED
from adapters.net.bounded_body import BodyTooLongError, read_body
from recordings.model.account import Principal
from recordings.model.errors import Unauthenticated

_MAX_BYTES: Final = 256 * 1024
_TIMEOUT: Final = 5.0
"""Seconds for the whole response."""
_REFRESH_SECONDS: Final = 60.0
"""The minimum time between two requests for the keys, also if a token names an unknown key."""
_MAX_AGE_SECONDS: Final = 3_600.0
"""The maximum age of cached keys: a withdrawn key is accepted for this long."""
MIN_RSA_BITS: Final = 2_048
"""The minimum length of an RSA key (RFC 7518, section 3.3)."""
_MAX_LOGGED: Final = 64
_log: Final = structlog.get_logger("identity")


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be fetched."""


class Issuer:
    """Reads the tokens of one issuer. It fetches the keys when it first needs them, and caches them for an hour."""

    def __init__(self, url: str, *, issuer: str, audience: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._url, self._issuer, self._audience = url, issuer, audience
        self._session: aiohttp.ClientSession | None = None
        self._seconds = seconds
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._requested_at: float | None = None
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def read(self, token: str, header: Mapping[str, Any]) -> Principal:
        """Return the principal of a token that the issuer signed for this service.

        Args:
            token: the token.
            header: the token's own header, which is not verified yet.

        Raises:
            Unauthenticated: the token is not valid, or the keys cannot be fetched now.
        """
        key = await self._key(header.get("kid"))
        if key is None:
            raise invalid_credentials()
        try:
            claims = jwt.decode(
                token,
                # A PyJWK has its own algorithm: a token that names another algorithm is rejected.
                key,
                algorithms=ISSUER_ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": [*REQUIRED, "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise invalid_credentials() from error
        return principal_from_claims(claims)

    async def _key(self, kid: Any) -> jwt.PyJWK | None:
        if not isinstance(kid, str):
            return None
        if kid not in self._keys or self._is_stale():
            async with self._fetching:
                # Another task may have fetched the keys while this one waited.
                if (kid not in self._keys or self._is_stale()) and self._may_request():
                    await self._refresh()
        return None if self._is_stale() else self._keys.get(kid)

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._seconds() - self._fetched_at > _MAX_AGE_SECONDS

    def _may_request(self) -> bool:
        return self._requested_at is None or self._seconds() - self._requested_at >= _REFRESH_SECONDS

    async def _refresh(self) -> None:
        self._requested_at = self._seconds()
        try:
            self._keys = usable_keys(await self._fetch())
        except (aiohttp.ClientError, TimeoutError, IssuerUnavailableError, jwt.PyJWTError, ValueError) as error:
            if self._is_stale():
                message = "the issuer of these credentials is unavailable: try again later"
                raise Unauthenticated(message) from error
        else:
            self._fetched_at = self._seconds()

    async def _fetch(self) -> Any:
        async with (
            asyncio.timeout(_TIMEOUT),
            self._opened().get(self._url, allow_redirects=False) as response,
        ):
            if not 200 <= response.status < 300:  # noqa: PLR2004 - the successful ones
                raise IssuerUnavailableError(f"status {response.status}")
            try:
                body = await read_body(response, _MAX_BYTES)
            except BodyTooLongError as error:
                raise IssuerUnavailableError(str(error)) from error
        try:
            return json.loads(body)
        except RecursionError as error:
            raise IssuerUnavailableError("the keys are nested too deeply") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                # The issuer is an external service: a company's proxy may be the only way to it.
                trust_env=True,
            )
        return self._session


def usable_keys(document: Any) -> Mapping[str, jwt.PyJWK]:
    """Return the signing keys of a JWKS by id. Keys without an id or of an unsupported type are skipped.

    An RSA key below 2,048 bits is skipped, too, and logged.

    Raises:
        IssuerUnavailableError: the document is not a JWKS.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("keys"), list):
        raise IssuerUnavailableError("not a JSON Web Key Set")
    keys = {}
    for item in document["keys"]:
        if isinstance(item, Mapping) and _is_signing_key(item):
            try:
                key = jwt.PyJWK(dict(item))
            except (jwt.PyJWTError, ValueError, KeyError, TypeError):
                continue
            if key.algorithm_name in ISSUER_ALGORITHMS and _is_strong(key, item["kid"]):
                keys[item["kid"]] = key
    return keys


def _is_strong(key: jwt.PyJWK, kid: str) -> bool:
    if not isinstance(key.key, rsa.RSAPublicKey | rsa.RSAPrivateKey) or key.key.key_size >= MIN_RSA_BITS:
        return True
    _log.warning("issuer key rejected", kid=kid[:_MAX_LOGGED], bits=key.key.key_size, min_bits=MIN_RSA_BITS)
    return False


def _is_signing_key(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("kid"), str) and item.get("use", "sig") == "sig"
