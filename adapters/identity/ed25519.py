"""Ed25519 signatures with keys of 32 bytes."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign(key: bytes, text: bytes) -> bytes:
    """Return the signature of a text by a private key."""
    return Ed25519PrivateKey.from_private_bytes(key).sign(text)


def public_key(key: bytes) -> bytes:
    """Return the public key of a private key."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
