"""The port that encrypts secrets before they are stored."""

from typing import Protocol


class CannotUnsealError(Exception):
    """A stored secret cannot be decrypted: its key was dropped, or it was changed. The message has no secret."""


class Sealer(Protocol):
    """Encrypts and decrypts secrets. A secret is bound to its `context`: it cannot be used in another one."""

    def seal(self, text: str, context: str) -> str:
        """Return a secret in encrypted form."""

    def unseal(self, sealed: str, context: str) -> str:
        """Return the secret of an encrypted form. Raises `CannotUnsealError`."""

    def is_current(self, sealed: str) -> bool:
        """Return true if a secret is encrypted with the newest key."""
