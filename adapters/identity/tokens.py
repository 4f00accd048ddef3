"""This service's own tokens: JWTs, signed with HS256 and a key that is derived from the installation's key.

The header `kid` is the id of the installation's key. Tokens of earlier releases have none, so every key is tried.
"""

import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import jwt

from adapters.identity.claims import invalid_credentials, principal_from_claims, with_origin
from recordings.model.account import Principal
from recordings.model.errors import Unauthenticated
from recordings.model.instants import CLOCK_TOLERANCE, SECOND, Millis
from recordings.ports.clock import Clock
from recordings.rules.signing_keys import SigningKey, SigningKeys

ISSUER: Final = "recordings"
ALGORITHM: Final = "HS256"
DEFAULT_SECONDS: Final = 3_600
"""The lifetime of a token."""
LEEWAY: Final = CLOCK_TOLERANCE // SECOND
"""Seconds by which the clocks of two servers may differ."""
REQUIRED: Final = ["exp", "iat"]
_MAX_TOKEN_ID: Final = 64
MAX_CACHED: Final = 4_096
"""The maximum number of verified tokens in the cache."""


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token: its principal, its own id and its expiry."""

    principal: Principal
    id: str
    expires: Millis


class Tokens:
    """Issues tokens and verifies them. `keys` are derived for this purpose only."""

    def __init__(self, keys: bytes | SigningKeys, clock: Clock) -> None:
        self._keys = SigningKeys.of(keys)
        self._clock = clock
        self._verified: OrderedDict[bytes, Token] = OrderedDict()
        self._verified_with = self._keys.accepted

    def issue(self, principal: Principal, seconds: int = DEFAULT_SECONDS) -> str:
        """Return a token that authenticates its holder as this principal for a number of seconds."""
        issued = self._clock.now()
        now = issued // SECOND
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": principal.name or principal.owner_id or "token",
            "account_id": principal.account_id,
            "scopes": sorted(scope.value for scope in principal.scopes),
            "iat": now,
            # `iat` has whole seconds. Ending all earlier tokens needs the exact time.
            "iat_ms": issued,
            "exp": now + seconds,
            "jti": secrets.token_hex(16),
        }
        origin = {"owner_id": principal.owner_id, "user_id": principal.user_id, "key_id": principal.key_id}
        claims |= {name: value for name, value in origin.items() if value is not None}
        key = self._keys.signing
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.id} if key.id else None)

    def cached(self, token: str) -> Token | None:
        """Return a token that this process verified before and that has not expired; else `None`.

        Verification takes 76 µs, three times as long as the response for one recording. A valid signature stays
        valid, so it is verified once. The cache keeps the token's hash, not the token.
        """
        if self._keys.accepted is not self._verified_with:
            # A key that signed cached tokens may be gone.
            self._verified.clear()
            self._verified_with = self._keys.accepted
        found = self._verified.get(_digest(token))
        return found if found is not None and self._clock.now() < found.expires else None

    def verify(self, token: str) -> Token:
        """Return a token that this installation issued and that has not expired. It may be revoked.

        Raises:
            Unauthenticated: the token is not valid.
        """
        try:
            claims = self._claims(token)
        except jwt.ImmatureSignatureError as error:
            # The signature is valid, so a server of this installation issued the token.
            raise _from_the_future(token, self._clock.now() // SECOND) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise invalid_credentials() from error
        token_id = claims["jti"]
        if not isinstance(token_id, str) or not 0 < len(token_id) <= _MAX_TOKEN_ID:
            raise invalid_credentials()
        verified = Token(with_origin(principal_from_claims(claims), claims), token_id, int(claims["exp"]) * SECOND)
        self._cache(_digest(token), verified)
        return verified

    def _claims(self, token: str) -> dict[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        for key in self._keys.accepted:
            if key_id in {None, key.id}:
                with suppress(jwt.InvalidSignatureError):
                    return _decode(token, key)
        raise invalid_credentials()

    def _cache(self, digest: bytes, token: Token) -> None:
        self._verified[digest] = token
        self._verified.move_to_end(digest)
        if len(self._verified) > MAX_CACHED:
            self._verified.popitem(last=False)


def _decode(token: str, key: SigningKey) -> dict[str, Any]:
    return jwt.decode(
        token,
        key.secret,
        algorithms=[ALGORITHM],
        issuer=ISSUER,
        leeway=LEEWAY,
        # A token without an id could not be revoked.
        options={"require": [*REQUIRED, "iss", "jti"]},
    )


def _from_the_future(token: str, now: int) -> Unauthenticated:
    seconds = int(jwt.decode(token, options={"verify_signature": False})["iat"]) - now
    return Unauthenticated(
        f"this token was issued {seconds} s in the future: this server's clock differs from the clock of the server "
        f"that issued it, and at most {LEEWAY} s are allowed"
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
