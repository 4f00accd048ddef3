"""Signed, expiring permissions to play one recording: an `<audio>` element cannot send credentials."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from recordings.model.errors import Unauthenticated
from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to play one recording. `expires` is an instant in milliseconds."""

    recording_id: str
    expires: Millis


class Grants:
    """Signs and checks grants, with a secret that is derived from the installation's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, recording_id: str, expires: Millis) -> str:
        """Return the signature of a grant, for a URL."""
        message = f"{expires}\n{recording_id}".encode()
        digest = blake2b(message, key=self._key, person=b"media", digest_size=24).digest()
        return urlsafe_b64encode(digest).decode()

    def check(self, recording_id: str, expires: Millis, signature: str, now: Millis) -> Grant:
        """Return the grant of a signature.

        Raises:
            Unauthenticated: the signature is not valid, or the grant has expired.
        """
        if not compare_digest(self.sign(recording_id, expires).encode(), signature.encode()):
            message = "the signature of this URL is not valid"
            raise Unauthenticated(message)
        if expires <= now:
            message = "this URL has expired: request a new one"
            raise Unauthenticated(message)
        return Grant(recording_id, expires)
