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
        principal.account_id, principal.owner_id, principal.user_id, principal.key_id, principal.name, issued
    ]  # fmt: skip
    return urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


class Grants:
    """Signs and checks grants, with a secret that is derived from the installation's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, recording_id: str, expires: Millis, requester: str) -> str:
        """Return the signature of a grant, for a URL. `requester` comes from `requester_of`."""
        message = f"{expires}\n{requester}\n{recording_id}".encode()
        digest = blake2b(message, key=self._key, person=b"media", digest_size=24).digest()
        return urlsafe_b64encode(digest).decode()

    def check(self, recording_id: str, expires: Millis, requester: str, signature: str, now: Millis) -> Grant:
        """Return the grant of a signature. Its caller's credentials may have ended since.

        Raises:
            Unauthenticated: the signature is not valid, or the grant has expired.
        """
        expected = self.sign(recording_id, expires, requester)
        # A line feed would let one text be read as two.
        if "\n" in requester or not compare_digest(expected.encode(), signature.encode()):
            message = "the signature of this URL is not valid"
            raise Unauthenticated(message)
        if expires <= now:
            message = "this URL has expired: request a new one"
            raise Unauthenticated(message)
        return Grant(recording_id, expires, _principal(requester))


def _principal(requester: str) -> Principal:
    values = json.loads(urlsafe_b64decode(requester + "=" * (-len(requester) % 4)))
    account_id, owner_id, user_id, key_id, name, issued = values
    return Principal(
        account_id, frozenset({Scope.LISTEN}), owner_id, name, user_id=user_id, key_id=key_id, issued=issued
    )
