"""Signatures of outgoing requests: HMAC-SHA256, with the headers and secrets of Standard Webhooks 1.0.

The signed text is the id of the message, its time and its body, separated by dots. During a rotation a request has one
signature for each secret, so the receiver can use either.
"""

import binascii
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from recordings.model.errors import InvalidInput

PREFIX: Final = "whsec_"
"""The beginning of a secret."""
MIN_BYTES: Final = 24
MAX_BYTES: Final = 64
ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
_NEW_BYTES: Final = 32


def new_signing_secret() -> str:
    """Return a new secret."""
    return PREFIX + b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def read_signing_secret(text: str) -> bytes:
    """Return the key of a secret. The error does not contain the secret.

    Raises:
        InvalidInput: it is not `whsec_` with 24 to 64 bytes in base64.
    """
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not MIN_BYTES <= len(key) <= MAX_BYTES:
        allowed = f"{PREFIX} and {MIN_BYTES} to {MAX_BYTES} bytes in base64"
        raise InvalidInput.of(("secret",), "pattern", f"{len(text)} characters", allowed)
    return key


class MessageSignature:
    """The signature of one message, whose body arrives in parts. `timestamp` is in seconds.

    `keys` come from `read_signing_secret`, the newest first.
    """

    def __init__(self, keys: Sequence[bytes], message_id: str, timestamp: int) -> None:
        self._id, self._timestamp = message_id, timestamp
        start = f"{message_id}.{timestamp}.".encode()
        self._macs = [hmac.new(key, start, sha256) for key in keys]

    def update(self, part: bytes) -> None:
        """Add the next part of the body."""
        for mac in self._macs:
            mac.update(part)

    def headers(self) -> dict[str, str]:
        """Return the headers of the request."""
        signatures = [f"v1,{b64encode(mac.digest()).decode()}" for mac in self._macs]
        return {ID_HEADER: self._id, TIME_HEADER: str(self._timestamp), SIGNATURE_HEADER: " ".join(signatures)}


def signature_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers for a request whose whole body is in memory."""
    signature = MessageSignature(keys, message_id, timestamp)
    signature.update(body)
    return signature.headers()
