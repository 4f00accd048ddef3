"""Signatures of outgoing requests, with the headers, keys and secrets of Standard Webhooks 1.0.

The signed text is the id of the message, its time and its body, separated by dots. A secret `whsec_` signs with
HMAC-SHA256 (`v1`), a private key `whsk_` with Ed25519 (`v1a`). During a rotation a request also has the signatures of
the former ones, so the receiver can use either. Ed25519 needs a library, so the caller passes the function.
"""

import binascii
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from recordings.model.errors import InvalidInput

PREFIX: Final = "whsec_"
"""The beginning of a secret."""
PRIVATE_PREFIX: Final = "whsk_"
"""The beginning of a private key."""
PUBLIC_PREFIX: Final = "whpk_"
"""The beginning of a public key."""
MIN_BYTES: Final = 24
MAX_BYTES: Final = 64
KEY_BYTES: Final = 32
"""The length of a private key and of a public key."""
ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
_NEW_BYTES: Final = 32

SignEd25519 = Callable[[bytes, bytes], bytes]
"""Return the signature of a text by a private key of 32 bytes. The key comes first."""


def new_signing_secret() -> str:
    """Return a new secret."""
    return PREFIX + b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def new_signing_key() -> str:
    """Return a new private key for Ed25519. Any 32 random bytes are one."""
    return PRIVATE_PREFIX + b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_signing_secret(text: str) -> bytes:
    """Return the key of a secret. The error does not contain the secret.

    Raises:
        InvalidInput: it is not `whsec_` with 24 to 64 bytes in base64.
    """
    return _read(text, PREFIX, MIN_BYTES, MAX_BYTES)


def read_signing_key(text: str) -> bytes:
    """Return the bytes of a private key. The error does not contain the key.

    Raises:
        InvalidInput: it is not `whsk_` with 32 bytes in base64.
    """
    return _read(text, PRIVATE_PREFIX, KEY_BYTES, KEY_BYTES)


def _read(text: str, prefix: str, least: int, most: int) -> bytes:
    try:
        key = b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(prefix) or not least <= len(key) <= most:
        length = f"{least}" if least == most else f"{least} to {most}"
        raise InvalidInput.of(
            ("secret",), "pattern", f"{len(text)} characters", f"{prefix} and {length} bytes in base64"
        )
    return key


@dataclass(frozen=True, slots=True)
class SecretPair:
    """The secret and the private key of a webhook, which are replaced together."""

    secret: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def text(self) -> str:
        """Both, separated by a space."""
        return f"{self.secret} {self.key}"


def new_secret_pair(secret: str | None = None) -> SecretPair:
    """Return a pair with a new key. Without `secret`, make one.

    Raises:
        InvalidInput: the secret is not allowed.
    """
    if secret is not None:
        read_signing_secret(secret)
    return SecretPair(secret or new_signing_secret(), new_signing_key())


def read_secret_pair(text: str) -> SecretPair:
    """Return the pair of a text.

    Raises:
        InvalidInput: the secret or the key is not allowed.
    """
    pair = SecretPair(*text.partition(" ")[::2])
    read_signing_secret(pair.secret)
    read_signing_key(pair.key)
    return pair


def public_key(key: bytes) -> str:
    """Return the text of a public key."""
    return PUBLIC_PREFIX + b64encode(key).decode()


class MessageSignature:
    """The signature of one message, whose body arrives in parts. `timestamp` is in seconds.

    `keys` come from `read_signing_secret`, the newest first.
    """

    def __init__(self, keys: Sequence[bytes], message_id: str, timestamp: int) -> None:
        self._id, self._timestamp = message_id, timestamp
        start = _start(message_id, timestamp)
        self._macs = [hmac.new(key, start, sha256) for key in keys]

    def update(self, part: bytes) -> None:
        """Add the next part of the body."""
        for mac in self._macs:
            mac.update(part)

    def headers(self) -> dict[str, str]:
        """Return the headers of the request."""
        signatures = [f"v1,{b64encode(mac.digest()).decode()}" for mac in self._macs]
        return {ID_HEADER: self._id, TIME_HEADER: str(self._timestamp), SIGNATURE_HEADER: " ".join(signatures)}


def signature_headers(
    pairs: Sequence[SecretPair], message_id: str, timestamp: int, body: bytes, sign_ed25519: SignEd25519
) -> dict[str, str]:
    """Return the headers for a request whose whole body is in memory. `pairs` are the newest first.

    The signatures by HMAC are the first ones, because a receiver that knows no others may read no further.
    """
    signature = MessageSignature([read_signing_secret(pair.secret) for pair in pairs], message_id, timestamp)
    signature.update(body)
    headers = signature.headers()
    text = _start(message_id, timestamp) + body
    keys = [read_signing_key(pair.key) for pair in pairs]
    signatures = [f"v1a,{b64encode(sign_ed25519(key, text)).decode()}" for key in keys]
    return headers | {SIGNATURE_HEADER: " ".join([headers[SIGNATURE_HEADER], *signatures])}


def _start(message_id: str, timestamp: int) -> bytes:
    return f"{message_id}.{timestamp}.".encode()
