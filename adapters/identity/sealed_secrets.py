"""Secrets that must be stored so that they can be used: AES-256-GCM, with a key derived from the installation's key.

A sealed secret is the id of the installation's key, a dot, and the nonce and the ciphertext in base64.
"""

import os
from base64 import b64decode, b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recordings.ports.sealer import CannotUnsealError
from recordings.rules.signing_keys import SigningKeys

_NONCE: Final = 12


class SealedSecrets:
    """A `Sealer`. `keys` are derived for this purpose only."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def seal(self, text: str, context: str) -> str:
        """Return a secret in encrypted form."""
        key, nonce = self._keys.signing, os.urandom(_NONCE)
        encrypted = nonce + AESGCM(key.secret).encrypt(nonce, text.encode(), context.encode())
        return f"{key.id}.{b64encode(encrypted).decode()}"

    def unseal(self, sealed: str, context: str) -> str:
        """Return the secret of an encrypted form. Raises `CannotUnsealError`."""
        key_id, _, encoded = sealed.partition(".")
        for key in self._keys.accepted:
            if key.id == key_id:
                try:
                    encrypted = b64decode(encoded, validate=True)
                    nonce, rest = encrypted[:_NONCE], encrypted[_NONCE:]
                    return AESGCM(key.secret).decrypt(nonce, rest, context.encode()).decode()
                except (InvalidTag, ValueError) as error:
                    message = "a stored secret is damaged, or belongs to something else: set it again"
                    raise CannotUnsealError(message) from error
        message = f"a stored secret is encrypted with the key {key_id[:32]}, which the key file lacks: set it again"
        raise CannotUnsealError(message)

    def is_current(self, sealed: str) -> bool:
        """Return true if a secret is encrypted with the signing key."""
        return sealed.partition(".")[0] == self._keys.signing.id
