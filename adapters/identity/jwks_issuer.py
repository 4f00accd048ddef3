"""Tokens of somebody else: an issuer that publishes its public keys as a JWKS."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import jwt

from adapters.identity.claims import ISSUER_ALGORITHMS, principal_of, refused
from adapters.identity.tokens import LEEWAY, REQUIRED
from recordings.model.account import Principal
from recordings.model.errors import Unauthenticated

_MAX_BYTES: Final = 256 * 1024
_TIMEOUT: Final = 5.0
_REFRESH_SECONDS: Final = 60.0
"""The least time between two looks at the published keys, whatever is asked for."""
_MAX_AGE_SECONDS: Final = 3_600.0
"""Keys that were withdrawn are forgotten after this time."""


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be had."""


class Issuer:
    """Reads the tokens of one issuer. Its keys are fetched when first needed, and kept for an hour."""

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        audience: str,
        client: httpx.AsyncClient | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._issuer, self._audience = url, issuer, audience
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        self._seconds = seconds
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._asked: float | None = None
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def read(self, token: str, header: Mapping[str, Any]) -> Principal:
        """The principal of a token that the issuer signed for us. `header` is the token's own, not yet checked.

        Raises:
            Unauthenticated: the issuer did not, or the token does not hold (any more).
        """
        key = await self._key(header.get("kid"))
        if key is None:
            raise refused()
        try:
            claims = jwt.decode(
                token,
                # A key that knows its own algorithm: a token that names another one is refused.
                key,
                algorithms=ISSUER_ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": [*REQUIRED, "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise refused() from error
        return principal_of(claims)

    async def _key(self, kid: Any) -> jwt.PyJWK | None:
        if not isinstance(kid, str):
            return None
        if kid not in self._keys or self._is_stale():
            async with self._fetching:
                if (kid not in self._keys or self._is_stale()) and self._may_ask():
                    await self._refresh()
        return None if self._is_stale() else self._keys.get(kid)

    def _is_stale(self) -> bool:
        return self._fetched is None or self._seconds() - self._fetched > _MAX_AGE_SECONDS

    def _may_ask(self) -> bool:
        return self._asked is None or self._seconds() - self._asked >= _REFRESH_SECONDS

    async def _refresh(self) -> None:
        self._asked = self._seconds()
        try:
            self._keys = usable_keys(await self._fetch())
        except (httpx.HTTPError, TimeoutError, IssuerUnavailableError, jwt.PyJWTError, ValueError) as error:
            if self._is_stale():
                message = "the issuer of these credentials cannot be asked now: try again later"
                raise Unauthenticated(message) from error
        else:
            self._fetched = self._seconds()

    async def _fetch(self) -> Any:
        body = bytearray()
        async with asyncio.timeout(_TIMEOUT), self._client.stream("GET", self._url) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    message = f"more than {_MAX_BYTES} bytes of keys"
                    raise IssuerUnavailableError(message)
        return httpx.Response(200, content=bytes(body)).json()


def usable_keys(document: Any) -> Mapping[str, jwt.PyJWK]:
    """The signing keys of a JWKS that have an id and a type we accept; others are passed over.

    Raises:
        IssuerUnavailableError: it is no JWKS.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("keys"), list):
        message = "not a JSON Web Key Set"
        raise IssuerUnavailableError(message)
    found = {}
    for item in document["keys"]:
        if isinstance(item, Mapping) and _is_signing(item):
            try:
                key = jwt.PyJWK(dict(item))
            except (jwt.PyJWTError, ValueError, KeyError, TypeError):
                continue
            if key.algorithm_name in ISSUER_ALGORITHMS:
                found[item["kid"]] = key
    return found


def _is_signing(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("kid"), str) and item.get("use", "sig") == "sig"
