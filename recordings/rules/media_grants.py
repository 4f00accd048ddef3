"""Signed, expiring permissions to play one recording: an `<audio>` element cannot send credentials.

A permission names the caller who requested it, so it ends with the caller's credentials.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.instants import Millis
from recordings.rules.signing_keys import SigningKeys


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to play one recording. `principal` requested it. `expires` is an instant in milliseconds."""

    recording_id: str
    expires: Millis
    principal: Principal


def requester_of(principal: Principal, now: Millis) -> str:
    """Return the caller as a text for signed URLs. The permission is as old as the caller's token, if there is one."""
    issued = now if principal.issued is None else principal.issued
    values = [
        principal.account_id, principal.owner_id, principal.user_id, principal.key_id, principal.name, issued,
        principal.token_id,
    ]  # fmt: skip
    return urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


class Grants:
    """Signs and checks grants, with secrets that are derived from the installation's keys."""

    def __init__(self, keys: bytes | SigningKeys) -> None:
        self._keys = SigningKeys.of(keys)

    def sign(self, recording_id: str, expires: Millis, requester: str) -> str:
        """Return the signature of a grant, for a URL. `requester` comes from `requester_of`."""
        return _signature(self._keys.signing.secret, _message(recording_id, expires, requester))

    def check(self, recording_id: str, expires: Millis, requester: str, signature: str) -> Grant:
        """Return the grant of a signature. It may have expired, and its caller's credentials may have ended since.

        Raises:
            Unauthenticated: the signature is not valid.
        """
        message, given = _message(recording_id, expires, requester), signature.encode()
        is_signed = any(compare_digest(_signature(key.secret, message).encode(), given) for key in self._keys.accepted)
        # A line feed would let one text be read as two.
        if "\n" in requester or not is_signed:
            reason = "the signature of this URL is not valid"
            raise Unauthenticated(reason)
        return Grant(recording_id, expires, _principal(requester))


def _message(recording_id: str, expires: Millis, requester: str) -> bytes:
    return f"{expires}\n{requester}\n{recording_id}".encode()


def _signature(secret: bytes, message: bytes) -> str:
    return urlsafe_b64encode(blake2b(message, key=secret, person=b"media", digest_size=24).digest()).decode()


def _principal(requester: str) -> Principal:
    values = json.loads(urlsafe_b64decode(requester + "=" * (-len(requester) % 4)))
    # URLs of earlier releases have no `token_id`.
    account_id, owner_id, user_id, key_id, name, issued, *rest = values
    return Principal(
        account_id,
        frozenset({Scope.LISTEN}),
        owner_id,
        name,
        user_id=user_id,
        key_id=key_id,
        issued=issued,
        token_id=rest[0] if rest else None,
    )
