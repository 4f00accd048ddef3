"""What a token claims, as a principal."""

from collections.abc import Mapping
from typing import Any, Final

from recordings.model.account import Principal
from recordings.model.errors import InvalidInput, Unauthenticated
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.rules.access import parse_scopes

ISSUER_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""What an issuer may sign with. Asymmetric ones alone: with a symmetric one its published key would sign, too."""
MAX_SCOPES: Final = 16
MAX_NAME: Final = 64


def refused() -> Unauthenticated:
    """The one answer to credentials that are not valid. It does not say why: that is the owner's business alone."""
    return Unauthenticated("these credentials are not valid: unknown, expired or revoked")


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """The principal of checked claims.

    Raises:
        Unauthenticated: a claim is missing or of a wrong type.
    """
    account_id, owner_id = claims.get("account_id"), claims.get("owner_id")
    if not isinstance(account_id, str) or not is_hex_id(account_id):
        raise refused()
    # An owner that is no text must not be taken for "no owner", which reaches more.
    if owner_id is not None and not (isinstance(owner_id, str) and 0 < len(owner_id) <= MAX_ID):
        raise refused()
    return Principal(account_id, _scopes(claims.get("scopes")), owner_id, _name(claims.get("sub"), owner_id))


def _scopes(claimed: Any) -> frozenset[Any]:
    if not isinstance(claimed, list) or len(claimed) > MAX_SCOPES:
        raise refused()
    if not all(isinstance(scope, str) for scope in claimed):
        raise refused()
    try:
        return parse_scopes(claimed)
    except InvalidInput as error:
        raise refused() from error


def _name(subject: Any, owner_id: str | None) -> str:
    if isinstance(subject, str) and 0 < len(subject) <= MAX_NAME and subject.isprintable():
        return subject
    return owner_id or "token"
