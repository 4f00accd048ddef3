"""Ed25519 signatures of the audit trail. Each of the installation's keys has a key of its own for them."""

from collections.abc import Collection
from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recordings.rules.signing_keys import SigningKeys


class AuditSigner:
    """A `SealSigner` with keys that are derived from the installation's keys."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def sign(self, text: str) -> tuple[str, str]:
        """Return the public key and the signature of a text."""
        key = Ed25519PrivateKey.from_private_bytes(self._keys.signing.secret)
        return _public(key), key.sign(text.encode()).hex()

    def keys(self) -> Collection[str]:
        """Return the public keys of the installation's keys."""
        return [_public(Ed25519PrivateKey.from_private_bytes(key.secret)) for key in self._keys.accepted]

    def is_signed(self, text: str, key: str, signature: str) -> bool:
        """Return true if the signature of a text is that of the key."""
        with suppress(InvalidSignature, ValueError):
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), text.encode())
            return True
        return False


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
