"""The claims of a token, and the principal that they describe."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recordings.model.account import Principal
from recordings.model.errors import InvalidInput, Unauthenticated
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.model.instants import SECOND
from recordings.rules.access import parse_scopes

ISSUER_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""The algorithms that an issuer may use.

All are asymmetric. With a symmetric algorithm, anybody could sign with the published key.
"""
MAX_SCOPES: Final = 16
MAX_NAME: Final = 64


def invalid_credentials() -> Unauthenticated:
    """Return the error for all invalid credentials. It does not reveal the reason."""
    return Unauthenticated("these credentials are not valid: unknown, expired or revoked")


def principal_from_claims(claims: Mapping[str, Any]) -> Principal:
    """Return the principal of verified claims.

    Raises:
        Unauthenticated: a claim is missing or has the wrong type.
    """
    account_id, owner_id = claims.get("account_id"), claims.get("owner_id")
    if not isinstance(account_id, str) or not is_hex_id(account_id):
        raise invalid_credentials()
    # An invalid owner must not count as "no owner": a token without an owner can access more.
    if owner_id is not None and not (isinstance(owner_id, str) and 0 < len(owner_id) <= MAX_ID):
        raise invalid_credentials()
    name, token_id = _name(claims.get("sub"), owner_id), claims.get("jti")
    return Principal(
        account_id,
        _scopes(claims.get("scopes")),
        owner_id,
        name,
        issued=int(float(claims["iat"]) * SECOND),
        # An issuer may leave it out.
        token_id=token_id[:MAX_NAME] if isinstance(token_id, str) and token_id.isprintable() and token_id else None,
    )


def with_origin(principal: Principal, claims: Mapping[str, Any]) -> Principal:
    """Add what only this service's own tokens say: the user or the key of the token, and the millisecond of its issue.

    Tokens of earlier releases have none of them.
    """
    issued = claims.get("iat_ms", principal.issued)
    user_id, key_id = claims.get("user_id"), claims.get("key_id")
    if not isinstance(issued, int) or not all(isinstance(each, str | None) for each in (user_id, key_id)):
        raise invalid_credentials()
    return replace(principal, user_id=user_id, key_id=key_id, issued=issued)


def _scopes(claim: Any) -> frozenset[Any]:
    if not isinstance(claim, list) or len(claim) > MAX_SCOPES:
        raise invalid_credentials()
    if not all(isinstance(scope, str) for scope in claim):
        raise invalid_credentials()
    try:
        return parse_scopes(claim)
    except InvalidInput as error:
        raise invalid_credentials() from error


def _name(subject: Any, owner_id: str | None) -> str:
    if isinstance(subject, str) and 0 < len(subject) <= MAX_NAME and subject.isprintable():
        return subject
    return owner_id or "token"
