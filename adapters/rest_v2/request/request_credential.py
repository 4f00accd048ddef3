"""The credential of a request and its kind (`docs/v2_contract.md`, section 4.1), with no I/O."""

import binascii
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import msgspec

from adapters.rest_v2.request.parameters import Parameters
from recordings.model.instants import CLOCK_TOLERANCE, SECOND, Millis

LEEWAY: Final = CLOCK_TOLERANCE // SECOND
"""Seconds that the clocks of two servers may differ. A token stays valid this long after it expired."""
MAX_LENGTH: Final = 8_192
_BASIC: Final = re.compile(r"([0-9a-f]{32}):([0-9A-Fa-f]{1,64})")
_decode: Final = msgspec.json.Decoder().decode


class Scheme(Enum):
    """The kind of a credential."""

    TOKEN = auto()
    """`X-Auth-Token` or `auth_token`."""
    BEARER = auto()
    BASIC = auto()
    UNKNOWN = auto()
    """Any other scheme: 401."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as the request contains it."""

    scheme: Scheme
    text: str

    @property
    def token(self) -> str | None:
        """The token, if the credential is one."""
        return self.text if self.scheme in {Scheme.TOKEN, Scheme.BEARER} else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """The account and the digest of `user:password`, if the credential is a valid Basic one."""
        try:
            text = b64decode(self.text, validate=True).decode("ascii")
        except (ValueError, binascii.Error):
            return None
        found = _BASIC.fullmatch(text) if self.scheme is Scheme.BASIC else None
        return (found[1], found[2]) if found else None


def find_credential(headers: Mapping[str, str], parameters: Parameters) -> Credential | None:
    """Return the first credential of a request, or `None`. `headers` must be looked up in lower case."""
    token = headers.get("x-auth-token") or parameters.find("auth_token")
    if token:
        return Credential(Scheme.TOKEN, token.strip())
    authorization = headers.get("authorization") or parameters.find("authorization")
    return _authorization(authorization) if authorization else None


def _authorization(text: str) -> Credential:
    scheme, _, rest = text.strip().partition(" ")
    kind = {"bearer": Scheme.BEARER, "basic": Scheme.BASIC}.get(scheme.lower(), Scheme.UNKNOWN)
    return Credential(kind, rest.strip())


def claims_of(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT without checking its signature. Any other text has none."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_LENGTH:  # noqa: PLR2004 - header, claims, signature
        return {}
    try:
        claims = _decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, Mapping) else {}


def is_expired(token: str, now: Millis) -> bool:
    """Return true for a well-formed token that has expired. v2 has an error of its own for it.

    The signature is not checked, because the result grants nothing.
    """
    expires = claims_of(token).get("exp")
    return isinstance(expires, int | float) and expires + LEEWAY <= now // SECOND
